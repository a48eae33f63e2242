//! The same on DynamoDB's API: scans, batches of reads, conditions.

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Deadline},
    record::{NewAndOldImages, NewImage},
    replica::{Replica, Sweep},
    router::Router,
    sink::table::{DynamoDb, Item, text},
    source::{
        backfill::{
            Answer, Ask, Backfill, BackfillFunction, TableHistory,
            verify::{Extent, Report, Rows, TableRows, Verify, VerifyError},
        },
        streams::BatchReader,
    },
    testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA, PET_TRACKER_TTL, PET_TRACKER_VIEWS},
    view::{Contribution, View},
};
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures_util::TryStreamExt;

const PETS: usize = 150;

#[derive(serde::Deserialize)]
struct Pet {
    species: String,
}

fn species(table: DynamoDb) -> View<Pet> {
    View::aggregate("species", table, |pet: &Pet| vec![Contribution::to("SPECIES", &*pet.species).count("pets")])
}

/// PetTracker with its replica and a view, both brought up to date from its stream.
async fn kept() -> (Embedded, Client) {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    let stream = embedded.create_pet_tracker().await.expect("tables");
    embedded.put_pets(PETS).await.expect("pets");
    let client = embedded.dynamodb();
    let replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA));
    let view = species(DynamoDb::new(client.clone(), PET_TRACKER_VIEWS));
    let dispatcher = Dispatcher::new(Router::<NewAndOldImages>::new().every(replica).every(view));
    let mut reader = BatchReader::new(embedded.streams(), stream).batch_size(100);
    while let Some(batch) = reader.next().await.expect("a stream") {
        let report = dispatcher.dispatch(batch.payload.clone(), &Context::default()).await.expect("a batch");
        assert!(report.unfinished.is_none(), "{report:?}");
        reader.answer(batch, &report);
    }
    (embedded, client)
}

async fn rows(client: &Client, table: &str) -> TableRows {
    TableRows::of(client, table).await.expect("it is described").segments(4, 2)
}

async fn replica(client: &Client) -> Verify {
    let replica: Replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA));
    let (source, target) = (rows(client, PET_TRACKER).await, rows(client, PET_TRACKER_REPLICA).await);
    Verify::replica(source, replica, target).settle(std::time::Duration::from_millis(20))
}

fn kinds(report: &Report) -> Vec<String> {
    let mut kinds: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
    kinds.sort_unstable();
    kinds
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_compared_and_repaired() {
    let (embedded, client) = kept().await;
    let verify = replica(&client).await;
    let report = verify.run().await.expect("two tables");
    assert_eq!((report.source, report.target, report.differences()), (PETS as u64, PETS as u64, 0), "{report}");
    assert!(report.units >= 2.0 * PETS as f64, "each row was asked for by its key: {}", report.units);

    let some = rows(&client, PET_TRACKER).await;
    let some: Vec<_> = some.pages(Extent::Full).try_collect().await.expect("a scan");
    let some: Vec<Item> = some.into_iter().flat_map(|page| page.rows).collect();
    let key = |n: usize| some[n].iter().filter(|(name, _)| matches!(&***name, "PK" | "SK"));
    let sdk = |item: &Item| -> std::collections::HashMap<String, AttributeValue> { item.clone().into() };
    let lost = key(0).map(|(name, value)| (name.clone(), value.clone().into())).collect();
    client.delete_item().table_name(PET_TRACKER_REPLICA).set_key(Some(lost)).send().await.expect("it is lost");
    let mut altered = some[1].clone();
    altered.insert("name".to_owned(), text("nobody"));
    client
        .put_item()
        .table_name(PET_TRACKER_REPLICA)
        .set_item(Some(sdk(&altered)))
        .send()
        .await
        .expect("it is altered");
    altered.insert("SK".to_owned(), text("PET#nobody"));
    client
        .put_item()
        .table_name(PET_TRACKER_REPLICA)
        .set_item(Some(sdk(&altered)))
        .send()
        .await
        .expect("it is planted");

    let report = verify.run().await.expect("two tables");
    assert_eq!(kinds(&report), ["different in name", "extra", "missing"]);
    let shown = format!("{report:?} {}", report.findings[0]);
    assert!(!shown.contains("nobody") && !shown.contains("USER#"), "neither values nor keys: {shown}");
    let repaired = verify.clone().repairing().run().await.expect("two tables");
    assert_eq!(kinds(&repaired), ["different in name; put right", "extra; put right", "missing; put right"]);
    assert_eq!(verify.run().await.expect("two tables").differences(), 0);
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sample_is_as_large_as_it_should_be_and_no_larger() {
    let (embedded, client) = kept().await;
    let verify = replica(&client).await;
    for (wanted, got) in [(1, 1), (40, 40), (1_000, PETS as u64)] {
        let report = verify.clone().sample(wanted).run().await.expect("two tables");
        assert_eq!((report.source, report.target, report.differences()), (got, got, 0), "{report}");
    }
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_added_up() {
    let (embedded, client) = kept().await;
    let view = species(DynamoDb::new(client.clone(), PET_TRACKER_VIEWS));
    let (source, target) = (rows(&client, PET_TRACKER).await, rows(&client, PET_TRACKER_VIEWS).await);
    let verify = Verify::view(source, view, target, |item| item.contains_key("species"));
    let verify = verify.settle(std::time::Duration::from_millis(20));
    let report = verify.run().await.expect("two tables");
    assert!(report.is_equal() && report.totals > 0 && report.source == PETS as u64, "{report}");
    let few = verify.clone().most_rows(0).run().await.expect_err("there is a row");
    assert!(matches!(few, VerifyError::TooManyRows { limit: 0 }), "{few}");
    embedded.stop().await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_machine_is_told_what_a_sample_came_to() {
    let (embedded, client) = kept().await;
    let replica: Replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA))
        .reread(DynamoDb::new(client.clone(), PET_TRACKER));
    let sweep = Router::<NewImage>::new().every(Sweep::new(replica.clone()));
    let bring = Router::<NewImage>::new().every(replica.clone());
    let function = BackfillFunction::new(client.clone(), PET_TRACKER, bring, "backfill");
    let function = function.sweeping(client, PET_TRACKER_REPLICA, sweep).verifying(replica);
    let report = async |deadline| match function.answer(Ask::Report { segments: Vec::new() }, deadline).await {
        Ok(Answer::Report { verified, .. }) => verified,
        other => panic!("no report: {other:?}"),
    };
    let verified = report(Deadline::NEVER).await.expect("there is a replica, and time");
    assert!(verified.is_equal() && verified.source == PETS as u64, "{verified}");
    assert_eq!(report(Deadline::after(std::time::Duration::ZERO)).await, None, "there is no time");
    embedded.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_that_says_which() {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_table(PET_TRACKER, None).await.expect("a table");
    let client = embedded.dynamodb();
    let none: Replica = Replica::new(DynamoDb::new(client.clone(), "None"));
    let verify = Verify::replica(rows(&client, PET_TRACKER).await, none, TableRows::new(&client, "None", ["PK", "SK"]));
    let error = verify.run().await.expect_err("no such table");
    assert!(matches!(error, VerifyError::Pages { side: "target", .. }), "{error}");
    embedded.stop().await.expect("it stops");
}

/// An item expires by a number of seconds that is not too far in the past: nothing else is left out by a backfill, or not compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_dynamodb_deletes_is_left_out() {
    let embedded = Embedded::start().await.expect("an embedded DynamoDB");
    embedded.create_pet_tracker().await.expect("tables");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let (day, year) = (86_400, 365 * 86_400);
    let number = |seconds: u64| AttributeValue::N(seconds.to_string());
    let times = [
        ("epoch", number(0)),
        ("long-ago", number(now - 6 * year)),
        ("yesterday", number(now - day)),
        ("text", AttributeValue::S((now - day).to_string())),
        ("tomorrow", number(now + day)),
    ];
    let row = |(name, expires): (&str, AttributeValue)| {
        let key = |value: &str| AttributeValue::S(value.to_owned());
        [("PK", key("USER#1")), ("SK", key(name)), (PET_TRACKER_TTL, expires)].map(|(it, value)| (it.to_owned(), value))
    };
    embedded.put_rows(PET_TRACKER, times.map(row)).await.expect("rows");
    let client = embedded.dynamodb();
    let verify = replica(&client).await.skip_expired(PET_TRACKER_TTL);
    let report = verify.run().await.expect("two tables");
    assert_eq!((report.missing, report.expired), (4, 1), "{report}");

    let history = TableHistory::of(&client, PET_TRACKER).await.expect("a table").skip_expired(PET_TRACKER_TTL);
    let places = history.places().expect("segments");
    let source = DynamoDb::new(client.clone(), PET_TRACKER);
    let to: Replica = Replica::new(DynamoDb::new(client.clone(), PET_TRACKER_REPLICA)).reread(source);
    let backfill = Backfill::new(history, Router::<NewImage>::new().every(to), "replica");
    let mut job = backfill.job("expiry", places);
    backfill.run(&mut job, 1, |_| ()).await.expect("a backfill");
    assert_eq!((job.counts().applied, job.counts().expired), (4, 1));
    let report = verify.run().await.expect("two tables");
    assert_eq!((report.differences(), report.target), (0, 4), "{report}");
    embedded.stop().await.expect("it stops");
}
