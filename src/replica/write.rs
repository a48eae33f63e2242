//! Brings the last change of each item to the target.

use std::{sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    stream::{BoxStream, unfold},
};

use super::{
    Mode, Replica, Step,
    delivery::{Came, Delivery, Parcel, RowNow},
};
use crate::{
    handler::{Batch, Deadline, Failure, Outcome, Skip, Ticket},
    record::{Item, StreamView},
    sink::table::{Guard, Limits, Written, write_guarded, write_plain},
};

/// How long before the deadline requests under way are given up, so that their records are still answered for.
const MARGIN: Duration = Duration::from_millis(500);

impl<V: StreamView<New<Item> = Item>> Replica<V> {
    /// Writes the last change of each item. Answers with the items whose last change was rejected and that have
    /// earlier ones: the latest that fits is to be written.
    pub(super) async fn write(&self, batch: &mut Batch<'_, Item, V>, mut items: Vec<Vec<Step>>) -> Vec<Vec<Step>> {
        let limits = self.limits(batch.context().deadline);
        let row_now = self.row_now(batch.belongs());
        let (mut parcels, mut sent) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        for item in &mut items {
            let Step { write, version, ticket, doubts, .. } = item.pop().expect("no item is without changes");
            sent.push(Some(ticket));
            parcels.push(Parcel { write, version: version.into(), doubts });
        }
        let mut rest = Vec::new();
        let mut results = self.send(parcels, &row_now, limits);
        while let Some((index, came)) = results.next().await {
            let ticket = sent[index].take().expect("one result per write");
            let earlier = std::mem::take(&mut items[index]);
            match came {
                Came::Refused(error) => {
                    batch.settle(ticket, Err::<(), _>(Failure::reject(error)));
                    rest.extend((!earlier.is_empty()).then_some(earlier));
                }
                came => settle(batch, tickets(earlier, ticket), &came),
            }
        }
        rest
    }

    pub(super) fn limits(&self, deadline: Deadline) -> Limits {
        Limits { concurrency: self.concurrency, until: give_up(deadline).instant() }
    }

    fn send<'r>(
        &'r self,
        parcels: Vec<Parcel>,
        row_now: &'r RowNow<'r>,
        limits: Limits,
    ) -> BoxStream<'r, (usize, Came)> {
        match &self.mode {
            Mode::Guarded(attribute) => match self.parties(row_now) {
                Some(parties) if parcels.iter().any(Parcel::is_doubted) => {
                    let delivery = Delivery::new(parties, parcels, limits);
                    unfold(delivery, async |mut delivery| Some((delivery.next().await?, delivery))).boxed()
                }
                _ => {
                    let guard = |parcel: Parcel| (parcel.write, Guard::new(Arc::clone(attribute), parcel.version));
                    let results = write_guarded(&*self.table, parcels.into_iter().map(guard), limits);
                    results.map(|(index, result)| (index, result.into())).boxed()
                }
            },
            Mode::Plain => {
                let writes = parcels.into_iter().map(|parcel| parcel.write);
                let results = write_plain(&*self.table, writes, limits);
                results.map(|(index, result)| (index, result.map(|()| Written::Applied).into())).boxed()
            }
        }
    }
}

fn tickets(earlier: Vec<Step>, last: Ticket) -> Vec<Ticket> {
    earlier.into_iter().map(|step| step.ticket).chain([last]).collect()
}

/// What a write came to is the verdict of every change that folded into it.
fn settle<V: StreamView>(batch: &mut Batch<'_, Item, V>, tickets: Vec<Ticket>, came: &Came) {
    for ticket in tickets {
        let verdict = match came {
            Came::Done { written: Written::Applied, gone: false } => Ok(Outcome::Applied),
            Came::Done { .. } => Ok(Outcome::Skipped(Skip::Stale)),
            Came::Refused(error) | Came::Failed(error) => Err(Failure::retry(error.clone())),
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
