//! Calls that are cut off, by the deadline, a time limit or a panic: what is done stands, one handler or two, and each delivery
//! gets as far as the record that hangs.

mod support;

use std::{
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Cause, Dispatcher},
    handler::{Batch, Context, DEFAULT_CONCURRENCY, Deadline, FunctionExt, Handler, HandlerExt},
    idempotency::IdempotentExt,
    record::{NewAndOldImages, Record},
    router::Router,
    sink::ledger,
};
use serde_json::{Value, json};
use support::{Row, Step, record, sequence};

const RECORDS: usize = 20;
const HANGS: usize = 15;

/// How often each record's effect has happened.
type Effects = Arc<Mutex<[usize; RECORDS]>>;

fn number(record: &Record<Row>) -> usize {
    support::number(record.sequence_number())
}

/// Has an effect at once.
fn sends(effects: &Effects) -> impl Handler<Row, NewAndOldImages> {
    let effects = Arc::clone(effects);
    let send = move |record: Record<Row>| {
        effects.lock().expect("not poisoned")[number(&record)] += 1;
        ready(())
    };
    send.concurrency(DEFAULT_CONCURRENCY)
}

/// Never ends with one of the records.
fn hangs() -> impl Handler<Row, NewAndOldImages> {
    let hang = |record: Record<Row>| async move {
        if number(&record) == HANGS {
            pending::<()>().await;
        }
    };
    hang.concurrency(DEFAULT_CONCURRENCY)
}

/// Panics as a whole when it comes to one of the records.
struct Panics;

impl Handler<Row, NewAndOldImages> for Panics {
    async fn handle(&self, batch: &mut Batch<'_, Row, NewAndOldImages>) {
        while let Some(admitted) = batch.admit() {
            assert_ne!(number(&admitted.record), HANGS, "the record that nobody can handle");
            batch.settle(admitted.ticket, ());
        }
    }
}

fn memory() -> Arc<ledger::Memory> {
    Arc::new(ledger::Memory::default())
}

fn rows(from: usize) -> Vec<Value> {
    (from..RECORDS).map(|n| record(n, &Step { item: n as u8, value: Some(1) }, None)).collect()
}

fn dispatcher(handler: impl Handler<Row, NewAndOldImages> + 'static) -> Dispatcher {
    Router::by_attribute("entityType").route("ROW", handler).into()
}

/// Delivers everything from a record on.
async fn deliver(dispatcher: &Dispatcher, from: usize) -> BatchReport {
    let batch = json!({ "Records": rows(from) }).to_string();
    let context = Context { deadline: Deadline::after(Duration::from_secs(5)), ..Context::default() };
    dispatcher.dispatch(batch, &context).await.expect("a stream event")
}

/// Every delivery gets to the record that hangs, and what is before it has its effect once.
async fn gets_as_far_as_it_can(name: &str, dispatcher: Dispatcher, effects: &Effects) -> BatchReport {
    let first = deliver(&dispatcher, 0).await;
    for report in [&first, &deliver(&dispatcher, HANGS).await] {
        let unfinished = report.unfinished.as_ref().map(|it| it.sequence_number.clone());
        assert_eq!(unfinished, Some(sequence(HANGS)), "{name}: {report:?}");
    }
    assert_eq!((first.applied, first.read), (HANGS, RECORDS), "{name}: {first:?}");
    assert_eq!(effects.lock().expect("not poisoned")[..HANGS], [1; HANGS], "{name}");
    first
}

#[tokio::test(start_paused = true)]
async fn a_deadline_takes_nothing_back_from_two_handlers() {
    let effects = Effects::default();
    let report = gets_as_far_as_it_can("and", dispatcher(sends(&effects).and(hangs())), &effects).await;
    let cause = report.unfinished.map(|it| it.cause);
    assert!(matches!(cause, Some(Cause::Unanswered { .. })), "{cause:?}");

    let effects = Effects::default();
    let three = hangs().and(sends(&effects).and(|_: Record<Row>| ready(())));
    gets_as_far_as_it_can("and and", dispatcher(three), &effects).await;
}

#[tokio::test(start_paused = true)]
async fn a_time_limit_takes_nothing_back_from_two_handlers() {
    let effects = Effects::default();
    let limited = sends(&effects).and(hangs()).call_timeout(Duration::from_secs(1));
    let report = gets_as_far_as_it_can("limited", dispatcher(limited), &effects).await;
    let cause = report.unfinished.map(|it| it.cause);
    assert!(matches!(cause, Some(Cause::Retry { .. })), "{cause:?}");
}

/// The whole batch comes again, and again: what both had done is noted.
#[tokio::test(start_paused = true)]
async fn what_two_handlers_are_done_with_is_noted_before_the_deadline() {
    let effects = Effects::default();
    let noted = dispatcher(sends(&effects).and(hangs()).idempotent(memory()));
    gets_as_far_as_it_can("noted together", noted.clone(), &effects).await;
    gets_as_far_as_it_can_again(&noted).await;
    assert_eq!(effects.lock().expect("not poisoned")[..HANGS], [1; HANGS]);

    let effects = Effects::default();
    let noted = dispatcher(sends(&effects).idempotent(memory()).and(hangs()));
    gets_as_far_as_it_can("one of them noted", noted.clone(), &effects).await;
    gets_as_far_as_it_can_again(&noted).await;
    assert_eq!(*effects.lock().expect("not poisoned"), [1; RECORDS], "it has a ledger of its own");
}

async fn gets_as_far_as_it_can_again(dispatcher: &Dispatcher) {
    let report = deliver(dispatcher, 0).await;
    assert_eq!(report.unfinished.map(|it| it.position), Some(HANGS));
}

#[tokio::test]
async fn a_panic_of_one_takes_nothing_back_from_two_handlers() {
    let effects = Effects::default();
    gets_as_far_as_it_can("panic", dispatcher(sends(&effects).and(Panics)), &effects).await;
}
