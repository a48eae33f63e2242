//! A few records on their way through claim, handler and completion.

use std::{
    collections::HashSet,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_util::{FutureExt, future::join};
use tokio::time::Instant;

use super::{IdempotencyError, Idempotent};
use crate::{
    handler::{Batch, Deadline, Failure, Fork, Handler, Outcome, Panicked, Skip, State, Ticket},
    record::{FromImage, Record, StreamView},
    sink::ledger::{Claim, Fence, LedgerError, Owner, Term},
};

/// How long before the deadline the handler is cut off, so that what it has done can still be noted.
const MARGIN: Duration = Duration::from_millis(700);

/// Records in stream order, each to be claimed under a key that no other of them has.
pub(super) struct Chunk<'i, H, T: Send + 'static, V: StreamView> {
    idempotent: &'i Idempotent<H, T, V>,
    owner: Owner,
    /// When the first claim may have been written, or earlier.
    begun: Instant,
    records: Vec<Member>,
}

struct Member {
    ticket: Ticket,
    /// None if handling it has no effect.
    key: Option<String>,
}

/// A record that the handler is done with.
struct Done {
    ticket: Ticket,
    outcome: Outcome,
}

/// How the handler ended.
enum End {
    Returned,
    Panicked,
    OutOfTime,
}

impl<'i, H: Handler<T, V>, T: FromImage, V: StreamView> Chunk<'i, H, T, V> {
    /// Takes records until there are enough of them, or one has the key of an earlier one: that has to wait for what
    /// becomes of the first.
    pub(super) fn admit(idempotent: &'i Idempotent<H, T, V>, batch: &mut Batch<'_, T, V>) -> Self {
        let (mut records, mut keys) = (Vec::new(), HashSet::new());
        while records.len() < idempotent.chunk
            && let Some(admitted) = batch.admit()
        {
            if idempotent.passes_over(&admitted.record) {
                batch.settle(admitted.ticket, Outcome::Skipped(Skip::Snapshot));
                continue;
            }
            match idempotent.key_of(&admitted.record) {
                Err(failure) => batch.settle(admitted.ticket, Err::<(), _>(failure)),
                Ok(Some(key)) if !keys.insert(key.clone()) => {
                    batch.give_back(admitted.ticket);
                    break;
                }
                Ok(key) => records.push(Member { ticket: admitted.ticket, key }),
            }
        }
        Self { idempotent, owner: Owner::unique(), begun: Instant::now(), records }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Handles the records, and answers whether there was any progress.
    pub(super) async fn handle(mut self, batch: &mut Batch<'_, T, V>) -> bool {
        let size = self.records.len();
        let cut = cut(batch.context().deadline);
        self.claim(batch, cut).await;
        if self.is_empty() {
            return true;
        }
        let mut fork = batch.hand_on(self.records.iter().map(|member| &member.ticket));
        let started_until = Deadline::at(self.begun + self.idempotent.lease / 2);
        let end = self.run(batch.handed_on(&mut fork, started_until), cut).await;
        let left = self.conclude(batch, fork, &end).await;
        left < size
    }

    /// Claims every record that has a key, and keeps those that were granted.
    async fn claim(&mut self, batch: &mut Batch<'_, T, V>, cut: Deadline) {
        let keys: Vec<String> = self.records.iter().filter_map(|member| member.key.clone()).collect();
        if keys.is_empty() {
            return;
        }
        let lease = self.idempotent.term(self.idempotent.lease);
        let claims = cut.before(self.idempotent.ledger.claim(&keys, &self.owner, lease)).await;
        let mut claims = claims.map(Vec::into_iter);
        for member in std::mem::take(&mut self.records) {
            let claim = match (&member.key, &mut claims) {
                (None, _) => Ok(None),
                (Some(_), None) => Err(Failure::retry(IdempotencyError::OutOfTime)),
                (Some(_), Some(claims)) => self.idempotent.read(claims.next()),
            };
            match claim {
                Ok(None) => self.records.push(member),
                Ok(Some(skip)) => batch.settle(member.ticket, Outcome::Skipped(skip)),
                Err(failure) => batch.settle(member.ticket, Err::<(), _>(failure)),
            }
        }
    }

    async fn run(&self, mut batch: Batch<'_, T, V>, cut: Deadline) -> End {
        let work = AssertUnwindSafe(self.idempotent.inner.handle(&mut batch)).catch_unwind();
        match cut.before(work).await {
            Some(Ok(())) => End::Returned,
            Some(Err(_)) => End::Panicked,
            None => End::OutOfTime,
        }
    }

    /// Notes what is done, frees what is not, and answers with how many records were given back.
    async fn conclude(self, batch: &mut Batch<'_, T, V>, fork: Fork, end: &End) -> usize {
        let Self { idempotent, owner, records, .. } = self;
        let (mut done, mut done_keys, mut free_keys, mut given_back) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for (Member { ticket, key }, answer) in records.into_iter().zip(fork.into_answers()) {
            match (answer.state, key) {
                (State::Settled(Ok(outcome)), Some(key)) => {
                    done.push(Done { ticket, outcome });
                    done_keys.push(key);
                    continue;
                }
                (State::Settled(verdict), key) => {
                    batch.settle(ticket, verdict);
                    free_keys.extend(key);
                }
                (State::Waiting, key) => {
                    batch.give_back_with(ticket, answer.said);
                    given_back += 1;
                    free_keys.extend(key);
                }
                (State::Taken(_), key) => {
                    end.settle(batch, ticket);
                    free_keys.extend(key);
                }
            }
        }
        let (completed, ()) =
            join(idempotent.complete(&done_keys, &owner), idempotent.release(&free_keys, &owner)).await;
        for (Done { ticket, outcome }, fence) in done.into_iter().zip(completed) {
            batch.settle(ticket, fence.map(|()| outcome));
        }
        given_back
    }
}

impl End {
    /// The verdict on a record that the handler began with and gave none; one that it forgot is left without.
    fn settle<T: FromImage, V: StreamView>(&self, batch: &mut Batch<'_, T, V>, ticket: Ticket) {
        match self {
            Self::Returned => {}
            Self::Panicked => batch.settle(ticket, Err::<(), _>(Failure::retry(Panicked))),
            Self::OutOfTime => batch.settle(ticket, Err::<(), _>(Failure::retry(IdempotencyError::OutOfTime))),
        }
    }
}

impl<H: Handler<T, V>, T: FromImage, V: StreamView> Idempotent<H, T, V> {
    /// The key of a record whose handling may have an effect. A panic is this record's failure.
    fn key_of(&self, record: &Record<T, V>) -> Result<Option<String>, Failure> {
        let read = || self.inner.has_effect(record).then(|| (self.key)(record)).transpose().map_err(Failure::reject);
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(Failure::retry(Panicked)))
    }

    fn term(&self, length: Duration) -> Term {
        Term::new((self.clock)(), length)
    }

    /// What a claim means for its record: to be handled (none), skipped, or failed.
    fn read(&self, claim: Option<Result<Claim, LedgerError>>) -> Result<Option<Skip>, Failure> {
        match claim {
            Some(Ok(Claim::Granted)) => Ok(None),
            Some(Ok(Claim::Done)) => Ok(Some(Skip::Duplicate)),
            Some(Ok(Claim::Busy)) => Err(Failure::retry(IdempotencyError::Busy { lease: self.lease })),
            Some(Err(error)) if error.is_reject() => Err(Failure::reject(error)),
            Some(Err(error)) => Err(Failure::retry(error)),
            None => Err(Failure::retry(IdempotencyError::Unanswered { ledger: self.ledger.name().into() })),
        }
    }

    /// Notes effects that have happened, and answers for each whether its record is done with.
    ///
    /// If the ledger fails, it is: delivering the record again would repeat the effect for certain.
    async fn complete(&self, keys: &[String], owner: &Owner) -> Vec<Result<(), Failure>> {
        if keys.is_empty() {
            return Vec::new();
        }
        let mut answers = self.ledger.complete(keys, owner, self.term(self.retention)).await.into_iter();
        let fence = |answer: Option<Result<Fence, LedgerError>>| match answer {
            Some(Ok(Fence::Held)) => Ok(()),
            Some(Ok(Fence::Lost)) => Err(Failure::retry(IdempotencyError::LeaseLost { lease: self.lease })),
            Some(Err(error)) => {
                let (ledger, reason) = (self.ledger.name(), Failure::retry(error).reason());
                tracing::warn!(ledger, reason, "an effect has happened and could not be noted");
                Ok(())
            }
            None => Ok(()),
        };
        keys.iter().map(|_| fence(answers.next())).collect()
    }

    /// Frees claims for the next delivery. One that stays is over with its lease.
    async fn release(&self, keys: &[String], owner: &Owner) {
        if keys.is_empty() {
            return;
        }
        for error in self.ledger.release(keys, owner).await.into_iter().filter_map(Result::err) {
            let (ledger, reason) = (self.ledger.name(), Failure::retry(error).reason());
            tracing::warn!(ledger, reason, "a claim could not be released");
        }
    }
}

/// When the handler is cut off.
fn cut(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left / 2)),
        None => deadline,
    }
}
