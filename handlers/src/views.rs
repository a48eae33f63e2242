//! What PetTracker's items contribute to its views.

use anabranch::{
    sink::table::{TransactTable, text},
    view::{Contribution, View},
};

use super::{Activity, Pet};

/// The entity type of the rows of all views, for tables that they share with others.
pub const ENTITY: &str = "VIEW";

/// Minutes of activity of each pet, one row a pet in one partition: `PK=LEADERBOARD`, `SK=PET#p`.
pub fn leaderboard(table: impl TransactTable) -> View<Activity> {
    let minutes = |activity: &Activity| {
        vec![Contribution::to("LEADERBOARD", &*activity.pet).sum("minutes", activity.minutes).count("activities")]
    };
    View::aggregate("leaderboard", table, minutes).entity("entityType", ENTITY)
}

/// Activities of each pet and day: their count, their minutes, and what the last one was. `PK=PET#p`, `SK=SUMMARY#day`.
pub fn daily(table: impl TransactTable) -> View<Activity> {
    let summary = |activity: &Activity| {
        let day = activity.timestamp.get(..10).unwrap_or(&activity.timestamp);
        vec![
            Contribution::to(&*activity.pet, format!("SUMMARY#{day}"))
                .count("activities")
                .sum("minutes", activity.minutes)
                .last("lastActivity", &*activity.timestamp, text(&*activity.activity_type)),
        ]
    };
    View::aggregate("daily", table, summary).entity("entityType", ENTITY)
}

/// Pets of each species, over four rows a species since a popular one would be hot: `PK=SPECIES`, `SK=species`.
pub fn species(table: impl TransactTable) -> View<Pet> {
    let pets = |pet: &Pet| vec![Contribution::to("SPECIES", &*pet.species).count("pets")];
    View::aggregate("species", table, pets).shards(4).entity("entityType", ENTITY)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use anabranch::{dispatch::Dispatcher, handler::Context, router::Router, sink::table::Memory};

    use super::*;

    /// Sample batches, delivered twice: what the views say is what the table held at their end.
    #[tokio::test]
    async fn sample_batches_are_counted_once() {
        is_counted_once(include_bytes!("../../events/single-table-batch.json")).await;
        is_counted_once(include_bytes!("../../events/activities-of-two-days.json")).await;
    }

    async fn is_counted_once(batch: &[u8]) {
        let table = Arc::new(Memory::new("PetTrackerViews", ["PK", "SK"]));
        let (board, species) = (leaderboard(table.clone()), species(table));
        let (boards, kinds) = (board.reader(), species.reader());
        let router = Router::by_attribute("entityType").on(board).on(species).ignore("USER");
        let dispatcher = Dispatcher::new(router);
        for _ in 0..2 {
            let report = dispatcher.dispatch(batch.to_vec(), &Context::default()).await.expect("a stream event");
            assert_eq!(report.unfinished, None);
        }
        let (minutes, pets) = expected(batch);
        for (pet, expected) in minutes {
            let row = boards.read("LEADERBOARD", &pet).await.expect("readable");
            assert_eq!(row.map(|row| row.number("minutes")), expected.map(Into::into), "{pet}");
        }
        for (name, expected) in pets {
            let row = kinds.read("SPECIES", &name).await.expect("readable");
            assert_eq!(row.map(|row| row.number("pets")), expected.map(Into::into), "{name}");
        }
    }

    #[tokio::test]
    async fn a_day_is_summed_up() {
        let view = daily(Arc::new(Memory::new("PetTrackerViews", ["PK", "SK"])));
        let days = view.reader();
        let dispatcher = Dispatcher::new(Router::by_attribute("entityType").on(view).ignore("PET"));
        let batch = include_bytes!("../../events/activities-of-two-days.json");
        let report = dispatcher.dispatch(&batch[..], &Context::default()).await.expect("a stream event");
        assert_eq!(report.unfinished, None);
        assert!(days.read("PET#olga", "SUMMARY#2026-01-14").await.expect("readable").is_none(), "it was removed");
        let day = days.read("PET#olga", "SUMMARY#2026-01-15").await.expect("readable").expect("a day with an activity");
        assert_eq!((day.number("activities"), day.number("minutes")), (1.into(), 25.into()));
        assert_eq!(day.value("lastActivity"), Some(&text("play")));
    }

    type Counts = std::collections::BTreeMap<String, Option<u32>>;

    /// Minutes by pet and pets by species, from the last image of each item; none where nothing is left.
    fn expected(batch: &[u8]) -> (Counts, Counts) {
        let batch: serde_json::Value = serde_json::from_slice(batch).expect("JSON");
        let mut items = std::collections::BTreeMap::new();
        let (mut minutes, mut pets) = (Counts::new(), Counts::new());
        for record in batch["Records"].as_array().expect("records") {
            let change = &record["dynamodb"];
            for image in [&change["NewImage"], &change["OldImage"]] {
                match image["entityType"]["S"].as_str() {
                    Some("ACTIVITY") => _ = minutes.insert(image["PK"]["S"].as_str().expect("text").to_owned(), None),
                    Some("PET") => _ = pets.insert(image["species"]["S"].as_str().expect("text").to_owned(), None),
                    _ => {}
                }
            }
            items.insert(change["Keys"].to_string(), &change["NewImage"]);
        }
        for image in items.into_values() {
            let (counts, name, amount) = match image["entityType"]["S"].as_str() {
                Some("ACTIVITY") => (
                    &mut minutes,
                    &image["PK"]["S"],
                    image["minutes"]["N"].as_str().map_or(0, |n| n.parse().expect("a number")),
                ),
                Some("PET") => (&mut pets, &image["species"]["S"], 1),
                _ => continue,
            };
            *counts.get_mut(name.as_str().expect("text")).expect("seen").get_or_insert(0) += amount;
        }
        (minutes, pets)
    }
}
