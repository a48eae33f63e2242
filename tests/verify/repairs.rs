//! What comes in between a repair's look and its write wins.

use std::sync::{Arc, Mutex};

use anabranch::{
    dispatch::Dispatcher,
    record::{NewImage, Version},
    replica::{Replica, ReplicaError},
    router::Router,
    sink::table::{
        DEFAULT_VERSION_ATTRIBUTE, Fault, Guard, Item, Memory, RowWrite, Table, TableError, Written, item, text,
    },
    source::backfill::verify::{Repair, Verify},
};
use futures_util::future::{BoxFuture, FutureExt};

use crate::world::{Pages, Source, deliver, key, number, paused};

/// A table in front of which something happens before its first guarded write.
struct Meddled {
    table: Arc<Memory>,
    meddle: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Table for Meddled {
    fn name(&self) -> &str {
        self.table.name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        async move {
            let meddle = self.meddle.lock().expect("no panic under the lock").take();
            if let Some(meddle) = meddle {
                meddle.await;
            }
            self.table.write_guarded(write, guard).await
        }
        .boxed()
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        self.table.write_batch(writes)
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        self.table.read(key)
    }
}

fn pet(weight: usize) -> Item {
    item([("PK", key(1)["PK"].clone()), ("weight", number(weight))])
}

/// A row is wrong or not there, and is repaired; before the repair's write there is a change, which is handled.
async fn meddled(
    row_is_there: bool,
    change: impl AsyncFnOnce(Arc<Source>, Dispatcher) + 'static,
) -> (Vec<Item>, Vec<Item>, u64) {
    let (source, target, repaired) = meddled_with(row_is_there, |_| (), Replica::new, change).await;
    (source.table.rows(), target.rows(), repaired)
}

/// The same of a row that is planted with something else besides, and by this replica.
async fn meddled_with(
    row_is_there: bool,
    planted: impl FnOnce(&mut Item),
    replica: impl FnOnce(Meddled) -> Replica,
    change: impl AsyncFnOnce(Arc<Source>, Dispatcher) + 'static,
) -> (Arc<Source>, Arc<Memory>, u64) {
    let (source, target) = (Arc::new(Source::new()), Arc::new(Memory::new("Target", ["PK"])));
    let live = Dispatcher::new(Router::<NewImage>::new().every(Replica::new(target.clone())));
    let first = source.put(pet(1)).await;
    if row_is_there {
        deliver(&live, [first]).await;
        let mut row = target.rows().remove(0);
        row.insert("weight".to_owned(), number(666));
        planted(&mut row);
        target.write_batch(&[RowWrite::put(key(1), row)]).await.expect("it is planted");
    }
    let local = tokio::task::LocalSet::new();
    let (done, happened) = tokio::sync::oneshot::channel();
    let (begin, begun) = tokio::sync::oneshot::channel::<()>();
    let (of_source, dispatcher) = (source.clone(), live.clone());
    local.spawn_local(async move {
        begun.await.expect("the repair begins");
        change(of_source, dispatcher).await;
        done.send(()).expect("the repair waits");
    });
    let meddle = async move {
        begin.send(()).expect("the change waits");
        happened.await.expect("the change happens");
    };
    let table = Meddled { table: target.clone(), meddle: Mutex::new(Some(meddle.boxed())) };
    let verify = Verify::replica(source.rows(), replica(table), Pages::of(&target, &["PK"])).repairing();
    let report = local.run_until(verify.run()).await.expect("tables in memory");
    assert_eq!(report.differences(), 1, "{report}");
    (source, target, report.repaired)
}

fn weights(rows: &[Item]) -> Vec<&anabranch::sink::table::AttributeValue> {
    rows.iter().map(|row| &row["weight"]).collect()
}

#[test]
fn a_newer_change_is_never_overwritten() {
    for row_is_there in [true, false] {
        let (source, target, repaired) = paused(meddled(row_is_there, async |source: Arc<Source>, live| {
            let change = source.put(pet(2)).await;
            deliver(&live, [change]).await;
        }));
        assert_eq!(weights(&source), [&number(2)]);
        assert_eq!(weights(&target), weights(&source), "the change is what the row says");
        assert_eq!(repaired, 1, "it is right, whoever put it right");
    }
}

#[test]
fn a_newer_deletion_is_never_undone() {
    for row_is_there in [true, false] {
        let (source, target, _) = paused(meddled(row_is_there, async |source: Arc<Source>, live| {
            let change = source.remove(&key(1)).await;
            deliver(&live, [change]).await;
        }));
        assert_eq!((source.len(), target.len()), (0, 0), "what was put back is taken back");
    }
}

/// A repair that is killed before it asks for the item again leaves the row to whoever looks through the target: as if a snapshot
/// had brought it, whatever was there before.
#[test]
fn what_a_killed_repair_put_back_is_swept_up() {
    let snapshot = Version::snapshot(0, 1);
    for (row_is_there, version) in [(false, None), (true, None), (true, Some(snapshot.as_str()))] {
        let planted = |row: &mut Item| {
            row.extend(version.map(|version| (DEFAULT_VERSION_ATTRIBUTE.to_owned(), text(version))));
        };
        let killed = |table| Replica::new(table).reread(unanswering());
        let swept = paused(async {
            let meddled = meddled_with(row_is_there, planted, killed, async |source: Arc<Source>, live| {
                let change = source.remove(&key(1)).await;
                deliver(&live, [change]).await;
            });
            let (source, target, repaired) = meddled.await;
            assert_eq!((source.table.rows().len(), target.rows().len(), repaired), (0, 1, 0), "put back for nobody");
            let replica: Replica = Replica::new(target.clone()).reread(source.table.clone());
            replica.sweep(&["PK"], target.rows()).await.expect("tables in memory");
            target.rows()
        });
        assert!(swept.is_empty(), "{version:?}: {swept:?}");
    }
}

/// A source that answers nobody.
fn unanswering() -> Memory {
    let source = Memory::new("Source", ["PK"]);
    let failure = source.failure();
    source.with_faults(move |_, _| Fault::Before(failure.clone()))
}

#[test]
fn a_change_that_is_handled_after_the_repair_wins() {
    paused(async {
        let (source, target) = (Source::new(), Arc::new(Memory::new("Target", ["PK"])));
        let live = Dispatcher::new(Router::<NewImage>::new().every(Replica::new(target.clone())));
        let first = source.put(pet(1)).await;
        deliver(&live, [first.clone()]).await;
        // The second change is lost for now, and repaired before it comes after all, and the first a second time.
        let late = source.put(pet(2)).await;
        let verify = Verify::replica(source.rows(), Replica::new(target.clone()), Pages::of(&target, &["PK"]));
        assert!(verify.clone().repairing().run().await.expect("tables in memory").is_equal());
        assert_eq!(weights(&target.rows()), [&number(2)]);
        deliver(&live, [first]).await;
        assert_eq!(weights(&target.rows()), [&number(2)], "a duplicate is stale");
        deliver(&live, [late]).await;
        let third = source.put(pet(3)).await;
        deliver(&live, [third]).await;
        assert_eq!(weights(&target.rows()), [&number(3)]);
        assert_eq!(verify.run().await.expect("tables in memory").differences(), 0);
    });
}

#[test]
fn a_plain_replica_is_compared_and_not_repaired() {
    paused(async {
        let (source, target) = (Source::new(), Arc::new(Memory::new("Target", ["PK"])));
        source.put(pet(1)).await;
        let verify = Verify::replica(source.rows(), Replica::plain(target.clone()), Pages::of(&target, &["PK"]));
        let report = verify.repairing().run().await.expect("tables in memory");
        let unguarded = ReplicaError::Unguarded { table: "Target".into() }.to_string();
        assert_eq!(report.findings[0].repair(), &Repair::Failed(unguarded));
        assert!(!report.is_equal() && target.rows().is_empty());
    });
}
