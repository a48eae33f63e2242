//! The records that a handler is given, and the table of what became of them.

use std::{
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    Belongs, Context, Deadline, Failure, IntoVerdict, Outcome, Panicked, Skip, TimedOut, Verdict,
    entry::{Entry, Held, State},
    failure::merge,
    fork::{Fork, Memory, Said, Side},
};
use crate::record::{FromImage, RawRecord, Record, StreamView};

/// Where admission ends: behind the earliest failed record, and at the deadline.
///
/// Shared by all handlers of a window: Lambda redelivers everything from the earliest unfinished record on, so
/// there is no use in starting what comes after it.
#[derive(Debug)]
pub(crate) struct Halt {
    first_retry: AtomicUsize,
    admission: Deadline,
    /// Without a dead letter sink a reject is a retry.
    buries_rejects: bool,
    /// The longest time from admission to verdict, in microseconds.
    slowest: AtomicU64,
    /// The time that decoding took where it was measured, in nanoseconds.
    decoding: AtomicU64,
}

/// The decoding of one record in so many is timed: a look at the clock costs as much as decoding a small record.
pub(crate) const DECODES_PER_SAMPLE: usize = 64;

impl Halt {
    pub(crate) fn new(admission: Deadline, buries_rejects: bool) -> Self {
        let (slowest, decoding) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { first_retry: AtomicUsize::new(usize::MAX), admission, buries_rejects, slowest, decoding }
    }

    /// The time that decoding the [sampled](DECODES_PER_SAMPLE) records took.
    pub(crate) fn decoding(&self) -> Duration {
        Duration::from_nanos(self.decoding.load(Ordering::Relaxed))
    }

    fn decoded(&self, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.decoding.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The longest time that a record of the window took.
    pub(crate) fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest.load(Ordering::Relaxed))
    }

    /// Whether nothing behind a failure is of use: it is not one to bury.
    fn ends_at(&self, failure: &Failure) -> bool {
        !(self.buries_rejects && failure.is_reject())
    }

    fn failed(&self, index: usize, failure: &Failure) {
        if self.ends_at(failure) {
            self.first_retry.fetch_min(index, Ordering::Relaxed);
        }
    }

    /// The state of a record that is admitted now, or none if it may not be.
    fn admit(&self, index: usize) -> Option<State> {
        if index >= self.first_retry.load(Ordering::Relaxed) {
            return None;
        }
        let Some(end) = self.admission.instant() else { return Some(State::Taken(None)) };
        let now = Instant::now();
        (now < end).then_some(State::Taken(Some(now)))
    }

    fn took(&self, since: Instant) {
        let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.slowest.fetch_max(micros, Ordering::Relaxed);
    }
}

/// The part of a window that one route handles, before its type is known.
pub(crate) struct Share<'w> {
    pub(crate) window: &'w [RawRecord],
    pub(crate) entries: &'w mut [Entry],
    pub(crate) held: &'w mut Held,
    pub(crate) memory: &'w mut Memory,
    pub(crate) halt: &'w Halt,
    pub(crate) context: &'w Context,
    /// Entries before this one are not waiting.
    pub(crate) next: &'w mut usize,
}

impl Share<'_> {
    fn reborrow(&mut self) -> Share<'_> {
        let Self { window, entries, held, memory, halt, context, next } = self;
        Share { window, entries, held, memory, halt, context, next }
    }

    fn take(&mut self, free: impl Fn(u64) -> bool) -> Option<usize> {
        while self.entries.get(*self.next).is_some_and(|entry| !matches!(entry.state, State::Waiting)) {
            *self.next += 1;
        }
        for at in *self.next..self.entries.len() {
            let entry = &mut self.entries[at];
            if !matches!(entry.state, State::Waiting) || self.held.holds(entry.lane, entry.index()) || !free(entry.lane)
            {
                continue;
            }
            entry.state = self.halt.admit(entry.index())?;
            return Some(at);
        }
        None
    }

    /// Takes what one of two handlers said of an entry in an earlier window.
    fn recall(&mut self, at: usize) -> Option<Box<Said>> {
        self.memory.recall(self.entries[at].index())
    }

    fn settle(&mut self, at: usize, verdict: Verdict) {
        let entry = &mut self.entries[at];
        if let State::Taken(Some(since)) = entry.state {
            self.halt.took(since);
        }
        if let Err(failure) = &verdict {
            self.held.hold(entry.lane, entry.index());
            self.halt.failed(entry.index(), failure);
        }
        entry.state = State::Settled(verdict);
    }
}

/// A record in a handler's hands, and the ticket to answer for it.
pub struct Admitted<T: Send + 'static, V: StreamView> {
    /// To be given back to [`Batch::settle`].
    pub ticket: Ticket,
    /// The item's lane: equal for records of one item.
    pub lane: u64,
    /// The record.
    pub record: Record<T, V>,
}

/// Stands for one record of a batch until its verdict is given.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(usize);

/// The records that one route was given, in stream order, and what became of each.
///
/// A record is decoded when it is [admitted](Self::admit); one that cannot be decoded settles itself as rejected
/// and is passed over. What is admitted must be [settled](Self::settle): a record without a verdict counts as
/// unfinished, and Lambda delivers it again.
///
/// Three rules hold whatever the handler does. A record whose item has an earlier failure is not handed out, so
/// nothing overtakes it. After a failure that is to be retried, no later record of the batch is handed out. Nor
/// is any once the time for new work has passed.
pub struct Batch<'b, T: Send + 'static, V: StreamView> {
    share: Share<'b>,
    filter: Option<&'b Filter<'b, T, V>>,
    belongs: Option<&'b Belongs>,
    /// Nothing is handed out once this has passed, whatever the halt says.
    until: Deadline,
    _types: PhantomData<fn() -> (T, V)>,
}

/// A predicate in front of a handler, and those in front of it.
pub(super) struct Filter<'f, T: Send + 'static, V: StreamView> {
    pub(super) accepts: &'f (dyn Fn(&Record<T, V>) -> bool + Send + Sync),
    outer: Option<&'f Filter<'f, T, V>>,
}

impl<T: Send + 'static, V: StreamView> Filter<'_, T, V> {
    fn accepts(&self, record: &Record<T, V>) -> bool {
        self.outer.is_none_or(|outer| outer.accepts(record)) && (self.accepts)(record)
    }
}

impl<'b, T: FromImage, V: StreamView> Batch<'b, T, V> {
    pub(crate) fn new(share: Share<'b>, belongs: Option<&'b Belongs>) -> Self {
        Self { share, filter: None, belongs, until: Deadline::NEVER, _types: PhantomData }
    }

    /// Takes the next record in stream order, or none when nothing more may be started.
    pub fn admit(&mut self) -> Option<Admitted<T, V>> {
        self.admit_where(|_| true)
    }

    /// Takes the next record whose lane is free.
    ///
    /// A handler that works on several records at a time passes over the lanes that it is busy with, so that one
    /// item's changes are never handled side by side. None means that nothing may be started *now*.
    pub fn admit_where(&mut self, free: impl Fn(u64) -> bool) -> Option<Admitted<T, V>> {
        while !self.until.passed() {
            let at = self.share.take(&free)?;
            match self.timed_read(at) {
                Ok(Some(record)) => {
                    return Some(Admitted { ticket: Ticket(at), lane: self.share.entries[at].lane, record });
                }
                Ok(None) => self.share.settle(at, Ok(Outcome::Skipped(Skip::Filtered))),
                Err(failure) => self.share.settle(at, Err(failure)),
            }
        }
        None
    }

    #[inline]
    fn timed_read(&self, at: usize) -> Result<Option<Record<T, V>>, Failure> {
        let began = at.is_multiple_of(DECODES_PER_SAMPLE).then(Instant::now);
        let read = self.read(at);
        began.into_iter().for_each(|began| self.share.halt.decoded(began));
        read
    }

    /// Decodes a record, or finds that the predicates do not want it. A panic in either is this record's failure.
    fn read(&self, at: usize) -> Result<Option<Record<T, V>>, Failure> {
        let entry = &self.share.entries[at];
        let read = || {
            let record = Record::read(&self.share.window[entry.index()], entry.facet).map_err(Failure::reject)?;
            Ok(self.filter.is_none_or(|filter| filter.accepts(&record)).then_some(record))
        };
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Failure::retry(Panicked)))
    }

    /// Takes all that may be started, in stream order: for handlers that coalesce.
    pub fn admit_all(&mut self) -> Vec<Admitted<T, V>> {
        std::iter::from_fn(|| self.admit()).collect()
    }

    /// Says what became of a record.
    pub fn settle(&mut self, ticket: Ticket, verdict: impl IntoVerdict) {
        self.share.settle(ticket.0, verdict.into_verdict());
    }

    /// Gives a record back that the handler has not begun with.
    ///
    /// It may be handed out again; if it is not, because an earlier record of its item failed for example, it is left
    /// to a later batch.
    pub fn give_back(&mut self, ticket: Ticket) {
        self.share.entries[ticket.0].state = State::Waiting;
        *self.share.next = ticket.0.min(*self.share.next);
    }

    /// Gives a record back of which one of two handlers that it was [handed on](Self::hand_on) to may have said something.
    pub(crate) fn give_back_with(&mut self, ticket: Ticket, said: Option<Box<Said>>) {
        self.share.memory.keep(self.share.entries[ticket.0].index(), said);
        self.give_back(ticket);
    }

    /// What a handler that was cut off has left unsettled is retried.
    pub(super) fn retry_unsettled(&mut self, limit: Duration) {
        for at in 0..self.share.entries.len() {
            if matches!(self.share.entries[at].state, State::Taken(_)) {
                self.share.settle(at, Err(Failure::retry(TimedOut { limit })));
            }
        }
    }

    /// What is known of the invocation.
    pub fn context(&self) -> &'b Context {
        self.share.context
    }

    /// Which items belong to the route, as the router would find them in the table now; none if all do.
    pub(crate) fn belongs(&self) -> Option<&'b Belongs> {
        self.belongs
    }

    /// A predicate behind those that the batch has already.
    pub(super) fn filter<'f>(&self, accepts: &'f (dyn Fn(&Record<T, V>) -> bool + Send + Sync)) -> Filter<'f, T, V>
    where
        'b: 'f,
    {
        Filter { accepts, outer: self.filter }
    }

    /// The same records behind a predicate.
    pub(super) fn behind<'s>(&'s mut self, filter: &'s Filter<'s, T, V>) -> Batch<'s, T, V> {
        let (share, belongs, until) = (self.share.reborrow(), self.belongs, self.until);
        Batch { share, filter: Some(filter), belongs, until, _types: PhantomData }
    }

    /// What is still waiting, for two handlers to work on side by side. Neither is asked again for what it has said.
    pub(super) fn halves<'h>(&'h mut self) -> Halves<'h, 'b, T, V> {
        let waiting = |at: &usize| matches!(self.share.entries[*at].state, State::Waiting);
        let waiting: Vec<_> = (0..self.share.entries.len()).filter(waiting).collect();
        let (mut left, mut right) = (self.fork_of(waiting.clone()), self.fork_of(waiting));
        for at in 0..left.origins.len() {
            if let Some(said) = self.share.recall(left.origins[at]) {
                left.recall(at, said.left);
                right.recall(at, said.right);
            }
        }
        Halves { batch: self, left, right }
    }

    /// Records that were admitted already, in stream order, for a handler behind this one to admit once more.
    pub(crate) fn hand_on<'t>(&mut self, tickets: impl IntoIterator<Item = &'t Ticket>) -> Fork {
        let mut fork = self.fork_of(tickets.into_iter().map(|ticket| ticket.0).collect());
        for (entry, at) in fork.entries.iter().zip(&fork.origins) {
            fork.memory.keep(entry.index(), self.share.recall(*at));
        }
        fork
    }

    fn fork_of(&self, origins: Vec<usize>) -> Fork {
        let entries = origins.iter().map(|at| self.share.entries[*at].fresh()).collect();
        Fork { origins, entries, held: self.share.held.clone(), memory: Memory::default(), next: 0 }
    }

    /// The batch of records that were [handed on](Self::hand_on): without the predicates, which they have passed,
    /// and nothing of it is admitted after `until`.
    pub(crate) fn handed_on<'s>(&self, fork: &'s mut Fork, until: Deadline) -> Batch<'s, T, V>
    where
        'b: 's,
    {
        Batch { filter: None, until, ..self.forked(fork) }
    }

    /// The batch of a fork.
    fn forked<'s>(&self, fork: &'s mut Fork) -> Batch<'s, T, V>
    where
        'b: 's,
    {
        let Share { window, halt, context, .. } = self.share;
        let Fork { entries, held, memory, next, .. } = fork;
        let share = Share { window, entries, held, memory, halt, context, next };
        Batch { share, filter: self.filter, belongs: self.belongs, until: self.until, _types: PhantomData }
    }

    /// Takes over what two forks made of the same records. One that a side has still to wait for, since it rejected an
    /// earlier change of the item for example, waits on, and what the other side said of it is kept.
    fn join(&mut self, mut left: Fork, right: Fork) {
        let (halt, origins) = (self.share.halt, std::mem::take(&mut left.origins));
        for ((at, left), right) in origins.into_iter().zip(left.into_answers()).zip(right.into_answers()) {
            match (left.state, right.state) {
                (State::Settled(left), State::Settled(right)) => self.share.settle(at, merge(left, right)),
                (State::Settled(Err(failure)), _) | (_, State::Settled(Err(failure))) if halt.ends_at(&failure) => {
                    self.share.settle(at, Err(failure));
                }
                (State::Taken(_), _) | (_, State::Taken(_)) => self.share.entries[at].state = State::Taken(None),
                (one, other) => {
                    let said = Said::of(Side::of(one, left.said), Side::of(other, right.said));
                    self.share.memory.keep(self.share.entries[at].index(), said);
                }
            }
        }
    }
}

/// The same records in the hands of two handlers. What both made of them is taken over at the end, also where that is a
/// deadline or a panic: work that is done is not done again for the sake of work that is not.
pub(super) struct Halves<'h, 'b, T: FromImage, V: StreamView> {
    batch: &'h mut Batch<'b, T, V>,
    left: Fork,
    right: Fork,
}

impl<T: FromImage, V: StreamView> Halves<'_, '_, T, V> {
    pub(super) fn batches(&mut self) -> (Batch<'_, T, V>, Batch<'_, T, V>) {
        let Self { batch, left, right } = self;
        (batch.forked(left), batch.forked(right))
    }
}

impl<T: FromImage, V: StreamView> Drop for Halves<'_, '_, T, V> {
    fn drop(&mut self) {
        self.batch.join(std::mem::take(&mut self.left), std::mem::take(&mut self.right));
    }
}
