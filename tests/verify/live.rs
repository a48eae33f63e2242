//! Live traffic beside a comparison: what is on its way is no difference, what is lost is.

use std::{sync::Arc, time::Duration};

use anabranch::{
    dispatch::Dispatcher,
    record::NewImage,
    replica::{Replica, Tombstones},
    router::Router,
    sink::table::{Item, Memory, item},
    source::backfill::verify::Verify,
};
use tokio::{sync::mpsc, time::sleep};

use crate::world::{Change, Pages, Source, deliver, key, number, paused};

const LAG: Duration = Duration::from_millis(900);

fn pet(n: usize, weight: u64) -> Item {
    item([("PK", key(n)["PK"].clone()), ("weight", number(weight))])
}

/// Random numbers, the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// Users who never rest: item 0 changes every few milliseconds, the others now and then; items come and go.
async fn users(source: Arc<Source>, stream: mpsc::UnboundedSender<Change>, mut dice: Dice) {
    for round in 0_u64.. {
        let n = if round % 2 == 0 { 0 } else { dice.below(60) as usize };
        let change = match dice.below(4) {
            0 if n > 0 => source.remove(&key(n)).await,
            _ => source.put(pet(n, round)).await,
        };
        // Item 59 is the one whose changes are lost.
        if n != 59 && stream.send(change).is_err() {
            return;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// The function, some time behind.
async fn function(dispatcher: Dispatcher, mut stream: mpsc::UnboundedReceiver<Change>) {
    let mut changes = Vec::new();
    while stream.recv_many(&mut changes, 20).await > 0 {
        sleep(Duration::from_millis(100)).await;
        let (dispatcher, batch) = (dispatcher.clone(), std::mem::take(&mut changes));
        // Batches stay in order: each is as late as the other.
        tokio::spawn(async move {
            sleep(LAG - Duration::from_millis(150)).await;
            deliver(&dispatcher, batch).await;
        });
    }
}

#[test]
fn what_is_on_its_way_is_no_difference() {
    for (seed, stones) in (1..=12).zip([false, true].into_iter().cycle()) {
        paused(async move {
            let (source, target) = (Arc::new(Source::new()), Arc::new(Memory::new("Target", ["PK"])));
            let replica = Replica::new(target.clone());
            let replica =
                if stones { replica.tombstones(Tombstones::keep(Duration::from_secs(3_600))) } else { replica };
            let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(replica.clone()));
            let (sender, receiver) = mpsc::unbounded_channel();
            let users = tokio::spawn(users(source.clone(), sender, Dice(seed)));
            let function = tokio::spawn(function(dispatcher, receiver));
            sleep(Duration::from_secs(5)).await;
            // The last state of an item whose changes are all lost.
            drop(source.put(pet(99, 1)).await);

            let verify = Verify::replica(source.rows(), replica, Pages::of(&target, &["PK"]));
            let report = verify.settle(LAG * 2).run().await.expect("tables in memory");
            let mut found: Vec<_> = report.findings.iter().filter_map(|finding| finding.key()).collect();
            found.retain(|found| **found != key(59));
            assert_eq!(found, [&key(99)], "seed {seed}: {report}");
            assert!(report.moving > 0, "seed {seed}: one item is never the same: {report}");
            assert!(report.source > 20, "{report}");
            users.abort();
            function.abort();
        });
    }
}

#[test]
fn both_tables_together_are_read_no_faster_than_told() {
    paused(async {
        let (source, target) = (Source::new(), Arc::new(Memory::new("Target", ["PK"])));
        let replica: Replica = Replica::new(target.clone());
        let dispatcher = Dispatcher::new(Router::<NewImage>::new().every(replica.clone()));
        for n in 0..500 {
            deliver(&dispatcher, [source.put(pet(n, 1)).await]).await;
        }
        let verify = Verify::replica(source.rows(), replica, Pages::of(&target, &["PK"])).rate(100.0);
        let begun = tokio::time::Instant::now();
        let report = verify.run().await.expect("tables in memory");
        let (units, seconds) = (report.units, begun.elapsed().as_secs_f64());
        // 72 pages of each, and 500 rows of each by key.
        assert!((1_140.0..=1_150.0).contains(&units), "{units}");
        assert!((units / 100.0 - 1.2..units / 100.0 + 0.5).contains(&seconds), "{units} units in {seconds} s");
    });
}
