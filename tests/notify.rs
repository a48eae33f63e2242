//! Notifications by the handler: what is sent, what is not, and how it ends at a deadline.

mod support;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Cause, Dispatcher},
    handler::{Context, Deadline, Failure, Handler, HandlerExt, Skip},
    idempotency::IdempotentExt,
    notify::Notify,
    record::{NewAndOldImages, Record},
    router::Router,
    sink::{
        dead_letter,
        ledger::{self, Ledger},
        publisher::{Fault, Memory, Message, PublishError, Publisher},
    },
};
use futures_util::{StreamExt, stream::BoxStream};
use serde_json::{Value, json};
use support::{Row, Step, number, payload};

fn puts(count: usize, items: u8) -> Vec<Step> {
    (0..count).map(|n| Step { item: (n % usize::from(items)) as u8, value: Some(n as u64) }).collect()
}

fn numbered(record: &Record<Row>) -> Message {
    Message::new(number(record.sequence_number()).to_string())
}

fn bodies(topic: &Memory) -> Vec<String> {
    topic.messages().iter().map(|message| message.body().to_owned()).collect()
}

async fn deliver(handler: impl Handler<Row, NewAndOldImages>, batch: Vec<u8>, time: Option<Duration>) -> BatchReport {
    let letters = dead_letter::Memory::default();
    let dispatcher = Dispatcher::with_dead_letters(Router::<NewAndOldImages>::new().every(handler), letters);
    let context = Context { deadline: time.map_or(Deadline::NEVER, Deadline::after), ..Context::default() };
    dispatcher.dispatch(batch, &context).await.expect("a stream event")
}

/// A topic that takes ten messages at a time, and counts.
#[derive(Clone, Default)]
struct Tens(Arc<AtomicUsize>);

impl Publisher for Tens {
    fn name(&self) -> &str {
        "tens"
    }

    fn publish<'a>(&'a self, messages: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        self.0.fetch_add(messages.len().div_ceil(10), Ordering::Relaxed);
        futures_util::stream::iter((0..messages.len()).map(|at| (at, Ok(())))).boxed()
    }
}

#[tokio::test]
async fn a_whole_batch_is_published_together() {
    let topic = Tens::default();
    let report = deliver(Notify::new(topic.clone(), numbered), payload(&puts(1_000, 100), 0), None).await;
    assert_eq!((report.applied, topic.0.load(Ordering::Relaxed)), (1_000, 100));
    let topic = Tens::default();
    let once = Notify::new(topic.clone(), numbered).idempotent(ledger::Memory::default());
    let report = deliver(once, payload(&puts(1_000, 100), 0), None).await;
    assert_eq!(report.applied, 1_000);
    assert!(topic.0.load(Ordering::Relaxed) <= 104, "at most one request per chunk is not full");
}

#[tokio::test]
async fn every_message_has_a_group_and_an_id_of_its_own() {
    let topic = Arc::new(Memory::default());
    let twice = |record: &Record<Row>| [numbered(record), numbered(record)];
    deliver(Notify::new(topic.clone(), twice), payload(&puts(6, 2), 0), None).await;
    let messages = topic.messages();
    let mut groups: HashMap<&str, Vec<&str>> = HashMap::new();
    for message in &messages {
        groups.entry(message.group_id().expect("a group")).or_default().push(message.body());
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort();
    assert_eq!(groups, [["0", "0", "2", "2", "4", "4"], ["1", "1", "3", "3", "5", "5"]]);
    let ids: std::collections::HashSet<_> =
        messages.iter().map(|message| message.deduplication().expect("an id")).collect();
    assert_eq!(ids.len(), 12);
    assert!(ids.iter().all(|id| id.len() <= 128 && id.bytes().all(|byte| byte.is_ascii_graphic())));
    let again = Arc::new(Memory::default());
    deliver(Notify::new(again.clone(), twice), payload(&puts(6, 2), 0), None).await;
    assert_eq!(again.messages(), messages, "a redelivery makes the same messages, to the id");
}

/// Two handlers of one record and one topic: neither message is a repetition of the other.
#[tokio::test]
async fn handlers_of_one_record_do_not_hide_each_other() {
    let topic = Arc::new(Memory::default());
    let other = |record: &Record<Row>| Message::new(format!("other {}", number(record.sequence_number())));
    let both = Notify::new(topic.clone(), numbered).and(Notify::new(topic.clone(), other));
    deliver(both, payload(&puts(1, 1), 0), None).await;
    let messages = topic.messages();
    assert_eq!(messages.len(), 2);
    assert_ne!(messages[0].deduplication(), messages[1].deduplication());
}

#[tokio::test]
async fn expired_items_are_not_notified_of_unless_asked_for() {
    let mut batch: Value = serde_json::from_slice(&payload(&[Step { item: 0, value: None }], 0)).expect("JSON");
    batch["Records"][0]["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    let batch = batch.to_string().into_bytes();
    let topic = Arc::new(Memory::default());
    let report = deliver(Notify::new(topic.clone(), numbered), batch.clone(), None).await;
    assert_eq!((report.skipped.get(&Skip::Filtered), topic.messages().len()), (Some(&1), 0));
    let report = deliver(Notify::new(topic.clone(), numbered).with_expired(), batch, None).await;
    assert_eq!((report.applied, topic.messages().len()), (1, 1));
}

#[tokio::test]
async fn the_ledger_is_not_asked_about_records_without_messages() {
    let ledger = Arc::new(ledger::Memory::default());
    let topic = Arc::new(Memory::default());
    let even = |record: &Record<Row>| number(record.sequence_number()).is_multiple_of(2).then(|| numbered(record));
    let once = Notify::new(topic.clone(), even)
        .idempotent(ledger.clone())
        .when(|record: &Record<Row>| record.change.current().is_some_and(|row| row.value < 6));
    let report = deliver(once, payload(&puts(10, 5), 0), None).await;
    assert_eq!((report.applied, report.skipped.get(&Skip::Filtered)), (3, Some(&7)));
    assert_eq!((bodies(&topic), ledger.done().len()), (vec!["0".into(), "2".into(), "4".into()], 3));
}

#[tokio::test]
async fn a_builder_that_fails_fails_its_record_alone() {
    let topic = Arc::new(Memory::default());
    let build = |record: &Record<Row>| match number(record.sequence_number()) {
        1 => Err(Failure::reject("no such user")),
        _ => Ok(numbered(record)),
    };
    let report = deliver(Notify::new(topic.clone(), build), payload(&puts(4, 2), 0), None).await;
    assert_eq!((report.applied, report.dead_lettered, report.unfinished), (3, 1, None));
    assert_eq!(bodies(&topic), ["0", "2", "3"], "the one behind it in its lane waited until it was buried");
    let build = |record: &Record<Row>| {
        assert!(number(record.sequence_number()) != 1, "planned panic");
        numbered(record)
    };
    let report = deliver(Notify::new(topic.clone(), build), payload(&puts(4, 2), 0), None).await;
    let unfinished = report.unfinished.expect("the record whose builder panicked");
    assert_eq!((unfinished.position, unfinished.cause.as_str()), (1, "retry"));
}

/// Of a record's two messages the second fails: the record is retried, and nothing behind it in its lane is sent.
#[tokio::test]
async fn a_record_is_as_good_as_the_worst_of_its_messages() {
    let fails = |message: &Message| match message.body() {
        "1b" => Fault::Before(PublishError::other("planned failure")),
        _ => Fault::None,
    };
    let topic = Arc::new(Memory::default().with_faults(fails));
    let two = |record: &Record<Row>| {
        ["a", "b"].map(|part| Message::new(format!("{}{part}", number(record.sequence_number()))))
    };
    let report = deliver(Notify::new(topic.clone(), two), payload(&puts(3, 1), 0), None).await;
    assert_eq!((report.applied, report.unfinished.map(|it| it.position)), (1, Some(1)));
    assert_eq!(bodies(&topic), ["0a", "0b", "1a"]);
}

/// Takes the first message, fails the third, and so never comes to the second, which is of the first one's record.
struct OutOfTurn;

impl Publisher for OutOfTurn {
    fn name(&self) -> &str {
        "out of turn"
    }

    fn publish<'a>(&'a self, _: &'a [Message]) -> BoxStream<'a, (usize, Result<(), PublishError>)> {
        futures_util::stream::iter([(0, Ok(())), (2, Err(PublishError::other("planned failure")))]).boxed()
    }
}

#[tokio::test]
async fn a_record_of_which_only_some_was_published_is_retried() {
    let two = |record: &Record<Row>| [numbered(record), numbered(record)];
    let report = deliver(Notify::new(OutOfTurn, two), payload(&puts(2, 2), 0), None).await;
    let unfinished = report.unfinished.expect("the first record");
    assert_eq!((report.applied, unfinished.position), (0, 0));
    assert!(unfinished.cause.to_string().contains("some of the record's messages"), "{}", unfinished.cause);
}

/// A topic that does not answer any more: what it has taken is a checkpoint, also in the ledger, and nothing stays claimed.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_a_checkpoint() {
    let topic = |hangs: bool| {
        let fault = move |message: &Message| if hangs && message.body() == "2" { Fault::Hang } else { Fault::None };
        Arc::new(Memory::default().with_faults(fault))
    };
    let (time, batch) = (Duration::from_secs(10), payload(&puts(4, 4), 0));
    let ledger = Arc::new(ledger::Memory::default());
    let hanging = topic(true);
    let began = tokio::time::Instant::now();
    let once = Notify::new(hanging.clone(), numbered).idempotent(ledger.clone());
    let report = deliver(once, batch.clone(), Some(time)).await;
    assert!(began.elapsed() < time, "the invocation answers in time");
    let unfinished = report.unfinished.expect("the record that hung");
    assert_eq!((report.applied, unfinished.position), (2, 2));
    assert!(unfinished.cause.to_string().contains("no answer from topic `memory`"), "{}", unfinished.cause);
    assert_eq!(ledger.done().len(), 2);
    assert!((0..4).all(|n| ledger.holder(&format!("{n:032x}")).is_none()), "the rest was released");
    let working = topic(false);
    let report = deliver(Notify::new(working.clone(), numbered).idempotent(ledger), batch, Some(time)).await;
    assert_eq!((report.applied, report.skipped.get(&Skip::Duplicate)), (2, Some(&2)));
}

/// A function that hangs is cut off early enough to release its claims, so that the next delivery need not wait.
#[tokio::test(start_paused = true)]
async fn a_function_that_hangs_gives_its_claims_back() {
    let ledger = Arc::new(ledger::Memory::default());
    let done = Arc::new(Mutex::new(Vec::new()));
    let seen = done.clone();
    let function = move |record: Record<Row>| {
        let (n, seen) = (number(record.sequence_number()), seen.clone());
        async move {
            if n == 1 {
                std::future::pending::<()>().await;
            }
            seen.lock().expect("no panic under the lock").push(n);
        }
    };
    use anabranch::handler::IntoHandler;
    let once = function.into_handler().idempotent(ledger.clone());
    let report = deliver(once, payload(&puts(3, 3), 0), Some(Duration::from_secs(5))).await;
    let unfinished = report.unfinished.expect("the record that hung");
    assert_eq!((report.applied, unfinished.position), (1, 1));
    assert!(matches!(unfinished.cause, Cause::Retry { .. }), "{}", unfinished.cause);
    assert_eq!(ledger.done().len(), done.lock().expect("no panic under the lock").len());
    assert!((0..3).all(|n| ledger.holder(&format!("{n:032x}")).is_none()));
}

/// A chunk of slow records: those that would begin in the second half of the lease are claimed anew.
#[tokio::test(start_paused = true)]
async fn no_record_outlives_its_lease_for_waiting() {
    let began = tokio::time::Instant::now();
    let clock = move || std::time::UNIX_EPOCH + Duration::from_secs(1_763_692_800) + began.elapsed();
    let ledger = Arc::new(ledger::Memory::default());
    let handled = Arc::new(AtomicUsize::new(0));
    let (count, watch) = (handled.clone(), ledger.clone());
    let slow = move |record: Record<Row>| {
        let (count, watch) = (count.clone(), watch.clone());
        let key = record.event_id().expect("an event id").to_owned();
        async move {
            tokio::time::sleep(Duration::from_secs(20)).await;
            let thief = ledger::Owner::unique();
            let term = ledger::Term::new(clock(), Duration::from_secs(60));
            let claim = watch.claim(&[key], &thief, term).await.remove(0).expect("an answer");
            assert_eq!(claim, ledger::Claim::Busy, "the lease holds while the record is handled");
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    use anabranch::handler::FunctionExt;
    let report = deliver(slow.sequential().idempotent(ledger).clock(clock), payload(&puts(9, 9), 0), None).await;
    assert_eq!((report.applied, report.unfinished, handled.load(Ordering::Relaxed)), (9, None, 9));
}
