//! One slice: as much of a segment as fits into an invocation.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::{
    BackfillError, Counts, History, Portion, SliceCursor,
    cursor::SCHEMA,
    pace::{Owed, Pace},
};
use crate::{
    dispatch::{Cause, Dispatcher, Unfinished},
    handler::{Context, Deadline},
    record::{split, wire::EventWriter},
    scan::Slowest,
    sink::table::wait_after,
};

/// So many fruitless rounds in a row, and a row holds its segment up.
const MOST_ROUNDS: u32 = 8;

/// The past of a table on its way through the handlers of its present.
///
/// The seam between the engines that drive a backfill (Step Functions, the command line, a test) and the work itself is
/// [`run_slice`](Self::run_slice).
#[derive(Debug)]
pub struct Backfill<H> {
    history: H,
    dispatcher: Dispatcher,
    handler: String,
    generation: u32,
}

/// How a slice has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum Slice<P> {
    /// Something is left of the segment.
    Continue {
        /// Where the next slice begins.
        cursor: SliceCursor<P>,
    },
    /// The segment was read to its end, and every row of it is accounted for.
    Done {
        /// What became of its rows.
        counts: Counts,
    },
}

impl<P> Slice<P> {
    /// What became of the segment's rows so far.
    pub fn counts(&self) -> &Counts {
        match self {
            Self::Continue { cursor } => &cursor.counts,
            Self::Done { counts } => counts,
        }
    }

    /// Whether the segment was read to its end.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// What became of a portion.
enum Handled {
    /// All of it is done with.
    All(Counts),
    /// There was no time to finish it.
    OutOfTime,
    /// A row stays unfinished.
    Stuck(BackfillError),
}

impl<H: History> Backfill<H> {
    /// Lets a history go through these handlers, which `handler` names: a cursor fits no others.
    pub fn new(history: H, dispatcher: impl Into<Dispatcher>, handler: impl Into<String>) -> Self {
        Self { history, dispatcher: dispatcher.into(), handler: handler.into(), generation: 0 }
    }

    /// The generation of the target that is built: 0 unless a view is built anew.
    #[must_use]
    pub fn generation(mut self, generation: u32) -> Self {
        self.generation = generation;
        self
    }

    /// Where the rows come from.
    pub fn history(&self) -> &H {
        &self.history
    }

    /// The cursor of a segment of which nothing was read.
    pub fn begin(&self, job: impl Into<String>, place: H::Place) -> SliceCursor<H::Place> {
        let (handler, generation) = (self.handler.clone(), self.generation);
        let (counts, owed) = (Counts::default(), Owed::default());
        SliceCursor { schema: SCHEMA, job: job.into(), handler, generation, place, counts, owed, ended: false }
    }

    /// Reads on in a segment, until its end or until there is no time for another portion.
    ///
    /// The cursor moves behind a portion once every row of it is done with: applied, skipped for a reason, or taken by the dead
    /// letter sink. A row that is to be retried is tried again, with those behind it, after a growing, random wait. So a slice that is killed repeats one
    /// portion at most, which is harmless: rows of a snapshot are idempotent.
    ///
    /// Each portion is [paid for](History::rates) before the next, and the last one before the segment is done. What cannot be paid within the slice is
    /// owed by the cursor, and the next slice waits for it first. One that has no time for more than that hands the same place back, and less is owed.
    ///
    /// # Errors
    /// See [`BackfillError`]. If a slice cannot go on but has finished something, it ends with [`Slice::Continue`], and the next one fails.
    pub async fn run_slice(
        &self,
        cursor: SliceCursor<H::Place>,
        deadline: Deadline,
    ) -> Result<Slice<H::Place>, BackfillError> {
        self.run_slice_observed(cursor, deadline, |_| ()).await
    }

    /// The same; `observe` sees the cursor each time it has moved.
    ///
    /// # Errors
    /// As [`run_slice`](Self::run_slice).
    pub async fn run_slice_observed(
        &self,
        mut cursor: SliceCursor<H::Place>,
        deadline: Deadline,
        mut observe: impl FnMut(&SliceCursor<H::Place>),
    ) -> Result<Slice<H::Place>, BackfillError> {
        self.check(&cursor)?;
        let (mut pace, payday) = (self.pace(), deadline.minus(Slowest::default().reserve()));
        pace.owe(cursor.owed);
        let owes = pace.ready_at() > Instant::now();
        if owes && payday.passed() {
            return Err(BackfillError::NoTime);
        }
        if !pace.ready_before(payday).await {
            cursor.owed = pace.owed();
            return Ok(Slice::Continue { cursor });
        }
        if !cursor.ended {
            cursor = match self.read_on(cursor.clone(), deadline, &mut pace, &mut observe).await {
                // The wait has taken its time: without one, the next slice has all of it.
                Err(BackfillError::NoTime) if owes => SliceCursor { owed: Owed::default(), ..cursor },
                read => read?,
            };
        }
        if !cursor.ended {
            return Ok(Slice::Continue { cursor });
        }
        if pace.ready_before(payday).await {
            return done(cursor.counts);
        }
        cursor.owed = pace.owed();
        Ok(Slice::Continue { cursor })
    }

    /// The pace of a worker that owes nothing yet.
    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.history.rates())
    }

    /// Reads on, at a pace that outlives the slice, until there is no time for another portion or until the segment has ended.
    pub(super) async fn read_on(
        &self,
        mut cursor: SliceCursor<H::Place>,
        deadline: Deadline,
        pace: &mut Pace,
        observe: &mut impl FnMut(&SliceCursor<H::Place>),
    ) -> Result<SliceCursor<H::Place>, BackfillError> {
        let (mut portions, mut slowest, mut finished) =
            (self.history.open(&cursor.place, deadline), Slowest::default(), 0);
        while !cursor.ended && deadline.instant().is_none_or(|until| slowest.fits_between(pace.ready_at(), until)) {
            pace.ready().await;
            let begin = Instant::now();
            let Some(portion) = deadline.before(portions.next()).await.flatten() else { break };
            let portion = match portion {
                Ok(portion) => portion,
                Err(source) if finished == 0 => return Err(BackfillError::History { source }),
                Err(_) => break,
            };
            pace.charge(&portion);
            match self.handle(&cursor.job, &portion, deadline).await? {
                Handled::All(counts) => cursor.counts += &counts,
                Handled::OutOfTime => break,
                Handled::Stuck(error) if finished == 0 => return Err(error),
                Handled::Stuck(_) => break,
            }
            finished += 1;
            slowest.observe(begin.elapsed());
            cursor.owed = pace.owed();
            match portion.next {
                Some(place) => cursor.place = place,
                None => cursor.ended = true,
            }
            observe(&cursor);
        }
        cursor.owed = pace.owed();
        if finished == 0 { Err(BackfillError::NoTime) } else { Ok(cursor) }
    }

    /// Whether a cursor was made for these handlers, in this form.
    pub(super) fn check(&self, cursor: &SliceCursor<H::Place>) -> Result<(), BackfillError> {
        let differ = |what, cursor: &dyn ToString, here: &dyn ToString| {
            Err(BackfillError::Mismatch { what, cursor: cursor.to_string(), here: here.to_string() })
        };
        if cursor.schema != SCHEMA {
            return differ("form", &cursor.schema, &SCHEMA);
        }
        if cursor.handler != self.handler {
            return differ("handler", &cursor.handler, &self.handler);
        }
        if cursor.generation != self.generation {
            return differ("generation", &cursor.generation, &self.generation);
        }
        Ok(())
    }

    /// Hands a portion to the handlers until all of it is done with.
    async fn handle(
        &self,
        job: &str,
        portion: &Portion<H::Place>,
        deadline: Deadline,
    ) -> Result<Handled, BackfillError> {
        let Portion { records, scanned, expired, units, .. } = *portion;
        let units = units.unwrap_or_default();
        let mut counts = Counts { portions: 1, records, scanned, expired, units, ..Counts::default() };
        let context = Context { function: self.handler.as_str().into(), request_id: Some(Arc::from(job)), deadline };
        let (mut payload, mut before, mut rounds) = (portion.payload.clone(), 0, 0);
        loop {
            let report = self.dispatcher.dispatch(payload.clone(), &context).await?;
            counts.take(&report);
            let Some(Unfinished { position, cause, .. }) = report.unfinished else {
                return Ok(Handled::All(counts));
            };
            rounds = if position > 0 { 1 } else { rounds + 1 };
            before += position;
            let wait = wait_after(rounds);
            if rounds >= MOST_ROUNDS {
                return Ok(Handled::Stuck(BackfillError::Stuck { position: before, rounds, cause }));
            }
            if cause == Cause::Deadline || deadline.remaining().is_some_and(|left| left <= wait) {
                return Ok(Handled::OutOfTime);
            }
            sleep(wait).await;
            payload = rest(payload, position);
        }
    }
}

/// The segment is done with, if every row is accounted for.
pub(super) fn done<P>(counts: Counts) -> Result<Slice<P>, BackfillError> {
    if counts.reconciled() {
        return Ok(Slice::Done { counts });
    }
    let accounted = counts.applied + counts.skipped_total() + counts.dead;
    Err(BackfillError::Unreconciled { missing: counts.records.cast_signed() - accounted.cast_signed() })
}

/// The records from `position` on, as an event of their own.
fn rest(payload: Bytes, position: usize) -> Bytes {
    if position == 0 {
        return payload;
    }
    let mut event = EventWriter::new();
    for record in split(payload).expect("it was dispatched before").skip(position) {
        match record {
            Ok(record) => event.push_json(record.json()),
            Err(unreadable) => event.push_json(unreadable.json()),
        }
    }
    event.finish()
}
