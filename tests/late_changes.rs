//! Changes that were given up and are handed over again, and rows of a snapshot: a replica without tombstones asks the source
//! whether their items are still there.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use anabranch::{
    dispatch::{BatchReport, Dispatcher},
    handler::{Context, Deadline, HandlerExt, Skip},
    record::{NewAndOldImages, NewImage},
    replica::{Replica, Shape, Sweep},
    router::Router,
    sink::table::{
        Action, Fault, Guard, Item, Memory, Query, ReadBatch, RowWrite, Table, TableError, TransactError,
        TransactTable, Written, item, text,
    },
};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

fn key(n: usize) -> Item {
    item([("PK", text(format!("i{n}")))])
}

fn row(n: usize, kind: &str) -> Item {
    item([("PK", text(format!("i{n}"))), ("kind", text(kind))])
}

fn memory(name: &str) -> Arc<Memory> {
    Arc::new(Memory::new(name, ["PK"]))
}

async fn set(table: &dyn Table, n: usize, kind: Option<&str>) {
    let write = kind.map_or_else(|| RowWrite::delete(key(n)), |kind| RowWrite::put(key(n), row(n, kind)));
    table.write_batch(&[write]).await.expect("a row that fits");
}

/// A change of item `n`, by the sequence number, that is late: it does not say when it happened.
fn change(sequence: usize, n: usize, old: Option<&str>, new: Option<&str>) -> Value {
    let name = match (old, new) {
        (None, _) => "INSERT",
        (_, None) => "REMOVE",
        _ => "MODIFY",
    };
    let key = json!({"PK": {"S": format!("i{n}")}});
    let mut body = json!({"SequenceNumber": sequence.to_string(), "Keys": key});
    for (image, kind) in [("OldImage", old), ("NewImage", new)] {
        if let Some(kind) = kind {
            body[image] = json!({"PK": {"S": format!("i{n}")}, "kind": {"S": kind}});
        }
    }
    json!({"eventID": format!("e{sequence}"), "eventName": name, "dynamodb": body})
}

/// A row as a scan has found it at a time.
fn scanned(n: usize, kind: &str, read_at: usize) -> Value {
    let mut record = change(read_at, n, None, Some(kind));
    record["eventSource"] = "anabranch:snapshot".into();
    record
}

fn inserts(range: std::ops::Range<usize>) -> Vec<Value> {
    range.map(|n| change(n + 1, n, None, Some("PET"))).collect()
}

async fn dispatch_within(dispatcher: &Dispatcher, records: &[Value], deadline: Deadline) -> BatchReport {
    let context = Context { deadline, ..Context::default() };
    dispatcher.dispatch(json!({ "Records": records }).to_string(), &context).await.expect("a stream event")
}

async fn dispatch(dispatcher: &Dispatcher, records: &[Value]) -> BatchReport {
    dispatch_within(dispatcher, records, Deadline::NEVER).await
}

/// Delivers as Lambda does, from the first unfinished record on; answers with how far each delivery came.
async fn deliver(dispatcher: &Dispatcher, records: &[Value], time: Duration) -> Vec<usize> {
    let (mut from, mut steps) = (0, Vec::new());
    while from < records.len() && steps.last() != Some(&0) {
        let report = dispatch_within(dispatcher, &records[from..], Deadline::after(time)).await;
        let step = report.unfinished.map_or(records.len() - from, |unfinished| unfinished.position);
        steps.push(step);
        from += step;
    }
    steps
}

/// How many requests were on their way at the same time, and how often the source was asked.
#[derive(Default)]
struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
    asked: AtomicUsize,
}

/// A table that takes its time for each request.
struct Slow {
    table: Arc<Memory>,
    time: Duration,
    count: Arc<Count>,
}

impl Slow {
    fn new(table: &Arc<Memory>, millis: u64, count: &Arc<Count>) -> Self {
        Self { table: table.clone(), time: Duration::from_millis(millis), count: count.clone() }
    }

    async fn slowly<T>(&self, request: impl Future<Output = T>) -> T {
        self.count.most.fetch_max(self.count.now.fetch_add(1, SeqCst) + 1, SeqCst);
        tokio::time::sleep(self.time).await;
        let answer = request.await;
        self.count.now.fetch_sub(1, SeqCst);
        answer
    }
}

impl Table for Slow {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        Box::pin(self.slowly(self.table.write_guarded(write, guard)))
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        self.table.write_batch(writes)
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.table.read(key)
    }
}

impl TransactTable for Slow {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        self.table.transact(actions)
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        self.count.asked.fetch_add(1, SeqCst);
        Box::pin(self.slowly(self.table.read_batch(keys)))
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        self.table.query(query)
    }
}

fn every(replica: Replica) -> Dispatcher {
    Dispatcher::new(Router::<NewAndOldImages>::new().every(replica))
}

/// A hundred writes of 100 ms, one after another, do not fit into five seconds; nor do as many that are taken back.
#[tokio::test(start_paused = true)]
async fn what_there_was_time_for_is_done_with() {
    for (there, least) in [(true, 30), (false, 10)] {
        let (source, target, count) = (memory("Source"), memory("Target"), Arc::default());
        for n in (0..100).filter(|_| there) {
            set(&*source, n, Some("PET")).await;
        }
        let replica = || Replica::new(Slow::new(&target, 100, &count)).concurrency(1);
        let rereads = every(replica().reread(Slow::new(&source, 20, &count)));
        let steps = deliver(&rereads, &inserts(0..100), Duration::from_secs(5)).await;
        let last = steps.len() - 1;
        assert!(steps[..last].iter().all(|step| *step >= least), "{steps:?}");
        assert_eq!((steps.iter().sum::<usize>(), target.rows().len()), (100, if there { 100 } else { 0 }));
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_cut_off_has_come_some_way() {
    let (source, target, count) = (memory("Source"), memory("Target"), Arc::default());
    let replica = Replica::new(Slow::new(&target, 100, &count)).concurrency(1).reread(source);
    let router = Router::<NewImage>::new().every(replica.call_timeout(Duration::from_secs(1)));
    let steps = deliver(&Dispatcher::new(router), &inserts(0..20), Duration::from_secs(60)).await;
    assert_eq!(steps.iter().sum::<usize>(), 20, "{steps:?}");
}

/// A request that hangs or fails, for a row or for taking it back, takes nothing along that comes before it.
#[tokio::test(start_paused = true)]
async fn what_comes_before_a_failure_is_done_with() {
    for (failing, hangs) in [(1, true), (1, false), (2, true), (2, false)] {
        let (source, fails, requests) = (memory("Source"), memory("Target").failure(), AtomicUsize::new(0));
        let target = Memory::new("Target", ["PK"]).with_faults(move |_, key| {
            let fails = || if hangs { Fault::Hang } else { Fault::Before(fails.clone()) };
            let this = key["PK"] == text("i20") && requests.fetch_add(1, SeqCst) + 1 == failing;
            if this { fails() } else { Fault::None }
        });
        let replica = every(Replica::new(target).concurrency(4).reread(source));
        let report = dispatch_within(&replica, &inserts(0..40), Deadline::after(Duration::from_secs(5))).await;
        let unfinished = report.unfinished.expect("the one that fails");
        assert_eq!(unfinished.position, 20, "{}", unfinished.cause);
        assert_eq!(report.skipped.get(&Skip::Stale), Some(&20), "all of them are gone");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_on_their_way_than_are_allowed() {
    for allowed in [1, 7, 32] {
        let (source, target, count) = (memory("Source"), memory("Target"), Arc::<Count>::default());
        for n in (0..250).step_by(2) {
            set(&*source, n, Some("PET")).await;
        }
        let replica = Replica::new(Slow::new(&target, 5, &count)).concurrency(allowed);
        let report = dispatch(&every(replica.reread(Slow::new(&source, 5, &count))), &inserts(0..250)).await;
        assert_eq!((report.applied, report.skipped.get(&Skip::Stale)), (125, Some(&125)));
        assert_eq!((target.rows().len(), count.most.load(SeqCst)), (125, allowed));
    }
}

#[tokio::test]
async fn a_hundred_items_are_asked_for_together() {
    let (source, target, count) = (memory("Source"), memory("Target"), Arc::<Count>::default());
    dispatch(&every(Replica::new(target).reread(Slow::new(&source, 0, &count))), &inserts(0..250)).await;
    let asked = count.asked.load(SeqCst);
    assert!((3..=4).contains(&asked), "{asked}");
}

/// What a row came to whose item was gone: in the report, it is not what was applied.
#[tokio::test]
async fn what_is_taken_back_counts_as_stale() {
    let (source, target) = (memory("Source"), memory("Target"));
    set(&*source, 1, Some("PET")).await;
    let report = dispatch(&every(Replica::new(target.clone()).reread(source)), &inserts(0..2)).await;
    assert_eq!((report.applied, report.skipped.get(&Skip::Stale), target.rows().len()), (1, Some(&1), 1));
}

/// The item became a draft, which no route takes; then what was known of it as a pet comes late.
#[tokio::test]
async fn an_item_that_has_left_its_type_does_not_come_back() {
    let late: [(&str, Value); 3] = [
        ("an insert", change(1, 0, None, Some("PET"))),
        ("the change by which it became a pet", change(1, 0, Some("DRAFT"), Some("PET"))),
        ("a row of a snapshot", scanned(0, "PET", 1)),
    ];
    for (what, late) in late {
        for left in ["DRAFT", "TOY", "OTHER"] {
            let (source, target) = (memory("Source"), memory("Target"));
            set(&*source, 0, Some(left)).await;
            set(&*source, 1, Some("CAT")).await;
            let replica: Replica = Replica::new(target.clone()).reread(source.clone());
            let toys = Replica::new(memory("Toys"));
            let router = Router::by_attribute("kind").route_all(["PET", "CAT"], replica).route("TOY", toys);
            let dispatcher = Dispatcher::new(router.ignore("DRAFT").ignore_others());
            dispatch(&dispatcher, &[change(2, 0, Some("PET"), Some(left))]).await;
            let report = dispatch(&dispatcher, &[late.clone(), change(1, 1, None, Some("PET"))]).await;
            assert_eq!((report.unfinished, report.skipped.get(&Skip::Stale)), (None, Some(&1)), "{what}");
            let rows: Vec<_> = target.rows().iter().map(|row| row["PK"].clone()).collect();
            assert_eq!(rows, [text("i1")], "{what}; what has become a cat stays: its route is the same");
        }
    }
}

/// The same where the replica is one of two handlers, behind a predicate, and where it takes all types that nobody names.
#[tokio::test]
async fn what_belongs_to_a_route_is_known_within_it() {
    let (source, targets) = (memory("Source"), [memory("First"), memory("Second"), memory("Rest"), memory("All")]);
    for n in [0, 1] {
        set(&*source, n, Some(["PET", "DRAFT"][n])).await;
    }
    let [first, second, rest, all] = targets.each_ref().map(|it| Replica::new(it.clone()).reread(source.clone()));
    let router = Router::by_attribute("kind").route("PET", first.and(second.when(|_| true))).otherwise(rest).every(all);
    let dispatcher = Dispatcher::new(router);
    let late = [change(1, 0, None, Some("DRAFT")), change(2, 1, None, Some("PET"))];
    assert_eq!(dispatch(&dispatcher, &late).await.unfinished, None);
    let there = targets.each_ref().map(|it| it.rows().len());
    assert_eq!(there, [0, 0, 0, 2], "each is of another type now");
    dispatch(&dispatcher, &[change(3, 0, Some("DRAFT"), Some("PET")), change(4, 1, Some("PET"), Some("DRAFT"))]).await;
    assert_eq!(targets.each_ref().map(|it| it.rows().len()), [1, 1, 1, 2]);
}

/// What knows more of an item than a change that comes late has a lower version: a snapshot, an earlier generation, a row that was put
/// right. The item itself decides.
#[tokio::test]
async fn a_late_change_does_not_undo_what_a_snapshot_knows() {
    let late =
        [change(1, 0, None, Some("old")), change(2, 0, Some("old"), Some("older")), change(3, 0, Some("old"), None)];
    for known in ["snapshot", "generation", "put right", "later"] {
        for late in &late {
            for now in [Some("new"), None] {
                let (source, target) = (memory("Source"), memory("Target"));
                set(&*source, 0, Some("new")).await;
                let first: Replica = Replica::new(target.clone()).reread(source.clone());
                let replica = match known {
                    "generation" => first.clone().generation(1),
                    _ => first.clone(),
                };
                let before = match known {
                    "snapshot" => vec![scanned(0, "new", 9)],
                    // Of the change that is put right here, the one behind it is known to the snapshot only.
                    "put right" => vec![scanned(0, "new", 9), change(0, 0, None, Some("oldest"))],
                    _ => vec![change(9, 0, Some("old"), Some("new"))],
                };
                for record in before {
                    dispatch(&every(first.clone()), &[record]).await;
                }
                set(&*source, 0, now).await;
                let replica = every(replica);
                for _ in 0..2 {
                    assert_eq!(dispatch(&replica, std::slice::from_ref(late)).await.unfinished, None);
                    let rows: Vec<_> = target.rows().into_iter().map(|row| row["kind"].clone()).collect();
                    let is_known = known == "later" && now.is_none();
                    let expected = now.or(is_known.then_some("new"));
                    assert_eq!(rows, Vec::from_iter(expected.map(text)), "{known}, {now:?}, {late}");
                }
                // What comes next counts again.
                set(&*source, 0, None).await;
                dispatch(&replica, &[change(10, 0, Some("new"), None)]).await;
                assert!(target.rows().is_empty());
            }
        }
    }
}

/// Without times, and told never to ask, nothing is asked.
#[tokio::test]
async fn never_is_never() {
    let (source, target, count) = (memory("Source"), memory("Target"), Arc::<Count>::default());
    let replica = Replica::new(target.clone()).reread(Slow::new(&source, 0, &count)).late_after(Duration::MAX);
    assert_eq!(dispatch(&every(replica), &inserts(0..3)).await.applied, 3);
    assert_eq!((target.rows().len(), count.asked.load(SeqCst)), (3, 0));
}

/// A worker has written a row and crashed before it asked; its item is of another type when the sweep comes.
#[tokio::test]
async fn a_sweep_on_the_route_takes_back_what_has_left_its_type() {
    let (source, target) = (memory("Source"), memory("Target"));
    let failure = source.failure();
    let broken = Memory::new("Source", ["PK"]).with_faults(move |_, _| Fault::Before(failure.clone()));
    let replica: Replica = Replica::new(target.clone());
    let crashes = every(replica.clone().reread(broken));
    dispatch(&crashes, &[scanned(0, "PET", 1), scanned(1, "PET", 1)]).await;
    for n in [0, 1] {
        set(&*source, n, Some(["PET", "DRAFT"][n])).await;
    }
    let replica = replica.reread(source);
    let found: Vec<_> = [0, 1].map(|n| scanned(n, "PET", 2)).into();
    let found: Vec<_> = found.into_iter().zip(target.rows()).map(|(record, row)| with_version(record, &row)).collect();
    let sweep = Router::by_attribute("kind").route("PET", Sweep::new(replica.clone())).ignore_others();
    assert_eq!(dispatch(&Dispatcher::new(sweep), &found).await.applied, 1);
    assert_eq!(target.rows().len(), 1);
    // A replica that says itself what it takes needs no route for that.
    let pets = replica.shape(Shape::new().only_if(|row| row.get("kind") == Some(&text("DRAFT"))));
    assert_eq!(pets.sweep(&["PK"], target.rows()).await.expect("nothing fails"), 1);
}

fn with_version(mut record: Value, row: &Item) -> Value {
    let anabranch::sink::table::AttributeValue::S(version) = &row["anabranchVersion"] else { panic!("a version") };
    record["dynamodb"]["NewImage"]["anabranchVersion"] = json!({"S": version});
    record
}
