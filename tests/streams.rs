//! From a table through its stream into its replica, over the embedded API: every part is the real one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Failure, FunctionExt},
    record::{Cause, NewAndOldImages, RawImage, Record},
    replica::Replica,
    router::Router,
    sink::{
        dead_letter::Memory,
        table::{AttributeValue, DEFAULT_VERSION_ATTRIBUTE, DynamoDb, Item, item, text},
    },
    source::streams::BatchReader,
    testing::embedded::{Embedded, EmbeddedError, PET_TRACKER, PET_TRACKER_REPLICA, PET_TRACKER_TTL},
};
use aws_sdk_dynamodb::Client;

async fn put(client: &Client, row: Item) {
    client.put_item().table_name(PET_TRACKER).set_item(Some(row.into())).send().await.expect("a put");
}

async fn delete(client: &Client, key: Item) {
    client.delete_item().table_name(PET_TRACKER).set_key(Some(key.into())).send().await.expect("a delete");
}

fn key(pet: usize) -> Item {
    item([("PK", text("USER#ada")), ("SK", text(format!("PET#{pet}")))])
}

fn pet(pet: usize, weight: usize) -> Item {
    let mut row = key(pet);
    row.insert("weightKg".into(), AttributeValue::N(format!("{weight}.2345678901234567890123456789012345")));
    row.insert("toys".into(), AttributeValue::Ss(vec!["ball".into(), "rope".into()]));
    row.insert("photo".into(), AttributeValue::B(vec![0, 255, weight as u8]));
    row
}

/// All rows of a table by key, without the replica's own attribute and without an order of sets.
async fn rows(client: &Client, table: &str) -> HashMap<String, Item> {
    let scanned = client.scan().table_name(table).send().await.expect("a scan").items.unwrap_or_default();
    let row = |row: HashMap<_, _>| {
        let mut row = Item::from(row);
        row.remove(DEFAULT_VERSION_ATTRIBUTE);
        if let Some(AttributeValue::Ss(toys)) = row.get_mut("toys") {
            toys.sort();
        }
        (format!("{:?}", row["SK"]), row)
    };
    scanned.into_iter().map(row).collect()
}

/// Reads, dispatches and answers until the stream has nothing more.
async fn drain(reader: &mut BatchReader, dispatcher: &Dispatcher) -> Vec<BatchReport> {
    let mut reports = Vec::new();
    while let Some(batch) = reader.next().await.expect("a readable stream") {
        let report = dispatcher.dispatch(batch.payload.clone(), &Context::default()).await.expect("a stream event");
        reader.answer(batch, &report);
        reports.push(report);
        assert!(reports.len() < 1_000, "no progress");
    }
    reports
}

#[tokio::test]
async fn a_table_and_its_replica_are_equal() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    let client = embedded.dynamodb();
    let replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA));
    let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(replica));
    let mut reader = BatchReader::new(embedded.streams(), stream).batch_size(7);
    for round in 0..4 {
        for n in 0..15 {
            match (n + round) % 5 {
                0 => delete(&client, key(n % 6)).await,
                _ => put(&client, pet(n % 6, n + 100 * round)).await,
            }
        }
        let reports = drain(&mut reader, &dispatcher).await;
        assert!(reports.iter().all(|report| report.unfinished.is_none() && report.read <= 7));
        assert_eq!(rows(&client, PET_TRACKER).await, rows(&client, PET_TRACKER_REPLICA).await, "round {round}");
    }
    assert!(!rows(&client, PET_TRACKER).await.is_empty());
    embedded.stop().await
}

#[tokio::test]
async fn a_record_that_fails_once_is_where_reading_goes_on() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    for n in 0..5 {
        put(&embedded.dynamodb(), pet(n, n)).await;
    }
    let (seen, fails) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(true)));
    let log = Arc::clone(&seen);
    let handler = move |record: Record<RawImage>| {
        let (log, fails) = (Arc::clone(&log), Arc::clone(&fails));
        async move {
            let pet = record.keys().attribute("SK")?.expect("a sort key").into_owned();
            let fail = pet == "PET#2" && fails.swap(false, Ordering::Relaxed);
            log.lock().expect("no panic under the lock").push(pet);
            if fail { Err(Failure::retry("told to fail")) } else { Ok(()) }
        }
    };
    let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(handler.sequential()));
    let reports = drain(&mut BatchReader::new(embedded.streams(), stream), &dispatcher).await;
    assert_eq!(reports.iter().map(|report| report.redelivered).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(*seen.lock().expect("no panic under the lock"), ["PET#0", "PET#1", "PET#2", "PET#2", "PET#3", "PET#4"]);
    embedded.stop().await
}

#[tokio::test]
async fn items_that_expire_leave_the_replica_and_say_why() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    let stream = embedded.create_pet_tracker().await?;
    let client = embedded.dynamodb();
    let mut mortal = pet(1, 1);
    mortal.insert(PET_TRACKER_TTL.into(), AttributeValue::N("1".into()));
    put(&client, mortal).await;
    put(&client, pet(2, 2)).await;
    assert_eq!(embedded.sweep_ttl().await?, 1);
    let expired = Arc::new(Mutex::new(Vec::new()));
    let seen = expired.clone();
    let watch = move |record: Record<RawImage>| {
        let seen = seen.clone();
        async move {
            if record.cause() == Cause::TimeToLive {
                seen.lock().expect("no panic under the lock").push(record.event_name().as_str());
            }
        }
    };
    let replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA));
    let router = Router::<NewAndOldImages>::new().every(replica).every(watch);
    let dispatcher = Dispatcher::with_dead_letters(router, Memory::default());
    drain(&mut BatchReader::new(embedded.streams(), stream), &dispatcher).await;
    assert_eq!(*expired.lock().expect("no panic under the lock"), ["REMOVE"]);
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await, rows(&client, PET_TRACKER).await);
    assert_eq!(rows(&client, PET_TRACKER_REPLICA).await.len(), 1);
    embedded.stop().await
}
