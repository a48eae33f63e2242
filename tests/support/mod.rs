//! A small world for tests: numbered changes of a few items, a handler that fails to plan, and Lambda's rule.

#![allow(dead_code, reason = "each test binary uses its own part of the support code")]

pub(crate) mod once;
pub(crate) mod seeds;
pub(crate) mod table;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Deadline, Failure},
    record::{Change, KeysOnly, NewAndOldImages, NewImage, OldImage, RawImage, Record, StreamView},
    sink::dead_letter::Memory,
};
use serde_json::{Value, json};

/// An item of the small world: a counter under a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub(crate) struct Row {
    /// The key.
    #[serde(rename = "PK")]
    pub(crate) key: String,
    /// The value.
    pub(crate) value: u64,
}

/// One change: the `n`-th of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// The item.
    pub(crate) item: u8,
    /// Its new value, or none for a remove.
    pub(crate) value: Option<u64>,
}

/// The sequence number of the `n`-th change: 21 digits, as AWS has them.
pub(crate) fn sequence(n: usize) -> String {
    format!("{:021}", 4_000_000_000_000_000_u64 + n as u64 * 7)
}

fn image(item: u8, value: u64) -> Value {
    json!({"PK": {"S": format!("item-{item}")}, "value": {"N": value.to_string()}, "entityType": {"S": "ROW"}})
}

/// The steps from `from` on as Lambda would deliver them.
pub(crate) fn payload(steps: &[Step], from: usize) -> Vec<u8> {
    payload_in(NewAndOldImages::NAME, steps, from)
}

/// The same of a stream that carries another view of the items.
pub(crate) fn payload_in(view: &str, steps: &[Step], from: usize) -> Vec<u8> {
    let mut table: HashMap<u8, u64> = HashMap::new();
    let mut records = Vec::new();
    for (n, step) in steps.iter().enumerate() {
        let old = table.get(&step.item).copied();
        match step.value {
            Some(value) => _ = table.insert(step.item, value),
            None => _ = table.remove(&step.item),
        }
        if n >= from {
            records.push(seen_through(view, record(n, step, old)));
        }
    }
    json!({ "Records": records }).to_string().into_bytes()
}

/// The record as a stream of this view carries it.
fn seen_through(view: &str, mut record: Value) -> Value {
    let body = record["dynamodb"].as_object_mut().expect("a body");
    body.insert("StreamViewType".to_owned(), view.into());
    if !view.starts_with("NEW") {
        body.remove("NewImage");
    }
    if !view.contains("OLD") {
        body.remove("OldImage");
    }
    record
}

/// What a handler learns of an item's new value through a view of the stream.
pub(crate) trait Sight: StreamView + Sized {
    /// The value after the change; where the view has no new image, it comes from the source.
    fn value(change: &Change<RawImage, Self>, source: Option<u64>) -> Option<u64>;
}

macro_rules! sight {
    ($view:ident from the image) => {
        impl Sight for $view {
            fn value(change: &Change<RawImage, Self>, _: Option<u64>) -> Option<u64> {
                match change {
                    Change::Insert { new } | Change::Modify { new, .. } => {
                        Some(new.read::<Row>().expect("a row").value)
                    }
                    Change::Remove { .. } => None,
                }
            }
        }
    };
    ($view:ident from the source) => {
        impl Sight for $view {
            fn value(change: &Change<RawImage, Self>, source: Option<u64>) -> Option<u64> {
                match change {
                    Change::Remove { .. } => None,
                    _ => source,
                }
            }
        }
    };
}

sight!(NewAndOldImages from the image);
sight!(NewImage from the image);
sight!(OldImage from the source);
sight!(KeysOnly from the source);

/// The keys of an item of the small world.
#[derive(Debug, serde::Deserialize)]
struct Key {
    #[serde(rename = "PK")]
    key: String,
}

/// One record of the stream, with the item's value before.
pub(crate) fn record(n: usize, step: &Step, old: Option<u64>) -> Value {
    let name = match (old, step.value) {
        (_, None) => "REMOVE",
        (None, _) => "INSERT",
        (Some(_), _) => "MODIFY",
    };
    let mut body = json!({
        "ApproximateCreationDateTime": 1_763_692_800.0,
        "Keys": {"PK": {"S": format!("item-{}", step.item)}},
        "SequenceNumber": sequence(n),
        "SizeBytes": 64,
        "StreamViewType": "NEW_AND_OLD_IMAGES"
    });
    if let Some(value) = step.value {
        body["NewImage"] = image(step.item, value);
    }
    if let Some(value) = old.or(step.value.is_none().then_some(0)) {
        body["OldImage"] = image(step.item, value);
    }
    json!({
        "eventID": format!("{n:032x}"), "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "eu-west-1", "dynamodb": body,
        "eventSourceARN": "arn:aws:dynamodb:eu-west-1:123456789012:table/Rows/stream/2026-11-21T00:00:00.000"
    })
}

/// A row as a scan finds it after so many changes.
pub(crate) fn snapshot(changes: usize, item: u8, value: u64) -> Value {
    json!({"eventName": "INSERT", "eventSource": "anabranch:snapshot", "dynamodb": {
        "Keys": {"PK": {"S": format!("item-{item}")}},
        "NewImage": image(item, value),
        // When it was read, in microseconds.
        "SequenceNumber": (1_763_692_800_000_000 + changes as u64).to_string()
    }})
}

/// What the handler does with a record on one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Act {
    /// Applies it.
    #[default]
    Apply,
    /// Fails before it applied anything.
    Retry,
    /// Applies it, then fails: the effect is there, the verdict is not.
    ApplyThenRetry,
    /// Rejects it.
    Reject,
    /// Panics.
    Panic,
}

/// What happens to each change on each delivery: the last act of a list repeats.
pub(crate) type Plan = HashMap<usize, Vec<(Act, Duration)>>;

/// The target of the small world, and everything that was noticed on the way there.
#[derive(Debug, Default)]
pub(crate) struct World {
    /// The rows as the handler wrote them.
    pub(crate) rows: BTreeMap<u8, u64>,
    /// Every change that was started, in order of starting.
    pub(crate) started: Vec<usize>,
    /// Every change that was applied, in order.
    pub(crate) applied: Vec<usize>,
    /// Every change that was rejected.
    pub(crate) rejects: HashSet<usize>,
    /// What broke a promise.
    pub(crate) broken: Vec<String>,
    running: HashSet<u8>,
    deliveries: HashMap<usize, usize>,
    failed: Option<usize>,
    last: HashMap<u8, usize>,
    /// The change of each item that was rejected last.
    rejected: HashMap<u8, usize>,
    letters: Arc<Memory>,
}

impl World {
    fn has_buried(&self, n: usize) -> bool {
        self.letters.letters().iter().any(|letter| letter.sequence_number == Some(sequence(n)))
    }
}

/// A world that several handlers share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shared(Arc<Mutex<World>>);

impl Shared {
    /// Looks at it.
    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A world that knows where its rejects are to be buried.
    pub(crate) fn with(letters: Arc<Memory>) -> Self {
        Self(Arc::new(Mutex::new(World { letters, ..World::default() })))
    }

    /// A new delivery begins: what failed before may be started again.
    pub(crate) fn next_delivery(&self) {
        let mut world = self.lock();
        world.failed = None;
        world.running.clear();
        world.last.clear();
        world.rejected.clear();
    }

    /// Handles a record as the plan says, and checks order while it does.
    pub(crate) async fn handle(self, plan: Arc<Plan>, record: Record<Row>) -> Result<(), Failure> {
        let row = record.change.current().or(record.change.previous()).expect("both images are in view");
        let (n, item) = (number(record.sequence_number()), item(&row.key));
        self.play(plan, n, item, record.change.current().map(|row| row.value)).await
    }

    /// The same for a record of any view, where the source knows all steps.
    pub(crate) async fn handle_in<V: Sight>(
        self,
        plan: Arc<Plan>,
        source: Arc<[Step]>,
        record: Record<RawImage, V>,
    ) -> Result<(), Failure> {
        let n = number(record.sequence_number());
        let key: Key = record.keys().decode().map_err(Failure::reject)?;
        let value = V::value(&record.change, source[n].value);
        self.play(plan, n, item(&key.key), value).await
    }

    async fn play(self, plan: Arc<Plan>, n: usize, item: u8, value: Option<u64>) -> Result<(), Failure> {
        let (act, time) = self.begin(n, &plan, item);
        // Others may run meanwhile, whatever the time.
        tokio::task::yield_now().await;
        tokio::time::sleep(time).await;
        self.end(n, item, act, value)
    }

    fn begin(&self, n: usize, plan: &Plan, item: u8) -> (Act, Duration) {
        let mut world = self.lock();
        if !world.running.insert(item) {
            world.broken.push(format!("change {n} of item {item} was started beside another"));
        }
        if world.failed.is_some_and(|failed| failed < n) {
            let failed = world.failed;
            world.broken.push(format!("change {n} was started although {failed:?} had failed"));
        }
        if let Some(last) = world.last.insert(item, n).filter(|last| *last >= n) {
            world.broken.push(format!("change {n} of item {item} came after {last}"));
        }
        if let Some(rejected) = world.rejected.get(&item).copied().filter(|rejected| !world.has_buried(*rejected)) {
            world.broken.push(format!("change {n} of item {item} was started before {rejected} was buried"));
        }
        world.started.push(n);
        let delivery = world.deliveries.entry(n).or_default();
        *delivery += 1;
        let acts = plan.get(&n).map(Vec::as_slice).unwrap_or_default();
        acts.get(*delivery - 1).or(acts.last()).copied().unwrap_or_default()
    }

    fn end(&self, n: usize, item: u8, act: Act, value: Option<u64>) -> Result<(), Failure> {
        let mut world = self.lock();
        world.running.remove(&item);
        if matches!(act, Act::Apply | Act::ApplyThenRetry) {
            world.applied.push(n);
            match value {
                Some(value) => _ = world.rows.insert(item, value),
                None => _ = world.rows.remove(&item),
            }
        }
        match act {
            Act::Apply => Ok(()),
            Act::Reject => {
                world.rejected.insert(item, n);
                world.rejects.insert(n);
                Err(Failure::reject("planned reject"))
            }
            Act::Retry | Act::ApplyThenRetry | Act::Panic => {
                world.failed = Some(world.failed.map_or(n, |failed| failed.min(n)));
                drop(world);
                assert!(act != Act::Panic, "planned panic");
                Err(Failure::retry("planned retry"))
            }
        }
    }
}

fn item(key: &str) -> u8 {
    key.trim_start_matches("item-").parse().expect("a numbered item")
}

/// The `n` of a sequence number.
pub(crate) fn number(sequence_number: &str) -> usize {
    let number: u64 = sequence_number.parse().expect("digits");
    usize::try_from((number - 4_000_000_000_000_000) / 7).expect("small")
}

/// Lambda's rule: the lowest identifier wins, and everything from it on is delivered again (ESM-35).
pub(crate) async fn deliver(
    dispatcher: &Dispatcher,
    steps: &[Step],
    from: usize,
    deadline: Option<Duration>,
) -> (BatchReport, Option<usize>) {
    deliver_in(NewAndOldImages::NAME, dispatcher, steps, from, deadline).await
}

/// The same from a stream that carries another view of the items.
pub(crate) async fn deliver_in(
    view: &str,
    dispatcher: &Dispatcher,
    steps: &[Step],
    from: usize,
    deadline: Option<Duration>,
) -> (BatchReport, Option<usize>) {
    let deadline = deadline.map_or(Deadline::NEVER, Deadline::after);
    let context = Context { deadline, ..Context::default() };
    let report = dispatcher.dispatch(payload_in(view, steps, from), &context).await.expect("a stream event");
    let answer = serde_json::to_value(report.response()).expect("serializes");
    let failures = answer["batchItemFailures"].as_array().expect("a list").clone();
    assert!(failures.len() <= 1, "exactly one identifier or none: {failures:?}");
    let next = failures.first().map(|failure| number(failure["itemIdentifier"].as_str().expect("a string")));
    (report, next)
}

/// What the target must hold once everything but the `rejected` changes was applied in order.
pub(crate) fn expected(steps: &[Step], rejected: &HashSet<usize>) -> BTreeMap<u8, u64> {
    let mut rows = BTreeMap::new();
    for (_, step) in steps.iter().enumerate().filter(|(n, _)| !rejected.contains(n)) {
        match step.value {
            Some(value) => _ = rows.insert(step.item, value),
            None => _ = rows.remove(&step.item),
        }
    }
    rows
}
