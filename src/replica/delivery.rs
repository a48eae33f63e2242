//! Rows on their way to the target, and the question behind those whose items may be gone, or have moved on.
//!
//! The question does not wait for the last write: what is known to be there is done with, so that whoever comes to the end of
//! the time has come some way.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::snapshot::Unconfirmed;
use crate::{
    handler::Deadline,
    sink::table::{Guard, Item, Limits, READ_ROWS, Reads, RowWrite, TableError, Writes, Written, read_many},
};

/// How long a row waits for others to be asked for together with it.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long before the end of all requests no row is written any more, so that there is time to ask for those that were.
const TIME_TO_ASK: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, TableError>;

/// What a row came to.
#[derive(Debug)]
pub(super) enum Came {
    /// Its write came to this. If its item is gone, then so is the row, unless a later change has written it.
    Done { written: Written, gone: bool },
    /// The table does not take it: no repetition can mend that.
    Refused(TableError),
    /// Nobody knows, or it may pass.
    Failed(TableError),
}

impl From<Result<Written>> for Came {
    fn from(result: Result<Written>) -> Self {
        match result {
            Ok(written) => Self::Done { written, gone: false },
            Err(error) if error.is_reject() => Self::Refused(error),
            Err(error) => Self::Failed(error),
        }
    }
}

/// The row with this key, by its item as it is now. None if it is to go.
pub(super) type RowNow<'r> = dyn Fn(&Item, Item) -> Option<Wanted> + Send + Sync + 'r;

/// What an item wants of the target.
pub(super) enum Wanted {
    This(Item),
    /// Nobody can tell: the row stays as it is.
    Whatever,
}

/// Where rows go, and who is asked for their items.
#[derive(Clone, Copy)]
pub(super) struct Parties<'r> {
    pub(super) target: &'r dyn Writes,
    pub(super) source: &'r dyn Reads,
    /// Where rows carry their versions.
    pub(super) attribute: &'r Arc<str>,
    pub(super) row_now: &'r RowNow<'r>,
}

/// What may have become of the item of a row since.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubts {
    None,
    /// It may be gone.
    Gone,
    /// The same; and a row with a lower version may know more of it.
    Moved,
}

/// A write, and whether the item of the row is still as it says.
pub(super) struct Parcel {
    pub(super) write: RowWrite,
    pub(super) version: String,
    pub(super) doubts: Doubts,
}

impl Parcel {
    /// Whether somebody may have to ask for the item.
    pub(super) fn is_doubted(&self) -> bool {
        match self.doubts {
            Doubts::None => false,
            Doubts::Gone => self.write.row().is_some(),
            Doubts::Moved => true,
        }
    }

    fn doubt(&self) -> Option<Unconfirmed> {
        let (moved, puts) = (self.doubts == Doubts::Moved, self.write.row().is_some());
        let row = || Unconfirmed { key: self.write.key().clone(), version: self.version.clone(), moved, puts };
        self.is_doubted().then(row)
    }

    fn guard(&self, attribute: &Arc<str>) -> Guard {
        let guard = Guard::new(Arc::clone(attribute), &*self.version);
        if self.doubts == Doubts::Moved { guard.over_changes() } else { guard }
    }
}

/// A row that is there, and whose item may be gone or have moved on.
struct Doubt {
    index: usize,
    row: Unconfirmed,
    written: Written,
}

impl Doubt {
    /// What puts the row right, by the item as it is now.
    fn remedy(&self, now: Option<Wanted>) -> Option<RowWrite> {
        let key = || self.row.key.clone();
        match now {
            None => Some(RowWrite::delete(key())),
            Some(Wanted::This(row)) if self.row.moved && self.written == Written::Stale => {
                Some(RowWrite::put(key(), row))
            }
            Some(_) => None,
        }
    }
}

enum Errand {
    Write(usize, Parcel),
    Ask(Vec<Doubt>),
    Mend(Doubt, RowWrite),
}

enum Answer {
    Written(usize, Option<Unconfirmed>, Result<Written>),
    Asked(Vec<Doubt>, Result<Vec<Option<Item>>>),
    Mended(Doubt, bool, Result<Written>),
}

/// Rows on their way: at most so many requests at a time, and behind a failure that a repetition may mend no more of its kind.
pub(super) struct Delivery<'r> {
    parties: Parties<'r>,
    concurrency: usize,
    /// When no row is written any more, and when nothing is asked.
    ends: (Deadline, Deadline),
    parcels: VecDeque<(usize, Parcel)>,
    writing: usize,
    doubts: VecDeque<Doubt>,
    /// Since when the first of the doubts waits.
    since: Instant,
    /// Rows whose items are gone, or have moved on, with what puts them right.
    wrong: VecDeque<(Doubt, RowWrite)>,
    /// Why nothing further is asked.
    broken: Option<TableError>,
    came: VecDeque<(usize, Came)>,
    under_way: FuturesUnordered<BoxFuture<'r, Answer>>,
}

impl<'r> Delivery<'r> {
    pub(super) fn new(parties: Parties<'r>, parcels: Vec<Parcel>, limits: Limits) -> Self {
        let end = limits.until.map_or(Deadline::NEVER, Deadline::at);
        let early = end.remaining().map_or(Duration::ZERO, |left| TIME_TO_ASK.min(left / 4));
        Self {
            parties,
            concurrency: limits.concurrency.max(1),
            ends: (end.minus(early), end),
            parcels: parcels.into_iter().enumerate().collect(),
            writing: 0,
            doubts: VecDeque::new(),
            since: Instant::now(),
            wrong: VecDeque::new(),
            broken: None,
            came: VecDeque::new(),
            under_way: FuturesUnordered::new(),
        }
    }

    /// Rows that were written some time ago.
    pub(super) fn of_rows(parties: Parties<'r>, rows: impl IntoIterator<Item = Unconfirmed>, limits: Limits) -> Self {
        let doubts = rows.into_iter().enumerate();
        let doubts = doubts.map(|(index, row)| Doubt { index, row, written: Written::Applied }).collect();
        Self { doubts, ..Self::new(parties, Vec::new(), limits) }
    }

    /// What the next row came to, by its index. Rows whose writes were not started are passed over.
    pub(super) async fn next(&mut self) -> Option<(usize, Came)> {
        loop {
            if let Some(came) = self.came.pop_front() {
                return Some(came);
            }
            while self.under_way.len() < self.concurrency
                && let Some(errand) = self.errand()
            {
                self.under_way.push(run(self.parties, errand, self.ends).boxed());
            }
            match self.under_way.next().await {
                Some(answer) => self.take(answer),
                None => return self.unanswered(),
            }
        }
    }

    /// What is to be done next: what is begun comes before what is new.
    fn errand(&mut self) -> Option<Errand> {
        if self.broken.is_none() && !self.ends.1.passed() {
            if let Some((doubt, remedy)) = self.wrong.pop_front() {
                return Some(Errand::Mend(doubt, remedy));
            }
            if self.is_time_to_ask() {
                let count = self.doubts.len().min(READ_ROWS);
                return Some(Errand::Ask(self.doubts.drain(..count).collect()));
            }
        }
        if self.ends.0.passed() {
            self.parcels.clear();
        }
        let (index, parcel) = self.parcels.pop_front()?;
        self.writing += 1;
        Some(Errand::Write(index, parcel))
    }

    fn is_time_to_ask(&self) -> bool {
        let last = self.writing == 0 && (self.parcels.is_empty() || self.ends.0.passed());
        !self.doubts.is_empty() && (last || self.doubts.len() >= READ_ROWS || self.since.elapsed() >= PATIENCE)
    }

    fn take(&mut self, answer: Answer) {
        match answer {
            Answer::Written(index, doubt, result) => {
                self.writing -= 1;
                self.wrote(index, doubt, result);
            }
            Answer::Asked(doubts, Ok(items)) => doubts.into_iter().zip(items).for_each(|(doubt, item)| {
                let now = item.and_then(|item| (self.parties.row_now)(&doubt.row.key, item));
                match doubt.remedy(now) {
                    None => self.done(doubt, false),
                    Some(remedy) => self.wrong.push_back((doubt, remedy)),
                }
            }),
            Answer::Asked(doubts, Err(error)) => doubts.into_iter().for_each(|doubt| self.fail(doubt, error.clone())),
            Answer::Mended(doubt, false, Ok(Written::Applied)) => {
                self.doubt(Doubt { row: doubt.row.put_right(), ..doubt })
            }
            Answer::Mended(doubt, gone, Ok(_)) => self.done(doubt, gone),
            Answer::Mended(doubt, _, Err(error)) if error.is_reject() => {
                self.came.push_back((doubt.index, Came::Refused(error)));
            }
            Answer::Mended(doubt, _, Err(error)) => self.fail(doubt, error),
        }
    }

    fn wrote(&mut self, index: usize, doubt: Option<Unconfirmed>, result: Result<Written>) {
        match (result, doubt) {
            (Ok(written), Some(row)) => self.doubt(Doubt { index, row, written }),
            (result, _) => {
                let came = Came::from(result);
                if matches!(came, Came::Failed(_)) {
                    self.parcels.clear();
                }
                self.came.push_back((index, came));
            }
        }
    }

    /// A row that is there: only an item that is there then is sure to have its deletion still to come.
    fn doubt(&mut self, doubt: Doubt) {
        if self.doubts.is_empty() {
            self.since = Instant::now();
        }
        self.doubts.push_back(doubt);
    }

    fn done(&mut self, Doubt { index, written, .. }: Doubt, gone: bool) {
        self.came.push_back((index, Came::Done { written, gone }));
    }

    fn fail(&mut self, doubt: Doubt, error: TableError) {
        if !error.is_reject() {
            self.parcels.clear();
            self.broken.get_or_insert_with(|| error.clone());
        }
        self.came.push_back((doubt.index, Came::Failed(error)));
    }

    /// A row of which nobody will say any more whether its item is there.
    fn unanswered(&mut self) -> Option<(usize, Came)> {
        let wrong = self.wrong.pop_front().map(|(doubt, _)| doubt);
        let doubt = wrong.or_else(|| self.doubts.pop_front())?;
        let error = self.broken.clone().unwrap_or_else(|| out_of_time(self.parties.source.name()));
        Some((doubt.index, Came::Failed(error)))
    }
}

async fn run(parties: Parties<'_>, errand: Errand, (writes, all): (Deadline, Deadline)) -> Answer {
    let Parties { target, source, attribute, .. } = parties;
    match errand {
        Errand::Write(index, parcel) => {
            let (doubt, guard, puts) = (parcel.doubt(), parcel.guard(attribute), parcel.write.row().is_some());
            let written = writes.before(target.write_guarded(parcel.write, guard)).await;
            let written = written.unwrap_or_else(|| Err(out_of_time(target.name())));
            // There is nothing to ask about a row that is gone.
            let doubt = doubt.filter(|_| puts || !matches!(written, Ok(Written::Applied)));
            Answer::Written(index, doubt, written)
        }
        Errand::Ask(doubts) => {
            let keys: Vec<_> = doubts.iter().map(|doubt| doubt.row.key.clone()).collect();
            let items = read_many(source, &keys, Limits { concurrency: 1, until: all.instant() }).await;
            Answer::Asked(doubts, items)
        }
        Errand::Mend(doubt, remedy) => {
            let (gone, row) = (remedy.row().is_none(), &doubt.row);
            let guard = match (gone, row.puts) {
                (true, true) => Guard::up_to(Arc::clone(attribute), &row.version),
                // A delete has left no row of its own: one of this version is that of the type which the item has joined.
                (true, false) => Guard::new(Arc::clone(attribute), &*row.version),
                (false, _) => Guard::new(Arc::clone(attribute), &*row.version).putting_right(),
            };
            let written = all.before(target.write_guarded(remedy, guard)).await;
            Answer::Mended(doubt, gone, written.unwrap_or_else(|| Err(out_of_time(target.name()))))
        }
    }
}

fn out_of_time(table: &str) -> TableError {
    TableError::OutOfTime { table: table.into() }
}
