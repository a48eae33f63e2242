//! Rows of a snapshot go the way of changes: same dispatcher, same router, same handlers. What notifies the world lets
//! them pass unless it is told otherwise.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Failure, Skip},
    idempotency::IdempotentExt,
    notify::Notify,
    record::{
        Origin, Record, Timestamp,
        wire::{EventWriter, ItemJson, RecordParts},
    },
    router::Router,
    sink::{
        dead_letter, ledger,
        publisher::{self, Message},
    },
};

#[derive(serde::Deserialize)]
struct Pet {
    name: String,
}

const TABLE: &str = "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker";

fn pet(id: &str) -> (ItemJson, ItemJson) {
    let keys = format!(r#"{{"PK":{{"S":"{id}"}}}}"#);
    let row = format!(r#"{{"PK":{{"S":"{id}"}},"entityType":{{"S":"PET"}},"name":{{"S":"Mia"}}}}"#);
    (ItemJson::from_json(keys), ItemJson::from_json(row))
}

fn row(id: &str, seconds: i64) -> RecordParts<'static> {
    let (keys, row) = pet(id);
    let read_at = Timestamp::from_nanos(seconds * 1_000_000_000);
    RecordParts { source_arn: Some(TABLE.into()), ..RecordParts::snapshot(keys, row, read_at) }
}

fn change(id: &str, sequence_number: &'static str) -> RecordParts<'static> {
    let (keys, row) = pet(id);
    RecordParts {
        event_id: Some(format!("event-{sequence_number}").into()),
        event_name: Some("INSERT".into()),
        source_arn: Some(format!("{TABLE}/stream/2026-11-21T00:00:00.000").into()),
        keys: Some(keys),
        new_image: Some(row),
        sequence_number: Some(sequence_number.into()),
        ..RecordParts::default()
    }
}

async fn dispatch(dispatcher: &Dispatcher, records: &[RecordParts<'_>]) -> BatchReport {
    let mut event = EventWriter::new();
    records.iter().for_each(|record| event.push(record));
    dispatcher.dispatch(event.finish(), &Context::default()).await.expect("an event")
}

fn welcome(record: &Record<Pet>) -> Option<Message> {
    record.change.current().map(|pet| Message::new(pet.name.as_str()))
}

fn skipped(report: &BatchReport) -> BTreeMap<Skip, usize> {
    assert_eq!(report.unfinished, None);
    report.skipped.clone()
}

#[tokio::test]
async fn a_function_sees_where_a_record_comes_from() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let note = move |record: Record<Pet>| {
        notes.lock().expect("no panic under the lock").push((record.change.current().is_some(), record.origin()));
        async {}
    };
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("PET", note) as Router);
    let report = dispatch(&dispatcher, &[change("a", "7"), row("b", 5)]).await;
    assert_eq!(report.applied, 2);
    let mut seen = seen.lock().expect("no panic under the lock").clone();
    seen.sort_by_key(|(_, origin)| origin.is_snapshot());
    let read_at = Timestamp::from_nanos(5_000_000_000);
    assert_eq!(seen, [(true, Origin::Stream), (true, Origin::Snapshot { read_at })]);
}

#[tokio::test]
async fn nobody_is_notified_of_a_row_unless_asked_for() {
    let records = [row("a", 1), change("b", "7"), row("c", 1)];
    for (asked, messages) in [(false, 1), (true, 3)] {
        let topic = Arc::new(publisher::Memory::default());
        let notify = Notify::new(topic.clone(), welcome);
        let notify = if asked { notify.with_snapshots() } else { notify };
        let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("PET", notify) as Router);
        let report = dispatch(&dispatcher, &records).await;
        assert_eq!(topic.messages().len(), messages);
        let passed = if asked { BTreeMap::new() } else { BTreeMap::from([(Skip::Snapshot, 2)]) };
        assert_eq!(skipped(&report), passed);
    }
}

/// Rows that were read together share their time, and the message's text may be the same.
#[tokio::test]
async fn messages_of_different_rows_have_different_ids() {
    let topic = Arc::new(publisher::Memory::default());
    let notify = Notify::new(topic.clone(), welcome).with_snapshots();
    let dispatcher = Dispatcher::new(Router::by_attribute("entityType").route("PET", notify) as Router);
    dispatch(&dispatcher, &[row("a", 1), row("b", 1), row("a", 2)]).await;
    let ids: Vec<_> = topic.messages().iter().map(|message| message.deduplication().map(str::to_owned)).collect();
    assert!(ids[0].is_some() && ids[0] != ids[1], "{ids:?}");
    assert_eq!(ids[0], ids[2], "a slice that is repeated reads the row again");
}

#[tokio::test]
async fn an_effect_passes_rows_over_unless_asked_for() {
    let effects = Arc::new(Mutex::new(0));
    let effect = |count: &Arc<Mutex<usize>>| {
        let count = Arc::clone(count);
        move |_: Record<Pet>| {
            *count.lock().expect("no panic under the lock") += 1;
            async { Ok::<_, Failure>(()) }
        }
    };
    let count = || *effects.lock().expect("no panic under the lock");
    let ledger = Arc::new(ledger::Memory::default());

    let skips = effect(&effects).idempotent(ledger.clone());
    let skips = Dispatcher::new(Router::by_attribute("entityType").route("PET", skips) as Router);
    let report = dispatch(&skips, &[row("a", 1), change("b", "7"), row("c", 1)]).await;
    assert_eq!((count(), skipped(&report)), (1, BTreeMap::from([(Skip::Snapshot, 2)])));

    let asked = effect(&effects).idempotent(ledger).with_snapshots();
    let asked = Dispatcher::new(Router::by_attribute("entityType").route("PET", asked) as Router);
    let report = dispatch(&asked, &[row("a", 2), change("b", "7"), row("c", 2)]).await;
    assert_eq!((count(), skipped(&report)), (3, BTreeMap::from([(Skip::Duplicate, 1)])));
    let report = dispatch(&asked, &[row("a", 3), row("c", 4)]).await;
    assert_eq!((count(), skipped(&report)), (3, BTreeMap::from([(Skip::Duplicate, 2)])), "once per item");
}

/// A row that cannot be handled is a dead letter which, redriven, is a row again; without a sink its place in the batch
/// tells it from the others.
#[tokio::test]
async fn a_row_that_fails_is_named_by_its_place() {
    let refuse = |record: Record<Pet>| async move {
        if record.keys().attribute("PK")?.as_deref() == Some("b") { Err(Failure::reject("no")) } else { Ok(()) }
    };
    let router = || Router::by_attribute("entityType").route("PET", refuse) as Router;
    let rows = [row("a", 1), row("b", 1), row("c", 1)];
    let report = dispatch(&Dispatcher::new(router()), &rows).await;
    assert_eq!(report.unfinished.expect("the row `b`").position, 1);

    let letters = Arc::new(dead_letter::Memory::default());
    let report = dispatch(&Dispatcher::with_dead_letters(router(), letters.clone()), &rows).await;
    assert_eq!((report.dead_lettered, report.applied), (1, 2));
    let mut redriven = EventWriter::new();
    redriven.push_json(&letters.letters()[0].record);
    let report = Dispatcher::new(router()).dispatch(redriven.finish(), &Context::default()).await.expect("an event");
    assert_eq!(report.unfinished.expect("the same row").sequence_number, "1000000");
}
