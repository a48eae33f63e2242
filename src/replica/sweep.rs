//! Takes back what a backfill that crashed has left behind.

use std::collections::HashSet;

use super::{Replica, ReplicaError};
use crate::{
    handler::{Batch, Belongs, Failure, Handler, Outcome, Skip},
    record::{self, Change, DecodeError, NewImage, Record, StreamView},
    sink::table::Item,
};

/// Goes through the rows of the *target*, as records of a snapshot of it, and deletes those that a snapshot of the source has
/// brought and whose items are gone: [`Replica::sweep`] as a handler.
///
/// Run it as a second backfill when the first is done. A row whose item is there, or that a change of the stream has written, is skipped as stale.
/// It needs a replica that [reads again](Replica::reread); one with tombstones has nothing to sweep up. If the replica stands behind a
/// [route of some entity types](crate::replica#routes), sweep up behind the same, or let the replica itself say which items it takes.
#[derive(Clone)]
pub struct Sweep<V: StreamView = NewImage>(Replica<V>);

impl<V: StreamView<New<record::Item> = record::Item>> Sweep<V> {
    /// Sweeps up behind this replica.
    pub fn new(replica: Replica<V>) -> Self {
        Self(replica)
    }

    async fn sweep(
        &self,
        rows: Vec<(Vec<String>, Item)>,
        belongs: Option<&Belongs>,
    ) -> Result<HashSet<usize>, ReplicaError> {
        let Some((names, _)) = rows.first() else { return Ok(HashSet::new()) };
        let names = names.clone();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        self.0.sweep_each(&names, rows.into_iter().map(|(_, row)| row), belongs).await
    }
}

impl<V: StreamView<New<record::Item> = record::Item>> Handler<record::Item, NewImage> for Sweep<V> {
    async fn handle(&self, batch: &mut Batch<'_, record::Item, NewImage>) {
        let (mut tickets, mut rows) = (Vec::new(), Vec::new());
        while let Some(admitted) = batch.admit() {
            match row(&admitted.record) {
                Ok(row) => {
                    tickets.push(admitted.ticket);
                    rows.push(row);
                }
                Err(error) => batch.settle(admitted.ticket, Err::<Outcome, _>(Failure::reject(error))),
            }
        }
        match self.sweep(rows, batch.belongs()).await {
            Ok(gone) => {
                for (index, ticket) in tickets.into_iter().enumerate() {
                    let skipped = Outcome::Skipped(Skip::Stale);
                    batch.settle(ticket, if gone.contains(&index) { Outcome::Applied } else { skipped });
                }
            }
            // The first tells; the others are delivered again with it.
            Err(error) => {
                if let Some(ticket) = tickets.into_iter().next() {
                    batch.settle(ticket, Err::<Outcome, _>(Failure::retry(error)));
                }
            }
        }
    }
}

/// The names of the keys, and the row.
fn row(record: &Record<record::Item, NewImage>) -> Result<(Vec<String>, Item), DecodeError> {
    let names = record.keys().item()?.keys().cloned().collect();
    let row = match &record.change {
        Change::Insert { new } | Change::Modify { new, .. } => new.0.clone(),
        Change::Remove { .. } => Item::default(),
    };
    Ok((names, row))
}
