//! Rows on their way to the target, and the question behind those whose items may be gone.
//!
//! The question does not wait for the last write: what is known to be there is done with, so that whoever comes to the end of
//! the time has come some way.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::time::Instant;

use super::snapshot::Unconfirmed;
use crate::{
    handler::Deadline,
    sink::table::{Guard, Item, Limits, READ_ROWS, RowWrite, Table, TableError, TransactTable, Written, read_many},
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

/// Whether the row with this key stays, by its item.
pub(super) type Stays<'r> = dyn Fn(&Item, Item) -> bool + Send + Sync + 'r;

/// Where rows go, and who is asked for their items.
#[derive(Clone, Copy)]
pub(super) struct Parties<'r> {
    pub(super) target: &'r dyn Table,
    pub(super) source: &'r dyn TransactTable,
    /// Where rows carry their versions.
    pub(super) attribute: &'r Arc<str>,
    pub(super) stays: &'r Stays<'r>,
}

/// A write, and whether the item of the row may be gone.
pub(super) struct Parcel {
    pub(super) write: RowWrite,
    pub(super) version: String,
    pub(super) doubted: bool,
}

impl Parcel {
    /// Whether there will be a row that somebody has to ask for.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted && self.write.row().is_some()
    }

    fn doubt(&self) -> Option<Unconfirmed> {
        let row = || Unconfirmed { key: self.write.key().clone(), version: self.version.clone() };
        self.is_doubted().then(row)
    }
}

/// A row that is there, and whose item may be gone.
struct Doubt {
    index: usize,
    row: Unconfirmed,
    written: Written,
}

enum Errand {
    Write(usize, Parcel),
    Ask(Vec<Doubt>),
    TakeBack(Doubt),
}

enum Answer {
    Written(usize, Option<Unconfirmed>, Result<Written>),
    Asked(Vec<Doubt>, Result<Vec<Option<Item>>>),
    TakenBack(Doubt, Result<Written>),
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
    gone: VecDeque<Doubt>,
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
            gone: VecDeque::new(),
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
            if let Some(doubt) = self.gone.pop_front() {
                return Some(Errand::TakeBack(doubt));
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
                match item.is_some_and(|item| (self.parties.stays)(&doubt.row.key, item)) {
                    true => self.done(doubt, false),
                    false => self.gone.push_back(doubt),
                }
            }),
            Answer::Asked(doubts, Err(error)) => doubts.into_iter().for_each(|doubt| self.fail(doubt, error.clone())),
            Answer::TakenBack(doubt, Ok(_)) => self.done(doubt, true),
            Answer::TakenBack(doubt, Err(error)) => self.fail(doubt, error),
        }
    }

    fn wrote(&mut self, index: usize, doubt: Option<Unconfirmed>, result: Result<Written>) {
        match (result, doubt) {
            (Ok(written), Some(row)) => {
                if self.doubts.is_empty() {
                    self.since = Instant::now();
                }
                self.doubts.push_back(Doubt { index, row, written });
            }
            (result, _) => {
                let came = Came::from(result);
                if matches!(came, Came::Failed(_)) {
                    self.parcels.clear();
                }
                self.came.push_back((index, came));
            }
        }
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
        let doubt = self.gone.pop_front().or_else(|| self.doubts.pop_front())?;
        let error = self.broken.clone().unwrap_or_else(|| out_of_time(self.parties.source.name()));
        Some((doubt.index, Came::Failed(error)))
    }
}

async fn run(parties: Parties<'_>, errand: Errand, (writes, all): (Deadline, Deadline)) -> Answer {
    let Parties { target, source, attribute, .. } = parties;
    match errand {
        Errand::Write(index, parcel) => {
            let doubt = parcel.doubt();
            let guard = Guard::new(Arc::clone(attribute), parcel.version);
            let written = writes.before(target.write_guarded(parcel.write, guard)).await;
            Answer::Written(index, doubt, written.unwrap_or_else(|| Err(out_of_time(target.name()))))
        }
        Errand::Ask(doubts) => {
            let keys: Vec<_> = doubts.iter().map(|doubt| doubt.row.key.clone()).collect();
            let items = read_many(source, &keys, Limits { concurrency: 1, until: all.instant() }).await;
            Answer::Asked(doubts, items)
        }
        Errand::TakeBack(doubt) => {
            let Unconfirmed { key, version } = &doubt.row;
            let guard = Guard::up_to(Arc::clone(attribute), version);
            let written = all.before(target.write_guarded(RowWrite::delete(key.clone()), guard)).await;
            Answer::TakenBack(doubt, written.unwrap_or_else(|| Err(out_of_time(target.name()))))
        }
    }
}

fn out_of_time(table: &str) -> TableError {
    TableError::OutOfTime { table: table.into() }
}
