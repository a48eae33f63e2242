//! The DynamoDB ledger against the embedded DynamoDB API, and a handler that uses it.

use std::{sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    handler::{Context, Skip},
    idempotency::IdempotentExt,
    notify::Notify,
    record::{NewAndOldImages, Record},
    router::Router,
    sink::{
        conformance,
        ledger::{DynamoDb, Ledger, LedgerError, Owner, Term},
        publisher::{Memory, Message},
    },
    testing::embedded::{Embedded, EmbeddedError},
};
use serde_json::json;

const LEDGER: &str = "Ledger";

#[tokio::test]
async fn conforms() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_ledger(LEDGER).await?;
    let ledger = |effect| DynamoDb::new(embedded.dynamodb(), LEDGER, effect);
    conformance::ledger(&ledger("welcome")).await;
    conformance::ledger(&ledger("farewell").one_by_one()).await;
    embedded.stop().await
}

#[tokio::test]
async fn entries_that_are_over_are_swept() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_ledger(LEDGER).await?;
    let ledger = DynamoDb::new(embedded.dynamodb(), LEDGER, "welcome");
    let (owner, day) = (Owner::unique(), Duration::from_secs(24 * 60 * 60));
    let now = std::time::SystemTime::now();
    let over = Term::new(now - 8 * day, 7 * day);
    ledger.complete(&["old".to_owned()], &owner, over).await.remove(0).expect("noted");
    ledger.claim(&["crashed".to_owned()], &owner, over).await.remove(0).expect("claimed");
    ledger.complete(&["new".to_owned()], &owner, Term::new(now, 7 * day)).await.remove(0).expect("noted");
    assert_eq!(embedded.sweep_ttl().await?, 2);
    embedded.stop().await
}

#[tokio::test]
async fn tables_that_are_no_ledgers_are_retries_that_name_the_remedy() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_table("Other", None).await?;
    let cases =
        [("Missing", "table `Missing` does not exist; create it"), ("Other", "the partition key `id`, a string")];
    for (table, remedy) in cases {
        let ledger = DynamoDb::new(embedded.dynamodb(), table, "welcome");
        let keys: Vec<_> = (0..50).map(|key| format!("secret {key}")).collect();
        let (owner, term) = (Owner::unique(), Term::new(std::time::SystemTime::now(), Duration::from_secs(60)));
        let claims = ledger.claim(&keys, &owner, term).await;
        assert_eq!(claims.len(), 50);
        let completions = ledger.complete(&keys[..1], &owner, term).await;
        let releases = ledger.release(&keys[..1], &owner).await;
        let errors: Vec<LedgerError> = claims.into_iter().filter_map(Result::err).collect();
        let others = completions.into_iter().chain(releases).filter_map(Result::err);
        for error in errors.into_iter().chain(others) {
            assert!(!error.is_reject());
            assert!(error.to_string().contains(remedy), "{error}");
            assert!(!format!("{error:?}").contains("secret"));
        }
    }
    embedded.stop().await
}

#[derive(serde::Deserialize)]
struct Pet {
    name: String,
}

/// The whole way: a batch, a second one of the same records, and one message each.
#[tokio::test]
async fn a_change_is_notified_of_once() -> Result<(), EmbeddedError> {
    let embedded = Embedded::start().await?;
    embedded.create_ledger(LEDGER).await?;
    let topic = Arc::new(Memory::default());
    let welcome = |record: &Record<Pet>| record.change.current().map(|pet| Message::new(format!("Hi, {}", pet.name)));
    let ledger = DynamoDb::new(embedded.dynamodb(), LEDGER, "welcome");
    let router = Router::<NewAndOldImages>::new().every(Notify::new(topic.clone(), welcome).idempotent(ledger));
    let dispatcher = Dispatcher::new(router);
    let record = |n: usize| {
        let pet = json!({"name": {"S": format!("pet {n}")}});
        json!({"eventID": format!("e{n}"), "eventName": "INSERT", "dynamodb": {
            "SequenceNumber": n.to_string(), "Keys": {"id": {"N": n.to_string()}}, "NewImage": pet}})
    };
    let batch = json!({"Records": (1..=60).map(record).collect::<Vec<_>>()}).to_string();
    let report = dispatcher.dispatch(batch.clone(), &Context::default()).await.expect("a stream event");
    assert_eq!((report.applied, report.unfinished), (60, None));
    let report = dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event");
    assert_eq!((report.skipped.get(&Skip::Duplicate), report.unfinished), (Some(&60), None));
    assert_eq!(topic.messages().len(), 60);
    embedded.stop().await
}
