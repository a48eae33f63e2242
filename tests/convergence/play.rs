//! One history.

use std::{
    cell::Cell,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anabranch::{
    handler::{Context, Deadline},
    source::backfill::{Backfill, BackfillError, Slice, SliceCursor},
};
use futures_util::future::join_all;
use tokio::time::{sleep, timeout};

use crate::{
    seeds::Dice,
    slow::{Pause, Way},
    source::{self, ITEMS, Pages, Place, SEGMENTS, Source},
    target::Target,
};

/// Everything that works on one table and one target.
struct World<T> {
    source: Arc<Source>,
    target: T,
    /// How long requests take at most, in milliseconds.
    latency: usize,
    /// Whether workers are killed and requests fail. Nothing does for ever.
    troubled: Arc<AtomicBool>,
    /// Whether the users have stopped changing the table.
    quiet: Cell<bool>,
    /// Whether a page was begun and given up.
    given_up: Cell<bool>,
}

/// A history, from its seed alone.
pub(crate) fn play<T: Target>(seed: u64) {
    let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    clock.expect("a runtime").block_on(history::<T>(Dice::new(seed)));
}

async fn history<T: Target>(mut dice: Dice) {
    let initial: Vec<usize> = (0..ITEMS).filter(|_| dice.chance(60)).collect();
    let source = Source::new(initial).await;
    let world = World {
        target: T::new(&source),
        source,
        latency: 1 + dice.below(60),
        troubled: Arc::new(AtomicBool::new(dice.chance(80))),
        quiet: Cell::new(false),
        given_up: Cell::new(false),
    };
    let (changes, pace) = (2 + dice.below(14), 1 + dice.below(120));
    let (users, users_pause) = (fork(&mut dice), Pause::new(fork(&mut dice), pace));
    let live = async {
        source::live(&world.source, users, changes, &users_pause).await;
        world.quiet.set(true);
    };
    let calm = async {
        sleep(Duration::from_millis(2_000)).await;
        world.troubled.store(false, Relaxed);
    };
    let mut shards: Vec<_> = (0..SEGMENTS).map(|shard| (shard, fork(&mut dice))).collect();
    let shards = join_all(shards.drain(..).map(|(shard, dice)| world.shard(shard, dice)));
    let backfills = world.backfills(fork(&mut dice), 1 + usize::from(dice.chance(30)));
    let (late, ..) = tokio::join!(shards, backfills, live, calm);
    // What nobody waited for any more comes even later.
    for worker in late.into_iter().flatten() {
        worker.await.expect("a worker does not panic");
    }
    if world.given_up.get() {
        world.target.sweep(world.way(fork(&mut dice))).await;
    }
    sleep(Duration::from_secs(1)).await;
    world.target.check(&world.source.rows()).await;
}

/// Dice of their own, for somebody who rolls when it pleases them.
fn fork(dice: &mut Dice) -> Dice {
    Dice::new(dice.next())
}

type Late = tokio::task::JoinHandle<()>;

impl<T: Target> World<T> {
    fn way(&self, dice: Dice) -> Way {
        Way { pause: Pause::new(dice, self.latency), outlives: T::OUTLIVES, fails: Arc::clone(&self.troubled) }
    }

    /// After how long a worker is killed, if it is.
    fn killed(&self, dice: &mut Dice) -> Duration {
        let struck = self.troubled.load(Relaxed) && dice.chance(35);
        if struck { Duration::from_millis(dice.below(1_000) as u64) } else { Duration::MAX }
    }

    /// The event source mapping of a shard, until there is nothing more: each batch from the first unfinished record on. Answers
    /// with workers that it has given up and that go on.
    async fn shard(&self, shard: usize, mut dice: Dice) -> Vec<Late> {
        let (mut at, mut late) = (0, Vec::new());
        loop {
            let (size, end) = (1 + dice.below(6), self.source.records(shard));
            if at == end {
                if self.quiet.get() {
                    return late;
                }
                sleep(Duration::from_millis(1 + dice.below(50) as u64)).await;
                continue;
            }
            let mut order: Vec<usize> = (at..end.min(at + size)).collect();
            order.extend(dice.chance(25).then(|| order[dice.below(order.len())]));
            if T::OUTLIVES && self.troubled.load(Relaxed) && dice.chance(20) {
                late.push(self.late(shard, &order, fork(&mut dice)));
                continue;
            }
            at = self.deliver(shard, &order, &mut dice).await.unwrap_or(at);
        }
    }

    /// One delivery; answers with where the next begins, unless the worker is killed.
    async fn deliver(&self, shard: usize, order: &[usize], dice: &mut Dice) -> Option<usize> {
        let dispatcher = self.target.dispatcher(self.way(fork(dice)));
        let work = self.source.event(shard, order);
        let deadline = Deadline::after(Duration::from_millis(500 + dice.below(20_000) as u64));
        let context = Context { deadline, ..Context::default() };
        let report = timeout(self.killed(dice), dispatcher.dispatch(work, &context)).await.ok()?;
        let unfinished = report.expect("a stream event").unfinished;
        let all = order.iter().max().map_or(0, |last| last + 1);
        Some(unfinished.map_or(all, |unfinished| order[unfinished.position]))
    }

    /// The same, by a worker that stands still first, and that nobody waits for.
    fn late(&self, shard: usize, order: &[usize], mut dice: Dice) -> Late {
        let pause = Duration::from_millis(dice.below(3_000) as u64);
        let dispatcher = self.target.dispatcher(self.way(dice));
        let work = self.source.event(shard, order);
        tokio::spawn(async move {
            sleep(pause).await;
            dispatcher.dispatch(work, &Context::default()).await.expect("a stream event");
        })
    }

    /// Backfills one after another, each of all segments side by side.
    async fn backfills(&self, mut dice: Dice, times: usize) {
        for _ in 0..times {
            sleep(Duration::from_millis(dice.below(300) as u64)).await;
            let rows = 1 + dice.below(3);
            let mut dice: Vec<_> = (0..SEGMENTS).map(|_| fork(&mut dice)).collect();
            let segments = dice.drain(..).enumerate();
            join_all(segments.map(|(segment, dice)| self.segment(segment, rows, dice))).await;
        }
    }

    /// A segment slice by slice, some of which are killed.
    async fn segment(&self, segment: usize, rows: usize, mut dice: Dice) {
        let place = Place { segment, after: None };
        let mut stored: Option<SliceCursor<Place>> = None;
        for _ in 0..1_000 {
            let pause = Pause::new(fork(&mut dice), 10 * self.latency);
            let pages = Pages { source: Arc::clone(&self.source), pause, rows };
            let backfill = Backfill::new(pages, self.target.dispatcher(self.way(fork(&mut dice))), "target");
            let cursor = stored.clone().unwrap_or_else(|| backfill.begin("job", place));
            let deadline = Deadline::after(Duration::from_millis(1_500 + dice.below(8_000) as u64));
            let slice = backfill.run_slice_observed(cursor, deadline, |cursor| stored = Some(cursor.clone()));
            match timeout(self.killed(&mut dice), slice).await {
                Ok(Ok(Slice::Done { counts })) => return assert!(counts.reconciled(), "{counts:?}"),
                Ok(Ok(Slice::Continue { cursor })) => stored = Some(cursor),
                Ok(Err(BackfillError::NoTime | BackfillError::Stuck { .. })) | Err(_) => {}
                Ok(Err(error)) => panic!("{error:?}"),
            }
            // A page of which nobody knows how far it came.
            self.given_up.set(true);
        }
        panic!("segment {segment} has no end");
    }
}
