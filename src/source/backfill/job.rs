//! A whole backfill on one machine.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    TryStreamExt,
    future::{Either, select},
    stream,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Backfill, BackfillError, Counts, History, Slice, SliceCursor, pace::Pace, slice::done};
use crate::handler::Deadline;

/// How long a slice is, on a machine that has all the time there is.
const SLICE: Duration = Duration::from_secs(300);

/// Where all segments of a backfill stand: made to be stored, and to be resumed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job<P> {
    /// Its name, which its dead letters carry as the id of the request.
    pub name: String,
    /// The segments that something is left of, by an index of their own.
    pub open: BTreeMap<u32, SliceCursor<P>>,
    /// What became of the rows of those that were read to their end.
    pub done: Counts,
    /// How many segments there are.
    pub segments: u32,
}

impl<P> Job<P> {
    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.open.is_empty()
    }

    /// What became of all rows so far.
    pub fn counts(&self) -> Counts {
        let mut counts = self.done.clone();
        self.open.values().for_each(|cursor| counts += &cursor.counts);
        counts
    }

    fn advance(&mut self, segment: u32, slice: Slice<P>) {
        match slice {
            Slice::Continue { cursor } => drop(self.open.insert(segment, cursor)),
            Slice::Done { counts } => {
                self.open.remove(&segment);
                self.done += &counts;
            }
        }
    }
}

impl<H: History> Backfill<H> {
    /// A job of which nothing is done, with a segment for each place.
    pub fn job(&self, name: impl Into<String>, places: impl IntoIterator<Item = H::Place>) -> Job<H::Place> {
        let name = name.into();
        let open: BTreeMap<_, _> = (0..).zip(places.into_iter().map(|place| self.begin(name.clone(), place))).collect();
        Job { name, segments: open.len() as u32, open, done: Counts::default() }
    }

    /// Runs a job to its end, `workers` segments of a [stage](History::stage) at a time in random order; `observe` sees it after every portion.
    ///
    /// Dropping the future stops at once; the job stands where `observe` saw it last, and goes on from there when it is run again. Each
    /// worker repeats one portion at most.
    ///
    /// Each worker keeps to the [rates](History::rates) over all its segments. Only for its very last portion it does not wait.
    ///
    /// # Errors
    /// The first failure of a segment, which the others do not outlive: the job stands at what was finished.
    pub async fn run(
        &self,
        job: &mut Job<H::Place>,
        workers: usize,
        mut observe: impl FnMut(&Job<H::Place>),
    ) -> Result<(), BackfillError> {
        let idle = Idle::default();
        for stage in self.stages(job) {
            self.run_stage(job, stage, workers, &idle, &mut observe).await?;
        }
        Ok(())
    }

    /// Runs segments to their end. Everything that was finished has been observed then.
    async fn run_stage(
        &self,
        job: &mut Job<H::Place>,
        segments: Vec<(u32, SliceCursor<H::Place>)>,
        workers: usize,
        idle: &Idle,
        observe: &mut impl FnMut(&Job<H::Place>),
    ) -> Result<(), BackfillError> {
        let (moved, mut moves) = mpsc::unbounded_channel();
        let work =
            stream::iter(segments.into_iter().map(Ok)).try_for_each_concurrent(workers.max(1), |(segment, cursor)| {
                let moved = moved.clone();
                self.run_segment(cursor, idle, move |slice| _ = moved.send((segment, slice)))
            });
        let mut work = pin!(work);
        let ended = loop {
            match select(pin!(moves.recv()), work.as_mut()).await {
                Either::Left((moved, _)) => {
                    let (segment, slice) = moved.expect("this function holds a sender");
                    job.advance(segment, slice);
                    observe(job);
                }
                Either::Right((ended, _)) => break ended,
            }
        };
        moves.close();
        while let Ok((segment, slice)) = moves.try_recv() {
            job.advance(segment, slice);
            observe(job);
        }
        ended
    }

    /// What is left, stage by stage; within one in an order that is all but random.
    fn stages(&self, job: &Job<H::Place>) -> Vec<Vec<(u32, SliceCursor<H::Place>)>> {
        let mut stages = BTreeMap::<_, Vec<_>>::new();
        for (segment, cursor) in &job.open {
            stages.entry(self.history().stage(&cursor.place)).or_default().push((*segment, cursor.clone()));
        }
        for segments in stages.values_mut() {
            segments.sort_by_key(|(segment, _)| scattered(*segment));
        }
        stages.into_values().collect()
    }

    /// Runs one segment to its end, slice after slice.
    async fn run_segment(
        &self,
        mut cursor: SliceCursor<H::Place>,
        idle: &Idle,
        moved: impl Fn(Slice<H::Place>),
    ) -> Result<(), BackfillError> {
        self.check(&cursor)?;
        let mut pace = idle.take().unwrap_or_else(|| self.pace());
        pace.owe(cursor.owed);
        let mut observe = |cursor: &SliceCursor<H::Place>| {
            if !cursor.ended {
                moved(Slice::Continue { cursor: cursor.clone() });
            }
        };
        while !cursor.ended {
            pace.ready().await;
            cursor = self.read_on(cursor, Deadline::after(SLICE), &mut pace, &mut observe).await?;
        }
        moved(done(cursor.counts)?);
        idle.put(pace);
        Ok(())
    }
}

/// What the workers owe that are between two segments: whoever takes the next one owes it then.
#[derive(Default)]
struct Idle(Mutex<Vec<Pace>>);

impl Idle {
    fn take(&self) -> Option<Pace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, pace: Pace) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pace);
    }
}

/// An order that spreads neighbours: neighbouring segments are often on one partition.
fn scattered(segment: u32) -> u32 {
    segment.wrapping_mul(0x9E37_79B9).rotate_left(16)
}
