//! One change of an item, as a write of its row.

use super::ReplicaError;
use crate::{
    handler::{Admitted, Ticket},
    record::{Change, Item, NewImage},
    sink::table::RowWrite,
};

/// One change of an item, as a write of its row.
pub(super) struct Step {
    pub(super) write: RowWrite,
    pub(super) version: String,
    pub(super) ticket: Ticket,
}

impl Step {
    /// The write that a change asks for.
    pub(super) fn of(admitted: Admitted<Item, NewImage>) -> Result<Self, (Ticket, ReplicaError)> {
        let Admitted { ticket, record, .. } = admitted;
        let key = match record.keys().item() {
            Ok(key) if key.is_empty() => return Err((ticket, ReplicaError::NoKeys)),
            Ok(key) => key,
            Err(error) => return Err((ticket, error.into())),
        };
        let version = record.version().into();
        let write = match record.change {
            Change::Insert { new: Item(row) } | Change::Modify { new: Item(row), .. } => RowWrite::put(key, row),
            Change::Remove { .. } => RowWrite::delete(key),
        };
        Ok(Self { write, version, ticket })
    }
}
