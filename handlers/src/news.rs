//! What users are told of their pets.

use anabranch::{
    record::{Change, Record},
    sink::publisher::Message,
};

use super::Pet;

/// A weight that changed by more than this is news, in kilograms.
const NOTEWORTHY: f64 = 2.0;

/// The news in a change of a pet, if there is any. Attributes for subscription filters: `userId` and `eventType`.
pub fn of_pet(record: &Record<Pet>) -> Option<Message> {
    let (pet, event, text) = match &record.change {
        Change::Insert { new } => (new, "WELCOME", format!("Welcome, {}!", new.name)),
        Change::Modify { old, new } => (new, "WEIGHT", weight(old, new)?),
        Change::Remove { old } => (old, "FAREWELL", format!("Farewell, {}.", old.name)),
    };
    let user = pet.owner.trim_start_matches("USER#");
    Some(Message::new(text).subject("PetTracker").attribute("userId", user).attribute("eventType", event))
}

fn weight(old: &Pet, new: &Pet) -> Option<String> {
    let (before, now) = (old.weight_kg?, new.weight_kg?);
    let news = (now - before).abs() > NOTEWORTHY;
    news.then(|| format!("{} went from {before} kg to {now} kg.", new.name))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anabranch::{
        dispatch::Dispatcher,
        handler::Context,
        idempotency::IdempotentExt,
        notify::Notify,
        router::Router,
        sink::{ledger, publisher},
    };

    use super::*;

    /// The sample batch, delivered twice: every welcome and farewell is sent once.
    #[tokio::test]
    async fn the_sample_batch_is_told_of_once() {
        let topic = Arc::new(publisher::Memory::default());
        let notify = Notify::new(topic.clone(), of_pet).idempotent(Arc::new(ledger::Memory::default()));
        let dispatcher = Dispatcher::new(Router::by_attribute("entityType").on(notify).ignore_others());
        let batch = include_bytes!("../../events/single-table-batch.json");
        for _ in 0..2 {
            let report = dispatcher.dispatch(&batch[..], &Context::default()).await.expect("a stream event");
            assert_eq!(report.unfinished, None);
        }
        let batch: serde_json::Value = serde_json::from_slice(batch).expect("JSON");
        let pets = batch["Records"].as_array().expect("records").iter().filter(|record| {
            let change = &record["dynamodb"];
            let is_pet = |image: &serde_json::Value| image["entityType"]["S"] == "PET";
            record["eventName"] != "MODIFY" && (is_pet(&change["NewImage"]) || is_pet(&change["OldImage"]))
        });
        assert_eq!(topic.messages().len(), pets.count());
    }

    /// A weight that changes by half a kilogram is no news, nor is the first one.
    #[tokio::test]
    async fn only_news_is_told() {
        let topic = Arc::new(publisher::Memory::default());
        let router = Router::by_attribute("entityType").on(Notify::new(topic.clone(), of_pet));
        let batch = include_bytes!("../../events/news-of-three-pets.json");
        let report = Dispatcher::new(router).dispatch(&batch[..], &Context::default()).await.expect("a stream event");
        assert_eq!((report.applied, report.skipped_total(), report.unfinished), (5, 2, None));
        let mut told: Vec<_> = topic.messages().iter().map(|message| message.body().to_owned()).collect();
        told.sort();
        let expected =
            ["Farewell, Due.", "Uno went from 4.5 kg to 7.1 kg.", "Welcome, Due!", "Welcome, Tre!", "Welcome, Uno!"];
        assert_eq!(told, expected);
    }
}
