//! The scenarios that made the dispatcher what it is, by name.

mod support;

use std::{collections::HashSet, sync::Arc, time::Duration};

use anabranch::{
    dispatch::{Cause, Dispatcher},
    handler::{Context, FunctionExt},
    record::Record,
    router::Router,
    sink::dead_letter::Memory,
};
use support::{Act, Plan, Row, Shared, Step, deliver, expected};

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn dispatcher(world: &Shared, plan: Plan) -> Dispatcher {
    let (world, plan) = (world.clone(), Arc::new(plan));
    let handler = move |record: Record<Row>| world.clone().handle(plan.clone(), record);
    Dispatcher::new(Router::by_attribute("entityType").route("ROW", handler))
}

fn once(n: usize, act: Act) -> Plan {
    Plan::from([(n, vec![(act, Duration::ZERO), (Act::Apply, Duration::ZERO)])])
}

/// Delivers until Lambda would be content; gives the positions that the answers named.
async fn until_done(world: &Shared, dispatcher: &Dispatcher, steps: &[Step], deadline: Option<Duration>) -> Vec<usize> {
    let (mut from, mut named) = (0, Vec::new());
    world.next_delivery();
    while let (_, Some(next)) = deliver(dispatcher, steps, from, deadline).await {
        world.next_delivery();
        named.push(next);
        from = next;
        assert!(named.len() < 100, "no progress: {named:?}");
    }
    assert_eq!(world.lock().broken, Vec::<String>::new());
    assert_eq!(world.lock().rows, expected(steps, &HashSet::new()));
    named
}

/// Writes v1, v2, v3 of one item; v2 fails once; after redelivery the target holds v3.
#[tokio::test(start_paused = true)]
async fn v2_fails_once_and_v3_is_what_remains() {
    let steps = [put(0, 1), put(0, 2), put(0, 3)];
    let world = Shared::default();
    let dispatcher = dispatcher(&world, once(1, Act::Retry));
    assert_eq!(until_done(&world, &dispatcher, &steps, None).await, [1]);
    assert_eq!(world.lock().started, [0, 1, 1, 2], "v3 must not overtake v2");
}

#[tokio::test(start_paused = true)]
async fn v2_fails_once_among_two_items_interleaved() {
    let steps = [put(0, 1), put(1, 10), put(0, 2), put(1, 20), put(0, 3), put(1, 30)];
    let world = Shared::default();
    let dispatcher = dispatcher(&world, once(2, Act::Retry));
    assert_eq!(until_done(&world, &dispatcher, &steps, None).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn v2_panics_once() {
    let steps = [put(0, 1), put(0, 2), put(0, 3)];
    let world = Shared::default();
    let dispatcher = dispatcher(&world, once(1, Act::Panic));
    assert_eq!(until_done(&world, &dispatcher, &steps, None).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn v2_is_applied_and_then_fails() {
    let steps = [put(0, 1), put(0, 2), put(0, 3)];
    let world = Shared::default();
    let dispatcher = dispatcher(&world, once(1, Act::ApplyThenRetry));
    assert_eq!(until_done(&world, &dispatcher, &steps, None).await, [1]);
    assert_eq!(world.lock().applied, [0, 1, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn the_whole_batch_is_delivered_twice() {
    let steps = [put(0, 1), put(0, 2), put(0, 3)];
    let world = Shared::default();
    let dispatcher = dispatcher(&world, once(1, Act::Retry));
    until_done(&world, &dispatcher, &steps, None).await;
    assert_eq!(until_done(&world, &dispatcher, &steps, None).await, [0_usize; 0]);
}

/// The deadline strikes mid-batch: the first record that was not started is the answer, and the next delivery goes on.
#[tokio::test(start_paused = true)]
async fn the_deadline_is_a_checkpoint() {
    let steps: Vec<_> = (0..12).map(|value| put(0, value)).collect();
    let slow: Plan = (0..12).map(|n| (n, vec![(Act::Apply, Duration::from_secs(1))])).collect();
    let world = Shared::default();
    let dispatcher = dispatcher(&world, slow);
    let named = until_done(&world, &dispatcher, &steps, Some(Duration::from_secs(6))).await;
    assert!(
        !named.is_empty() && named.windows(2).all(|pair| pair[0] < pair[1]),
        "each delivery gets further: {named:?}"
    );
    let mut started = world.lock().started.clone();
    started.dedup();
    assert_eq!(started.len(), 12, "only a record that the first cut-off hit is started twice");
}

/// A handler that hangs is cut off before Lambda would, and its record is named.
#[tokio::test(start_paused = true)]
async fn a_hanging_handler_is_cut_off_before_lambda_does() {
    let steps = [put(0, 1), put(1, 2)];
    let world = Shared::default();
    let hangs = Plan::from([(0, vec![(Act::Apply, Duration::from_secs(3600)), (Act::Apply, Duration::ZERO)])]);
    let dispatcher = dispatcher(&world, hangs);
    let before = tokio::time::Instant::now();
    let (report, next) = deliver(&dispatcher, &steps, 0, Some(Duration::from_secs(10))).await;
    assert!(before.elapsed() < Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(next, Some(0));
    assert!(matches!(report.unfinished.expect("named").cause, Cause::Unanswered { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_takes_too_long_is_a_retry_of_its_own() {
    let steps = [put(0, 1), put(1, 2), put(2, 3)];
    let world = Shared::default();
    let plan = Arc::new(Plan::from([(1, vec![(Act::Apply, Duration::from_secs(60)), (Act::Apply, Duration::ZERO)])]));
    let shared = world.clone();
    let handler = move |record: Record<Row>| shared.clone().handle(plan.clone(), record);
    let router = Router::by_attribute("entityType").route("ROW", handler.timeout(Duration::from_secs(5)));
    let dispatcher = Dispatcher::new(router);
    let (report, next) = deliver(&dispatcher, &steps, 0, None).await;
    assert_eq!(next, Some(1));
    assert_eq!(report.unfinished.map(|it| it.cause.as_str()), Some("retry"));
}

/// A record in front of one that nobody routes, in one lane, and a record that fails for ever behind both: the first
/// must be handled all the same, or the shard would never get on.
#[tokio::test(start_paused = true)]
async fn what_stands_before_a_reject_in_its_lane_is_not_held_back() {
    let steps = [put(0, 1), put(0, 2), put(1, 3)];
    let world = Shared::default();
    let plan = Arc::new(Plan::from([(2, vec![(Act::Retry, Duration::ZERO)])]));
    let shared = world.clone();
    let handler = move |record: Record<Row>| shared.clone().handle(plan.clone(), record);
    let router = Router::by_attribute("entityType").route("ROW", handler);
    let dispatcher = Dispatcher::with_dead_letters(router, Memory::default());
    let mut payload: serde_json::Value = serde_json::from_slice(&support::payload(&steps, 0)).expect("JSON");
    for image in ["OldImage", "NewImage"] {
        payload["Records"][1]["dynamodb"][image]["entityType"]["S"] = "UNKNOWN".into();
    }
    let report = dispatcher.dispatch(payload.to_string(), &Context::default()).await.expect("a stream event");
    assert_eq!(report.unfinished.map(|it| it.position), Some(2));
    assert_eq!((report.applied, report.dead_lettered), (1, 1));
}
