//! Brings the last change of each item to the target.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};

use super::{Mode, Replica, Step, snapshot::Unconfirmed};
use crate::{
    handler::{Batch, Deadline, Failure, Outcome, Skip, Ticket},
    record::{Item, StreamView},
    sink::table::{Guard, Limits, RowWrite, TableError, Written, write_guarded, write_plain},
};

/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_millis(500);

type Result<T> = std::result::Result<T, TableError>;

impl<V: StreamView<New<Item> = Item>> Replica<V> {
    /// Writes the last change of each item. Answers with the items whose last change was rejected and that have
    /// earlier ones: the latest that fits is to be written.
    pub(super) async fn write(&self, batch: &mut Batch<'_, Item, V>, mut items: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
        let limits = self.limits(batch.context().deadline);
        let (mut writes, mut sent) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for item in &mut items {
            let Step { write, version, ticket, doubtful, .. } = item.pop().expect("no item is without changes");
            let doubted = (doubtful && write.row().is_some())
                .then(|| Unconfirmed { key: write.key().clone(), version: version.as_str().to_owned() });
            sent.push(Some((ticket, doubted)));
            writes.push((write, version.into()));
        }
        let (mut rest, mut unconfirmed) = (Vec::new(), Vec::new());
        let mut results = pin!(self.send(writes, limits));
        while let Some((index, result)) = results.next().await {
            let (ticket, row) = sent[index].take().expect("one result per write");
            let earlier = std::mem::take(&mut items[index]);
            match (result, row) {
                (Err(error), _) if error.is_reject() => {
                    batch.settle(ticket, Err::<(), _>(Failure::reject(error)));
                    rest.extend((!earlier.is_empty()).then_some(earlier));
                }
                (Ok(written), Some(row)) => unconfirmed.push((row, written, tickets(earlier, ticket))),
                (result, _) => settle(batch, tickets(earlier, ticket), &result),
            }
        }
        self.confirm(batch, unconfirmed, limits).await;
        rest
    }

    /// Settles rows of a snapshot, and of late changes, once it is known that their items are still there.
    async fn confirm(
        &self,
        batch: &mut Batch<'_, Item, V>,
        unconfirmed: Vec<(Unconfirmed, Written, Vec<Ticket>)>,
        limits: Limits,
    ) {
        let (mut rows, mut waiting) = (Vec::new(), Vec::new());
        for (row, written, tickets) in unconfirmed {
            rows.push(row);
            waiting.push((written, tickets));
        }
        let confirmed = self.delete_what_is_gone(rows, limits).await;
        for ((written, tickets), gone) in waiting.into_iter().zip(confirmed) {
            if let Some(gone) = gone {
                settle(batch, tickets, &gone.map(|_| written));
            }
        }
    }

    pub(super) fn limits(&self, deadline: Deadline) -> Limits {
        Limits { concurrency: self.concurrency, until: give_up(deadline).instant() }
    }

    fn send(&self, writes: Vec<(RowWrite, String)>, limits: Limits) -> BoxStream<'_, (usize, Result<Written>)> {
        match &self.mode {
            Mode::Guarded(attribute) => {
                let guard = |(write, version)| (write, Guard::new(Arc::clone(attribute), version));
                let writes: Vec<_> = writes.into_iter().map(guard).collect();
                write_guarded(&*self.table, writes, limits).boxed()
            }
            Mode::Plain => {
                let writes = writes.into_iter().map(|(write, _)| write);
                let results = write_plain(&*self.table, writes, limits);
                results.map(|(index, result)| (index, result.map(|()| Written::Applied))).boxed()
            }
        }
    }
}

fn tickets(earlier: Vec<Step>, last: Ticket) -> Vec<Ticket> {
    earlier.into_iter().map(|step| step.ticket).chain([last]).collect()
}

/// What a write came to is the verdict of every change that folded into it.
fn settle<V: StreamView>(batch: &mut Batch<'_, Item, V>, tickets: Vec<Ticket>, result: &Result<Written>) {
    for ticket in tickets {
        let verdict = match result {
            Ok(Written::Applied) => Ok(Outcome::Applied),
            Ok(Written::Stale) => Ok(Outcome::Skipped(Skip::Stale)),
            Err(error) => Err(Failure::retry(error.clone())),
        };
        batch.settle(ticket, verdict);
    }
}

fn give_up(deadline: Deadline) -> Deadline {
    match deadline.remaining() {
        Some(left) => deadline.minus(MARGIN.min(left / 3)),
        None => deadline,
    }
}
