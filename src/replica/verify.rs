//! A row of the target against the item that it is made of, and how it is put right.
//!
//! Who mends a row looks at the row first and at its item then: the item is at least as new as the row. What is made of the
//! item takes the row's place under a guard that lets nothing later go, and above the row's own version there is nothing
//! that the row has already seen. So a change that comes to the row meanwhile stays, and one that is yet to come wins.

use std::sync::Arc;

use super::{
    Mode, Replica, ReplicaError,
    delivery::{Came, Delivery, Doubts, Parcel},
    is_tombstone,
};
use crate::{
    handler::{Deadline, Failure},
    record::{self, StreamView, Version},
    sink::table::{AttributeValue, Difference, Guard, Item, Reads, RowWrite, Written, difference},
};

/// A row of the target that is not what its item makes of it.
pub(crate) struct Broken {
    pub(crate) key: Item,
    /// The row, as it was read before its item.
    pub(crate) row: Option<Item>,
    /// The item, as it was read consistently, if it is there.
    pub(crate) item: Option<Item>,
    /// When it was read, in microseconds since 1970.
    pub(crate) read_at: u64,
}

impl<V: StreamView<New<record::Item> = record::Item>> Replica<V> {
    /// The same replica, which asks `source` for the items of rows, if it has no other way to know what is gone.
    pub(crate) fn reading(mut self, source: Arc<dyn Reads>) -> Self {
        self.source.get_or_insert(source);
        self
    }

    /// How a row differs from what its item makes of it, apart from what is the replica's own.
    pub(crate) fn difference(
        &self,
        key: &Item,
        item: Option<Item>,
        row: Option<&Item>,
    ) -> Result<Option<Difference>, Failure> {
        // Nobody knows whether a user has deleted the item, or its time.
        if item.is_none() && self.ignores_expired {
            return Ok(None);
        }
        let expected = item.map(|item| self.row(key, item)).transpose()?.flatten();
        let row = row.filter(|row| !is_tombstone(row));
        Ok(difference(self.visible(expected).as_ref(), self.visible(row.cloned()).as_ref()))
    }

    /// Whether a row says which version it is of.
    pub(crate) fn is_versioned(&self, row: &Item) -> bool {
        matches!(&self.mode, Mode::Guarded(attribute) if row.contains_key(&**attribute))
    }

    /// A row as the source has it: without its version.
    fn visible(&self, mut row: Option<Item>) -> Option<Item> {
        if let (Some(row), Mode::Guarded(attribute)) = (&mut row, &self.mode) {
            row.remove(&**attribute);
        }
        row
    }

    /// Puts a row right; stale if a later change was there first.
    pub(crate) async fn repair(&self, broken: Broken) -> Result<Written, ReplicaError> {
        let (write, guard) = self.mend(broken)?;
        let row_now = self.row_now(None);
        let Some(parties) = self.parties(&row_now) else { return Ok(self.table.write_guarded(write, guard).await?) };
        // An item that was deleted before its row was put back leaves nobody to delete the row.
        let parcel = Parcel { write, version: guard.version().to_owned(), doubts: Doubts::Gone };
        let mut delivery = Delivery::new(parties, vec![parcel], self.limits(Deadline::NEVER));
        let (_, came) = delivery.next().await.expect("a write that nothing holds up comes to something");
        match came {
            Came::Done { written, .. } => Ok(written),
            Came::Refused(error) | Came::Failed(error) => Err(error.into()),
        }
    }

    /// The write that puts a row right, and what it may replace.
    fn mend(&self, broken: Broken) -> Result<(RowWrite, Guard), ReplicaError> {
        let table = || self.table.name().into();
        let Mode::Guarded(attribute) = &self.mode else { return Err(ReplicaError::Unguarded { table: table() }) };
        if !self.takes_snapshots() {
            return Err(ReplicaError::NoSource { table: table() });
        }
        let Broken { key, row, item, read_at } = broken;
        let guard = match row.as_ref().and_then(|row| row.get(&**attribute)) {
            Some(AttributeValue::S(version)) => Guard::up_to(Arc::clone(attribute), version),
            _ => Guard::new(Arc::clone(attribute), Version::snapshot(self.generation, read_at)),
        };
        let row = item.map(|item| self.row(&key, item)).transpose();
        let row = row.map_err(|failure| match failure {
            Failure::Retry(source) | Failure::Reject(source) => ReplicaError::Transform { table: table(), source },
        })?;
        Ok(match row.flatten() {
            Some(row) => (RowWrite::put(key, row), guard),
            None => (self.deleted(key), guard),
        })
    }
}
