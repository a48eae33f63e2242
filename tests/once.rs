//! Effects that happen once, under a model of Lambda's rule: workers crash before and after every write, stand still and
//! go on when another has taken over, and everything is delivered more than once.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Failure, Skip},
    idempotency::{DEFAULT_LEASE, IdempotentExt},
    notify::Notify,
    record::{NewAndOldImages, Record},
    router::Router,
    sink::{dead_letter, publisher::Message},
};
use proptest::prelude::*;
use support::{
    Row, Step, expected, number,
    once::{Fault, WORKER, Watched, Worker, World},
    payload,
    seeds::each_history,
    snapshot,
};
use tokio::task::JoinHandle;

/// Which handler has the effect.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A plain function that publishes.
    Function,
    /// The handler that publishes in batches.
    Notify,
}

/// What happens between two deliveries.
#[derive(Debug, Clone)]
enum Between {
    /// Time passes, in seconds.
    Wait(u64),
    /// A worker that stood still goes on, if there is one.
    Resume,
    /// A part of what was delivered before comes again.
    Replay(usize, usize),
    /// The next batch goes to two workers at once.
    Twins,
    /// A scan that read the table after so many changes comes to the topic's handler: it is nobody's news.
    Scan(usize),
}

#[derive(Debug, Clone)]
struct History {
    steps: Vec<Step>,
    faults: Vec<Fault>,
    between: Vec<Between>,
    size: usize,
    chunk: usize,
}

struct Stage {
    world: Arc<World>,
    dispatcher: Dispatcher,
    letters: Arc<dead_letter::Memory>,
    standing: Vec<Task>,
    /// The stream, a JSON text each.
    records: Vec<String>,
    kind: Kind,
}

struct Task {
    worker: Arc<Worker>,
    handle: JoinHandle<BatchReport>,
}

impl Stage {
    fn new(kind: Kind, steps: &[Step], faults: &[Fault], chunk: usize) -> Self {
        let world = World::new(faults.iter().copied());
        let letters = Arc::new(dead_letter::Memory::default());
        let dispatcher = Dispatcher::with_dead_letters(router(kind, &world, chunk), letters.clone());
        Self { world, dispatcher, letters, standing: Vec::new(), records: records(steps), kind }
    }

    fn start(&self, from: usize, end: usize) -> Task {
        let worker = Arc::new(Worker::default());
        let batch = format!(r#"{{"Records":[{}]}}"#, self.records[from..end].join(","));
        let dispatcher = self.dispatcher.clone();
        let work = async move { dispatcher.dispatch(batch, &Context::default()).await.expect("a stream event") };
        Task { handle: tokio::spawn(WORKER.scope(worker.clone(), work)), worker }
    }

    /// Lets a worker run until it answers, or stands still or crashes.
    async fn run(&mut self, mut task: Task) -> Option<BatchReport> {
        tokio::select! {
            biased;
            report = &mut task.handle => return Some(report.expect("no panic gets through")),
            () = task.worker.stopped.notified() => {}
        }
        match task.worker.is_dead() {
            true => task.handle.abort(),
            false => self.standing.push(task),
        }
        None
    }

    /// Delivers a part of the stream; answers with where Lambda goes on.
    async fn deliver(&mut self, from: usize, end: usize) -> usize {
        let task = self.start(from, end);
        let report = self.run(task).await;
        report.map_or(from, |report| next(&report, end))
    }

    /// Delivers to two workers at once. Lambda listens to the first.
    async fn deliver_twice(&mut self, from: usize, end: usize) -> usize {
        let (first, second) = (self.start(from, end), self.start(from, end));
        let report = self.run(first).await;
        _ = self.run(second).await;
        report.map_or(from, |report| next(&report, end))
    }

    /// Lets the last worker that stood still go on; nobody listens to what it answers.
    async fn resume(&mut self) {
        if let Some(task) = self.standing.pop() {
            task.worker.resume.notify_waiters();
            self.run(task).await;
        }
    }

    /// Delivers the rows of a scan, all of which are done with at once.
    async fn scan(&self, steps: &[Step]) {
        let Kind::Notify = self.kind else { return };
        let batch = format!(r#"{{"Records":[{}]}}"#, scanned(steps).join(","));
        let report = self.dispatcher.dispatch(batch, &Context::default()).await.expect("an event");
        assert_eq!((report.applied, report.unfinished), (0, None), "rows of a scan are skipped");
    }

    async fn play(&mut self, history: &History) -> usize {
        let (mut from, mut rounds, mut twins) = (0, 0, false);
        let mut between = history.between.iter();
        while from < self.records.len() {
            let end = self.records.len().min(from + history.size);
            from = if twins { self.deliver_twice(from, end).await } else { self.deliver(from, end).await };
            twins = false;
            match between.next() {
                Some(Between::Wait(seconds)) => self.world.advance(Duration::from_secs(*seconds)),
                Some(Between::Resume) => self.resume().await,
                Some(Between::Replay(start, length)) => {
                    let start = start.min(&from);
                    let end = from.min(start + length);
                    self.deliver(*start, end).await;
                }
                Some(Between::Twins) => twins = true,
                Some(Between::Scan(changes)) => self.scan(&history.steps[..*changes.min(&history.steps.len())]).await,
                None => self.world.advance(Duration::from_secs(40)),
            }
            rounds += 1;
            assert!(rounds < 1_000, "no progress at {from}");
        }
        while !self.standing.is_empty() {
            self.resume().await;
        }
        rounds
    }
}

fn records(steps: &[Step]) -> Vec<String> {
    let batch: serde_json::Value = serde_json::from_slice(&payload(steps, 0)).expect("JSON");
    batch["Records"].as_array().expect("records").iter().map(ToString::to_string).collect()
}

/// The rows of a scan, a JSON text each.
fn scanned(steps: &[Step]) -> Vec<String> {
    let rows = expected(steps, &Default::default()).into_iter();
    rows.map(|(item, value)| snapshot(steps.len(), item, value).to_string()).collect()
}

fn next(report: &BatchReport, end: usize) -> usize {
    report.unfinished.as_ref().map_or(end, |unfinished| number(&unfinished.sequence_number))
}

fn router(kind: Kind, world: &Arc<World>, chunk: usize) -> Router<NewAndOldImages> {
    let (ledger, clock) = (Watched(world.clone()), world.clone());
    let router = Router::by_attribute("entityType");
    match kind {
        Kind::Function => {
            let world = world.clone();
            let publish = move |record: Record<Row>| {
                let world = world.clone();
                async move {
                    let published = world.publish(number(record.sequence_number())).await;
                    published.map_err(|error| if error.is_reject() { Failure::reject(error) } else { error.into() })
                }
            };
            router.route("ROW", publish.idempotent(ledger).chunk(chunk).clock(move || clock.now()))
        }
        Kind::Notify => {
            let build = |record: &Record<Row>| Message::new(number(record.sequence_number()).to_string());
            let notify = Notify::new(Watched(world.clone()), build);
            router.route("ROW", notify.idempotent(ledger).chunk(chunk).clock(move || clock.now()))
        }
    }
}

fn put(item: u8, value: u64) -> Step {
    Step { item, value: Some(value) }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u8..4, proptest::option::weighted(0.8, 0_u64..100));
    proptest::collection::vec(step.prop_map(|(item, value)| Step { item, value }), 1..24)
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![
        40 => Just(Fault::None),
        3 => Just(Fault::FailBefore),
        2 => Just(Fault::FailAfter),
        2 => Just(Fault::CrashBefore),
        2 => Just(Fault::CrashAfter),
        2 => Just(Fault::PauseBefore),
        2 => Just(Fault::PauseAfter),
        1 => Just(Fault::Reject),
    ];
    proptest::collection::vec(fault, 0..60)
}

fn between() -> impl Strategy<Value = Vec<Between>> {
    let between = prop_oneof![
        4 => (0_u64..90).prop_map(Between::Wait),
        2 => Just(Between::Resume),
        2 => (0_usize..24, 1_usize..12).prop_map(|(start, length)| Between::Replay(start, length)),
        1 => Just(Between::Twins),
        1 => (0_usize..24).prop_map(Between::Scan),
    ];
    proptest::collection::vec(between, 0..30)
}

fn history() -> impl Strategy<Value = History> {
    (steps(), faults(), between(), 1_usize..16, 1_usize..10).prop_map(|(steps, faults, between, size, chunk)| History {
        steps,
        faults,
        between,
        size,
        chunk,
    })
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(work)
}

fn letters(stage: &Stage) -> BTreeSet<usize> {
    let number = |letter: &dead_letter::DeadLetter| number(letter.sequence_number.as_deref().expect("a number"));
    stage.letters.letters().iter().map(number).collect()
}

/// First messages of one item's changes are in the order of the changes.
fn order_is_kept(steps: &[Step], published: &[usize], rejected: &BTreeSet<usize>) -> bool {
    let (mut seen, mut last) = (BTreeSet::new(), HashMap::new());
    let first = published.iter().filter(|n| seen.insert(**n) && !rejected.contains(n));
    first.into_iter().all(|n| last.insert(steps[*n].item, *n).is_none_or(|before| before < *n))
}

/// Plays a history, holds it to the promises, and answers with the changes that may have had a second message.
fn check(kind: Kind, history: &History) -> Result<BTreeSet<usize>, TestCaseError> {
    block_on(async {
        let mut stage = Stage::new(kind, &history.steps, &history.faults, history.chunk);
        stage.play(history).await;
        let rejected = letters(&stage);
        let counts = stage.world.counts();
        let (excused, published) = {
            let seen = stage.world.seen();
            prop_assert_eq!(&seen.broken, &Vec::<String>::new());
            (seen.excused.clone(), seen.published.clone())
        };
        for n in 0..history.steps.len() {
            let count = counts.get(&n).copied().unwrap_or_default();
            prop_assert!(count > 0 || rejected.contains(&n), "change {} was never published", n);
            prop_assert!(count <= 1 || excused.contains(&n), "change {} was published {} times", n, count);
        }
        prop_assert!(counts.keys().all(|n| *n < history.steps.len()), "only of changes that happened");
        prop_assert!(order_is_kept(&history.steps, &published, &rejected), "out of order: {:?}", published);

        // Long after, a day's worth of the stream comes again: nobody hears of it.
        stage.world.calm();
        stage.world.advance(Duration::from_secs(24 * 60 * 60));
        stage.deliver(0, history.steps.len()).await;
        for (n, count) in stage.world.counts() {
            let before = counts.get(&n).copied().unwrap_or_default();
            let known = excused.contains(&n) || rejected.contains(&n);
            prop_assert!(count == before || known, "change {} was published again after a day", n);
        }
        Ok(excused)
    })
}

/// How many histories each property plays: 20,000 together.
const HISTORIES: u64 = 8_000;

#[test]
fn a_function_has_its_effect_once_unless_a_crash_hides_it() {
    each_history(HISTORIES, history, |history| check(Kind::Function, &history).map(drop));
}

#[test]
fn a_change_is_notified_of_once_unless_a_crash_hides_it() {
    each_history(HISTORIES, history, |history| check(Kind::Notify, &history).map(drop));
}

/// Rejects, duplicates, replays and twins, but no crash and no lost answer: exactly once, without excuse.
#[test]
fn without_a_crash_every_effect_happens_exactly_once() {
    each_history(
        HISTORIES / 2,
        || (history(), any::<bool>()),
        |(mut history, notify)| {
            history.faults.retain(|fault| matches!(fault, Fault::None | Fault::Reject));
            let kind = if notify { Kind::Notify } else { Kind::Function };
            let excused = check(kind, &history)?;
            prop_assert!(excused.is_empty(), "there was no crash: {:?}", excused);
            Ok(())
        },
    );
}

async fn deliver_all(stage: &mut Stage) -> Vec<usize> {
    let (mut from, mut named) = (0, Vec::new());
    loop {
        from = stage.deliver(from, stage.records.len()).await;
        if from == stage.records.len() {
            return named;
        }
        named.push(from);
        stage.world.advance(Duration::from_secs(10));
        assert!(named.len() < 100, "no progress: {named:?}");
    }
}

/// Claims of the three records come first, then the effects.
fn after_claims(records: usize, fault: Fault) -> Vec<Fault> {
    [vec![Fault::None; records + 1], vec![fault]].concat()
}

/// Effects v1, v2, v3 of one item; v2 fails once; v3 must not happen, nor be noted, before it.
#[test]
fn v2_fails_once_and_v3_waits_for_it() {
    for kind in [Kind::Function, Kind::Notify] {
        block_on(async {
            let steps = [put(0, 1), put(0, 2), put(0, 3)];
            let mut stage = Stage::new(kind, &steps, &after_claims(3, Fault::FailBefore), 256);
            assert_eq!(deliver_all(&mut stage).await, [1]);
            assert_eq!(stage.world.seen().published, [0, 1, 2], "{kind:?}");
        });
    }
}

#[test]
fn a_panic_is_one_records_failure() {
    for kind in [Kind::Function, Kind::Notify] {
        block_on(async {
            let steps = [put(0, 1), put(0, 2), put(0, 3)];
            let mut stage = Stage::new(kind, &steps, &after_claims(3, Fault::Panic), 256);
            let named = deliver_all(&mut stage).await;
            assert_eq!(named.len(), 1, "{kind:?}: {named:?}");
            let seen = stage.world.seen();
            assert_eq!(seen.published.iter().copied().collect::<BTreeSet<_>>(), BTreeSet::from([0, 1, 2]), "{kind:?}");
        });
    }
}

#[test]
fn a_rejected_record_holds_its_lane_and_nothing_else() {
    for kind in [Kind::Function, Kind::Notify] {
        block_on(async {
            let steps = [put(0, 1), put(0, 2), put(1, 5), put(0, 3)];
            let faults = [vec![Fault::None; 4 + 1], vec![Fault::None, Fault::Reject]].concat();
            let faults = if matches!(kind, Kind::Notify) { after_claims(4, Fault::Reject) } else { faults };
            let mut stage = Stage::new(kind, &steps, &faults, 256);
            assert_eq!(deliver_all(&mut stage).await, [0_usize; 0], "{kind:?}");
            assert_eq!(letters(&stage), BTreeSet::from([1]), "{kind:?}");
            assert_eq!(stage.world.counts(), BTreeMap::from([(0, 1), (2, 1), (3, 1)]), "{kind:?}");
        });
    }
}

/// A worker crashes between claim and effect: its records wait for the lease, and then have their effect once.
#[test]
fn a_crash_after_the_claim_costs_one_lease() {
    block_on(async {
        let mut stage = Stage::new(Kind::Notify, &[put(0, 1), put(1, 2)], &after_claims(1, Fault::CrashBefore), 256);
        let deliveries = deliver_all(&mut stage).await.len();
        let waits = DEFAULT_LEASE.as_secs() / 10;
        assert!((waits..=waits + 1).contains(&(deliveries as u64)), "{deliveries} deliveries, ten seconds apart");
        assert_eq!(stage.world.counts(), BTreeMap::from([(0, 1), (1, 1)]));
        assert!(stage.world.seen().excused.is_empty(), "nothing had been published when it crashed");
    });
}

#[test]
fn a_duplicate_is_skipped_as_one() {
    block_on(async {
        let steps = [put(0, 1), put(1, 2), put(0, 3)];
        let mut stage = Stage::new(Kind::Notify, &steps, &[], 256);
        stage.deliver(0, 3).await;
        let again = stage.start(0, 3);
        let report = stage.run(again).await.expect("an answer");
        assert_eq!(report.skipped.get(&Skip::Duplicate), Some(&3));
    });
}

/// The same record twice in one batch: the second waits for what becomes of the first.
#[test]
fn a_record_twice_in_one_batch_has_its_effect_once() {
    block_on(async {
        let steps = [put(0, 1), put(1, 2)];
        let mut stage = Stage::new(Kind::Function, &steps, &[], 256);
        stage.records.push(stage.records[0].clone());
        let again = stage.start(0, 3);
        let report = stage.run(again).await.expect("an answer");
        assert_eq!((report.applied, report.skipped.get(&Skip::Duplicate)), (2, Some(&1)));
        assert_eq!(stage.world.counts(), BTreeMap::from([(0, 1), (1, 1)]));
    });
}
