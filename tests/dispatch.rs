//! The dispatcher from payload to answer: routing, fan-out, rejects, isolation, tumbling windows.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Cause, DispatchError, Dispatcher},
    handler::{Batch, Context, Deadline, Failure, Handler, HandlerExt, Outcome, Skip},
    record::{FromImage, KeysOnly, NewAndOldImages, RawImage, Record, StreamView},
    router::Router,
    sink::dead_letter::{DeadLetter, DeadLetterError, DeadLetterSink, Memory},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::{Value, json};
use support::{Act, Plan, Row, Shared, Step, payload, record, sequence};

/// What a handler saw, by event name and sequence number.
type Seen = Arc<Mutex<Vec<String>>>;

fn note<T: Send + 'static, V: StreamView>(seen: &Seen, who: &str, record: &Record<T, V>) {
    let line = format!("{who} {:?} {}", record.event_name(), support::number(record.sequence_number()));
    seen.lock().expect("not poisoned").push(line);
}

fn noting<T: FromImage>(
    seen: &Seen,
    who: &'static str,
) -> impl Fn(Record<T>) -> std::future::Ready<()> + Send + Sync + 'static {
    let seen = seen.clone();
    move |record| {
        note(&seen, who, &record);
        std::future::ready(())
    }
}

fn taken(seen: &Seen) -> Vec<String> {
    std::mem::take(&mut seen.lock().expect("not poisoned"))
}

async fn dispatch(dispatcher: &Dispatcher, records: Vec<Value>) -> BatchReport {
    let payload = json!({ "Records": records }).to_string();
    dispatcher.dispatch(payload, &Context::default()).await.expect("a stream event")
}

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn typed(n: usize, item: u8, old: Option<&str>, new: Option<&str>) -> Value {
    let step = Step { item, value: new.map(|_| 1) };
    let mut record = record(n, &step, old.map(|_| 0));
    for (image, entity) in [("OldImage", old), ("NewImage", new)] {
        if let Some(entity) = entity {
            record["dynamodb"][image]["entityType"] = json!({"S": entity});
        }
    }
    record
}

#[tokio::test]
async fn an_item_that_changes_its_type_leaves_one_and_joins_the_other() {
    let seen = Seen::default();
    let router = Router::by_attribute("entityType")
        .route("CAT", noting::<RawImage>(&seen, "cat"))
        .route("DOG", noting::<RawImage>(&seen, "dog"));
    let report = dispatch(&Dispatcher::new(router), vec![typed(0, 0, Some("CAT"), Some("DOG"))]).await;
    assert_eq!(taken(&seen), ["cat Remove 0", "dog Insert 0"]);
    assert_eq!((report.read, report.applied), (1, 1));
}

#[tokio::test]
async fn a_record_goes_to_every_handler_of_its_type() {
    let seen = Seen::default();
    let router = Router::by_attribute("entityType")
        .route("ROW", noting::<RawImage>(&seen, "first"))
        .route("ROW", noting::<Row>(&seen, "second"))
        .every(noting::<RawImage>(&seen, "every"));
    let report = dispatch(&Dispatcher::new(router), vec![record(0, &put(0, 1), None)]).await;
    assert_eq!(taken(&seen), ["first Insert 0", "second Insert 0", "every Insert 0"]);
    assert_eq!(report.applied, 1, "one record, however many handlers");
}

#[tokio::test]
async fn entities_that_nobody_declared_are_rejected() {
    let seen = Seen::default();
    let router = Router::by_attribute("entityType").route("CAT", noting::<RawImage>(&seen, "cat"));
    let letters = Arc::new(Memory::default());
    let dispatcher = Dispatcher::with_dead_letters(router, letters.clone());
    let report = dispatch(&dispatcher, vec![typed(0, 0, None, Some("CAT")), typed(1, 1, None, Some("FISH"))]).await;
    assert_eq!((report.applied, report.dead_lettered), (1, 1));
    let reason = letters.letters()[0].reason.clone();
    assert!(reason.contains("is not routed") && reason.contains(".ignore("), "{reason}");
    assert!(!reason.contains("FISH"), "an entity type that nobody knows may be any value: {reason}");
}

#[tokio::test]
async fn ignored_entities_are_skipped_and_counted() {
    let seen = Seen::default();
    let router = Router::by_attribute("entityType").route("CAT", noting::<RawImage>(&seen, "cat")).ignore("FISH");
    let report = dispatch(&Dispatcher::new(router), vec![typed(0, 0, None, Some("FISH"))]).await;
    assert_eq!(report.skipped.get(&Skip::Ignored), Some(&1));
    assert!(report.unfinished.is_none());
}

#[tokio::test]
async fn keys_route_by_their_prefix() {
    let seen = Seen::default();
    let shared = seen.clone();
    let keys = move |record: Record<RawImage, KeysOnly>| {
        note(&shared, "item", &record);
        std::future::ready(())
    };
    let router = Router::<NewAndOldImages>::by_key_prefix("PK", '-').route("item", keys);
    let report = dispatch(&Dispatcher::new(router), vec![record(0, &put(0, 1), None)]).await;
    assert_eq!(taken(&seen), ["item Insert 0"]);
    assert_eq!(report.applied, 1);
}

#[tokio::test]
async fn a_predicate_skips_what_it_does_not_want() {
    let seen = Seen::default();
    let big = noting::<Row>(&seen, "big")
        .when(|record: &Record<Row>| record.change.current().is_some_and(|row| row.value > 5));
    let router = Router::by_attribute("entityType").route("ROW", big);
    let report =
        dispatch(&Dispatcher::new(router), vec![record(0, &put(0, 1), None), record(1, &put(1, 9), None)]).await;
    assert_eq!(taken(&seen), ["big Insert 1"]);
    assert_eq!((report.applied, report.skipped.get(&Skip::Filtered)), (1, Some(&1)));
}

#[tokio::test]
async fn two_handlers_on_one_route_both_have_to_succeed() {
    let seen = Seen::default();
    async fn fails(_: Record<Row>) -> Result<(), Failure> {
        Err(Failure::retry("the second is down"))
    }
    let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&seen, "first").and(fails));
    let report = dispatch(&Dispatcher::new(router), vec![record(0, &put(0, 1), None)]).await;
    assert_eq!(taken(&seen), ["first Insert 0"]);
    let unfinished = report.unfinished.expect("named");
    assert_eq!(unfinished.sequence_number, sequence(0));
    assert!(matches!(unfinished.cause, Cause::Retry { reason, .. } if reason == "the second is down"));
}

/// One of two handlers on one route rejects v1, early or late. It waits with v2 until v1 is buried; the other, which has
/// seen v2 by then, or not, sees it once.
#[tokio::test(start_paused = true)]
async fn a_reject_of_one_handler_repeats_nothing_of_the_other() {
    for (rejects_after, sees_after) in [(0, 10), (10, 0), (100, 10)] {
        let (left, right) = (Seen::default(), Seen::default());
        let rejecting = {
            let left = left.clone();
            move |record: Record<Row>| {
                note(&left, "left", &record);
                let first = support::number(record.sequence_number()) == 0;
                async move {
                    tokio::time::sleep(Duration::from_millis(rejects_after)).await;
                    if first { Err(Failure::reject("no")) } else { Ok(()) }
                }
            }
        };
        let noting = {
            let right = right.clone();
            move |record: Record<Row>| {
                note(&right, "right", &record);
                tokio::time::sleep(Duration::from_millis(sees_after))
            }
        };
        let letters = Arc::new(Memory::default());
        let router = Router::by_attribute("entityType").route("ROW", rejecting.and(noting));
        let dispatcher = Dispatcher::with_dead_letters(router, letters.clone());
        let batch = vec![record(0, &put(0, 1), None), record(1, &put(0, 2), Some(1)), record(2, &put(1, 2), None)];
        let report = dispatch(&dispatcher, batch).await;
        assert_eq!(report.unfinished, None);
        assert_eq!((report.applied, report.dead_lettered, letters.letters().len()), (2, 1, 1));
        for seen in [&left, &right] {
            let mut seen: Vec<_> = taken(seen).into_iter().map(|line| line[line.len() - 1..].to_owned()).collect();
            seen.sort();
            assert_eq!(seen, ["0", "1", "2"]);
        }
    }
}

/// A letter says that a record is done with, and one of the handlers is not.
#[tokio::test]
async fn what_one_handler_rejects_is_no_letter_before_the_other_has_answered() {
    async fn rejects(_: Record<Row>) -> Result<(), Failure> {
        Err(Failure::reject("no"))
    }
    let letters = Arc::new(Memory::default());
    let router = Router::by_attribute("entityType").route("ROW", rejects.and(Forgetful));
    let dispatcher = Dispatcher::with_dead_letters(router, letters.clone());
    let report = dispatch(&dispatcher, (0..2).map(|n| record(n, &put(n as u8, 1), None)).collect()).await;
    let unfinished = report.unfinished.expect("the second was forgotten");
    assert_eq!((unfinished.position, letters.letters().len()), (1, 1));
    assert!(matches!(unfinished.cause, Cause::Unanswered { .. }));
}

fn poison(n: usize, item: u8) -> Value {
    let mut record = record(n, &put(item, 1), None);
    record["dynamodb"]["NewImage"]["value"] = json!({"S": "secret-value"});
    record
}

#[tokio::test]
async fn a_poisonous_record_never_fails_its_neighbours() {
    let seen = Seen::default();
    let letters = Arc::new(Memory::default());
    let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&seen, "row"));
    let dispatcher = Dispatcher::with_dead_letters(router, letters.clone());
    let batch =
        vec![record(0, &put(0, 1), None), poison(1, 1), record(2, &put(1, 2), None), record(3, &put(2, 3), None)];
    let report = dispatch(&dispatcher, batch).await;
    let mut seen = taken(&seen);
    seen.sort();
    assert_eq!(seen, ["row Insert 0", "row Insert 2", "row Insert 3"]);
    assert_eq!((report.applied, report.dead_lettered, report.read), (3, 1, 4));
    let letter = letters.letters().remove(0);
    assert_eq!(letter.sequence_number, Some(sequence(1)));
    assert!(letter.reason.contains("Records[1].dynamodb.NewImage.value"), "{}", letter.reason);
    assert!(!letter.reason.contains("secret-value"), "values do not belong into reasons: {}", letter.reason);
}

#[tokio::test]
async fn without_a_sink_a_reject_is_a_retry() {
    let seen = Seen::default();
    let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&seen, "row"));
    let batch = vec![record(0, &put(0, 1), None), poison(1, 1), record(2, &put(2, 3), None)];
    let report = dispatch(&Dispatcher::new(router), batch).await;
    assert_eq!(report.unfinished.map(|it| it.position), Some(1));
    assert_eq!(taken(&seen), ["row Insert 0"], "nothing behind it is started");
}

/// The rejected record holds its lane until the sink has it: v3 must not be handled before v2 is out of the way.
#[tokio::test]
async fn a_lane_waits_until_its_reject_is_buried() {
    let world = Shared::default();
    let plan = Plan::from([(1, vec![(Act::Reject, Duration::ZERO)])]);
    let (shared, plan) = (world.clone(), Arc::new(plan));
    let handler = move |record: Record<Row>| shared.clone().handle(plan.clone(), record);
    let letters = Arc::new(Memory::default());
    let router = Router::by_attribute("entityType").route("ROW", handler);
    let dispatcher = Dispatcher::with_dead_letters(router, letters.clone());
    let steps = [put(0, 1), put(0, 2), put(0, 3), put(1, 4)];
    let report = dispatcher.dispatch(payload(&steps, 0), &Context::default()).await.expect("a stream event");
    assert_eq!((report.applied, report.dead_lettered), (3, 1));
    assert_eq!(world.lock().applied, [0, 3, 2], "the other item goes on, this one waits");
}

#[tokio::test]
async fn a_sink_that_fails_makes_the_reject_a_retry() {
    struct Down;
    impl DeadLetterSink for Down {
        fn send<'a>(&'a self, _: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
            // No answers at all: the worst that a sink can do.
            Box::pin(std::future::ready(Vec::new()))
        }
    }
    let seen = Seen::default();
    let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&seen, "row"));
    let report =
        dispatch(&Dispatcher::with_dead_letters(router, Down), vec![poison(0, 0), record(1, &put(1, 1), None)]).await;
    let unfinished = report.unfinished.expect("named");
    assert_eq!(unfinished.position, 0);
    assert!(matches!(unfinished.cause, Cause::NotBuried { .. }));
}

/// Takes so long for each letter, one behind the other, and keeps them all.
#[derive(Clone)]
struct Slow {
    per_letter: Duration,
    kept: Arc<Memory>,
    /// How many letters each call brought.
    calls: Arc<Mutex<Vec<usize>>>,
}

impl Slow {
    fn new(per_letter: Duration) -> Self {
        Self { per_letter, kept: Arc::default(), calls: Arc::default() }
    }

    fn numbers(&self) -> Vec<Option<String>> {
        self.kept.letters().into_iter().map(|letter| letter.sequence_number).collect()
    }
}

impl DeadLetterSink for Slow {
    fn send<'a>(&'a self, letters: &'a [DeadLetter]) -> BoxFuture<'a, Vec<Result<(), DeadLetterError>>> {
        async move {
            self.calls.lock().expect("not poisoned").push(letters.len());
            let mut answers = Vec::new();
            for letter in letters {
                tokio::time::sleep(self.per_letter).await;
                answers.extend(self.kept.send(std::slice::from_ref(letter)).await);
            }
            answers
        }
        .boxed()
    }
}

/// A record that has a number and no event name.
fn unreadable(n: usize) -> Value {
    let mut record = record(n, &put(0, 1), None);
    record["eventName"] = json!("NOTHING");
    record
}

async fn dispatch_within(dispatcher: &Dispatcher, time: Duration, records: &[Value]) -> (BatchReport, Duration) {
    let context = Context { deadline: Deadline::after(time), ..Context::default() };
    let payload = json!({ "Records": records }).to_string();
    let report = dispatcher.dispatch(payload, &context).await.expect("a checkpoint");
    (report, context.deadline.remaining().expect("there is a deadline"))
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_hangs_leaves_time_to_answer() {
    for (at, batch) in [
        (1, vec![record(0, &put(0, 1), None), poison(1, 1), record(2, &put(2, 3), None)]),
        (0, vec![unreadable(0), record(1, &put(1, 1), None)]),
    ] {
        let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&Seen::default(), "row"));
        let dispatcher = Dispatcher::with_dead_letters(router, Slow::new(Duration::MAX));
        let (report, left) = dispatch_within(&dispatcher, Duration::from_secs(60), &batch).await;
        assert!(left >= Duration::from_millis(100), "{left:?}");
        let unfinished = report.unfinished.expect("named");
        assert_eq!((unfinished.position, report.applied), (at, at));
        let Cause::NotBuried { sink, .. } = unfinished.cause else { panic!("{:?}", unfinished.cause) };
        assert_eq!(sink, "the dead letter sink did not answer before the deadline");
    }
}

#[tokio::test(start_paused = true)]
async fn burying_what_nobody_can_read_ends_with_a_checkpoint() {
    let batch: Vec<_> = (0..200).map(unreadable).collect();
    let sink = Slow::new(Duration::from_millis(20));
    let dispatcher = Dispatcher::with_dead_letters(Router::<NewAndOldImages>::new(), sink.clone());
    let mut from = 0;
    for delivery in 0.. {
        let (report, left) = dispatch_within(&dispatcher, Duration::from_secs(2), &batch[from..]).await;
        assert!(left >= Duration::from_millis(100), "delivery {delivery}: {left:?}");
        from += report.dead_lettered;
        assert_eq!(report.read, report.dead_lettered + report.redelivered);
        assert_eq!(sink.numbers().len(), from, "what was sent is done with");
        let Some(unfinished) = report.unfinished else { break };
        assert_eq!(unfinished.cause, Cause::Deadline, "delivery {delivery}");
        assert_eq!(unfinished.sequence_number, sequence(from));
        assert!(report.dead_lettered >= 50, "{} of about 85 that there was time for", report.dead_lettered);
    }
    assert_eq!(sink.numbers(), (0..200).map(|n| Some(sequence(n))).collect::<Vec<_>>(), "each once, in order");
}

#[tokio::test]
async fn unreadable_records_that_follow_each_other_are_buried_together() {
    let seen = Seen::default();
    let mut batch: Vec<_> = (0..13).map(unreadable).collect();
    batch.extend([record(13, &put(0, 1), None), unreadable(14)]);
    let sink = Slow::new(Duration::ZERO);
    let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&seen, "row"));
    let report = dispatch(&Dispatcher::with_dead_letters(router, sink.clone()), batch).await;
    assert_eq!((report.read, report.applied, report.dead_lettered), (15, 1, 14));
    assert_eq!(*sink.calls.lock().expect("not poisoned"), [1, 2, 4, 6, 1], "more and more at a time");
    assert_eq!(taken(&seen), ["row Insert 13"]);
}

/// What it had taken of ten together when time was over, nobody would know.
#[tokio::test(start_paused = true)]
async fn a_sink_that_takes_long_gets_on_by_a_record_in_each_delivery() {
    let misfit = |n| poison(n, u8::try_from(n).expect("a few"));
    let batches: [Vec<_>; 2] = [(0..4).map(unreadable).collect(), (0..4).map(misfit).collect()];
    for batch in batches {
        let sink = Slow::new(Duration::from_secs(20));
        let router = Router::by_attribute("entityType").route("ROW", noting::<Row>(&Seen::default(), "row"));
        let dispatcher = Dispatcher::with_dead_letters(router, sink.clone());
        for from in 0..batch.len() {
            let (report, _) = dispatch_within(&dispatcher, Duration::from_secs(30), &batch[from..]).await;
            assert_eq!(report.dead_lettered, 1, "delivery {from}: {report:?}");
        }
        assert_eq!(sink.numbers(), (0..4).map(|n| Some(sequence(n))).collect::<Vec<_>>());
    }
}

/// The invocation would fail with such a record as its checkpoint, so the sink is asked, however late it is.
#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_a_checkpoint_is_buried_late() {
    let mut nameless = unreadable(0);
    nameless["dynamodb"].as_object_mut().expect("an object").remove("SequenceNumber");
    let sink = Slow::new(Duration::ZERO);
    let dispatcher = Dispatcher::with_dead_letters(Router::<NewAndOldImages>::new(), sink.clone());
    let (report, _) = dispatch_within(&dispatcher, Duration::ZERO, &[nameless, unreadable(1)]).await;
    assert_eq!((report.dead_lettered, sink.numbers().len()), (1, 1));
    assert_eq!(report.unfinished.map(|it| it.sequence_number), Some(sequence(1)), "this one can");
}

/// Fan-out: one handler rejects, the other has to be retried. The retry wins, and nothing is buried yet.
#[tokio::test]
async fn a_retry_wins_over_a_reject() {
    async fn rejects(_: Record<Row>) -> Result<(), Failure> {
        Err(Failure::reject("never"))
    }
    async fn retries(_: Record<Row>) -> Result<(), Failure> {
        Err(Failure::retry("later"))
    }
    let letters = Arc::new(Memory::default());
    let router = Router::by_attribute("entityType").route("ROW", rejects).route("ROW", retries);
    let report =
        dispatch(&Dispatcher::with_dead_letters(router, letters.clone()), vec![record(0, &put(0, 1), None)]).await;
    assert!(matches!(report.unfinished.expect("named").cause, Cause::Retry { reason, .. } if reason == "later"));
    assert!(letters.letters().is_empty());
}

struct Forgetful;

impl Handler<Row, NewAndOldImages> for Forgetful {
    async fn handle(&self, batch: &mut Batch<'_, Row, NewAndOldImages>) {
        let first = batch.admit().expect("a record");
        batch.settle(first.ticket, Outcome::Applied);
        let _forgotten = batch.admit();
    }
}

#[tokio::test]
async fn a_record_without_a_verdict_is_delivered_again() {
    let router = Router::by_attribute("entityType").route("ROW", Forgetful);
    let batch = (0..3).map(|n| record(n, &put(n as u8, 1), None)).collect();
    let report = dispatch(&Dispatcher::new(router), batch).await;
    let unfinished = report.unfinished.expect("named");
    assert_eq!(unfinished.position, 1);
    assert!(matches!(unfinished.cause, Cause::Unanswered { .. }));
}

struct PanicsHalfway;

impl Handler<Row, NewAndOldImages> for PanicsHalfway {
    async fn handle(&self, batch: &mut Batch<'_, Row, NewAndOldImages>) {
        let first = batch.admit().expect("a record");
        batch.settle(first.ticket, Outcome::Applied);
        panic!("planned panic");
    }
}

#[tokio::test]
async fn the_verdicts_before_a_panic_stand() {
    let router = Router::by_attribute("entityType").route("ROW", PanicsHalfway);
    let batch = (0..3).map(|n| record(n, &put(n as u8, 1), None)).collect();
    let report = dispatch(&Dispatcher::new(router), batch).await;
    assert_eq!(report.applied, 1);
    assert_eq!(report.unfinished.map(|it| it.position), Some(1));
}

/// An item that is deleted and comes back as another type: its changes must not be handled side by side.
#[tokio::test]
async fn one_item_in_two_routes_stays_in_order() {
    let log = Seen::default();
    let slow = |who: &'static str| {
        let log = log.clone();
        move |record: Record<RawImage>| {
            let log = log.clone();
            async move {
                note(&log, &format!("{who} begins"), &record);
                tokio::task::yield_now().await;
                note(&log, &format!("{who} ends"), &record);
            }
        }
    };
    let router = Router::by_attribute("entityType").route("CAT", slow("cat")).route("DOG", slow("dog"));
    let batch = vec![typed(0, 0, Some("CAT"), None), typed(1, 0, None, Some("DOG"))];
    dispatch(&Dispatcher::new(router), batch).await;
    assert_eq!(taken(&log), ["cat begins Remove 0", "cat ends Remove 0", "dog begins Insert 1", "dog ends Insert 1"]);
}

#[tokio::test]
async fn the_final_invoke_of_a_tumbling_window_keeps_its_state() {
    let dispatcher = Dispatcher::new(Router::<KeysOnly>::new());
    let payload = include_bytes!("../events/tumbling-final.json");
    let report =
        dispatcher.dispatch(&payload[..], &Context::default()).await.expect("ESM-52: no records, but a stream event");
    let sent: Value = serde_json::from_slice(payload).expect("JSON");
    let answer = serde_json::to_value(report.response()).expect("serializes");
    assert_eq!(answer["state"], sent["state"], "ESM-51: without a state the invocation counts as failed");
    assert_eq!(answer["batchItemFailures"], json!([]));
}

#[tokio::test]
async fn what_is_no_stream_event_fails_the_invocation() {
    let dispatcher = Dispatcher::new(Router::<KeysOnly>::new());
    let error = dispatcher.dispatch(&br#"{"hello": "world"}"#[..], &Context::default()).await.expect_err("no event");
    assert!(matches!(error, DispatchError::Payload(_)), "{error}");
}

#[tokio::test]
async fn an_unfinished_record_without_a_sequence_number_fails_the_invocation() {
    let mut nameless = record(0, &put(0, 1), None);
    nameless["dynamodb"].as_object_mut().expect("an object").remove("SequenceNumber");
    let payload = json!({ "Records": [nameless] }).to_string();
    let dispatcher = Dispatcher::new(Router::<KeysOnly>::new());
    let error = dispatcher.dispatch(payload, &Context::default()).await.expect_err("an empty list would lose it");
    assert!(matches!(error, DispatchError::NoSequenceNumber { position: 0, .. }), "{error}");
}
