//! The messages of a batch on their way to the topic.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use futures_util::StreamExt;

use super::{Notify, NotifyError};
use crate::{
    handler::{Batch, Deadline, Failure, Outcome, Panicked, Ticket},
    record::{FromImage, StreamView},
    sink::publisher::{Message, PublishError, Publisher},
};

/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_secs(1);

/// The messages of some records, all of which are published together.
#[derive(Default)]
pub(super) struct Round {
    messages: Vec<Message>,
    /// Of each message, which record it is of.
    record_of: Vec<usize>,
    records: Vec<Pending>,
}

/// A record with messages under way.
struct Pending {
    ticket: Option<Ticket>,
    /// How many of its messages have no answer.
    left: usize,
    begun: bool,
    failure: Option<PublishError>,
}

impl Round {
    /// Takes all records that may be started; those without messages are settled.
    pub(super) fn admit<T: FromImage, V: StreamView>(notify: &Notify<T, V>, batch: &mut Batch<'_, T, V>) -> Self {
        let mut round = Self::default();
        while let Some(admitted) = batch.admit() {
            let messages = catch_unwind(AssertUnwindSafe(|| notify.messages(&admitted.record)));
            match messages.unwrap_or_else(|_| Err(Failure::retry(Panicked))) {
                Ok(Ok(messages)) => round.push(admitted.ticket, messages),
                Ok(Err(skip)) => batch.settle(admitted.ticket, Outcome::Skipped(skip)),
                Err(failure) => batch.settle(admitted.ticket, Err::<(), _>(failure)),
            }
        }
        round
    }

    fn push(&mut self, ticket: Ticket, messages: Vec<Message>) {
        self.record_of.extend(messages.iter().map(|_| self.records.len()));
        self.records.push(Pending { ticket: Some(ticket), left: messages.len(), begun: false, failure: None });
        self.messages.extend(messages);
    }

    /// Publishes the messages and settles their records; answers whether more records may have become free.
    pub(super) async fn publish<T: FromImage, V: StreamView>(
        mut self,
        publisher: &dyn Publisher,
        batch: &mut Batch<'_, T, V>,
    ) -> bool {
        let until = give_up(batch.context().deadline);
        let messages = std::mem::take(&mut self.messages);
        let mut results = publisher.publish(&messages);
        let mut late = false;
        loop {
            match until.before(results.next()).await {
                Some(Some((at, result))) => self.answer(self.record_of[at], result, batch),
                Some(None) => break,
                None => {
                    late = true;
                    break;
                }
            }
        }
        let count = self.records.len();
        let given_back = self.settle_rest(late, publisher.name(), batch);
        !late && given_back < count
    }

    fn answer<T: FromImage, V: StreamView>(
        &mut self,
        record: usize,
        result: Result<(), PublishError>,
        batch: &mut Batch<'_, T, V>,
    ) {
        let pending = &mut self.records[record];
        pending.begun = true;
        pending.left -= 1;
        if let Err(error) = result
            && pending.failure.as_ref().is_none_or(PublishError::is_reject)
        {
            pending.failure = Some(error);
        }
        if pending.left == 0 && pending.failure.is_none() {
            let ticket = pending.ticket.take().expect("a record is settled once");
            batch.settle(ticket, Outcome::Applied);
        }
    }

    /// Settles the records that are not, gives back those that were not begun with, and answers with their number.
    fn settle_rest<T: FromImage, V: StreamView>(self, late: bool, topic: &str, batch: &mut Batch<'_, T, V>) -> usize {
        let mut given_back = 0;
        for Pending { ticket, begun, failure, .. } in self.records {
            let Some(ticket) = ticket else { continue };
            let verdict = match failure {
                Some(error) if error.is_reject() => Failure::reject(error),
                Some(error) => Failure::retry(error),
                None if late => Failure::retry(NotifyError::OutOfTime { topic: topic.into() }),
                None if begun => Failure::retry(NotifyError::Incomplete { topic: topic.into() }),
                None => {
                    batch.give_back(ticket);
                    given_back += 1;
                    continue;
                }
            };
            batch.settle(ticket, Err::<(), _>(verdict));
        }
        given_back
    }
}

fn give_up(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left * 2 / 3)),
        None => deadline,
    }
}
