//! One change of an item, as a write of its row.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{
    Mode, Replica, ReplicaError, TOMBSTONE_ATTRIBUTE,
    arn::is_another,
    delivery::{Doubts, Wanted},
    is_tombstone,
};
use crate::{
    handler::{Admitted, Failure, Outcome, Panicked, Skip, Ticket, Verdict},
    record::{Cause, Change, DecodeError, Image, Item, Record, StreamView, Version},
    sink::table::{self, RowWrite},
};

/// One change of an item, as a write of its row.
pub(super) struct Step {
    pub(super) write: RowWrite,
    pub(super) version: Version,
    pub(super) ticket: Ticket,
    /// What may have become of the item, by changes that were handled already.
    pub(super) doubts: Doubts,
    /// The stream's insert of an item that the target is not to have: by itself it asks for nothing, because there was nothing
    /// before it. Of a row of a snapshot nobody knows what was before it.
    idle: bool,
}

/// What a record asks for: a write, or nothing.
type Asked<T> = Result<T, Verdict>;

impl Step {
    /// The write that a record asks for, or its verdict if it asks for none.
    pub(super) fn of<V>(replica: &Replica<V>, admitted: Admitted<Item, V>) -> Result<Self, (Ticket, Verdict)>
    where
        V: StreamView<New<Item> = Item>,
    {
        let Admitted { ticket, record, .. } = admitted;
        let version = record.version().in_generation(replica.generation);
        let doubts = replica.doubts(&record);
        match replica.asked(record) {
            Ok((write, idle)) => Ok(Self { write, version, ticket, doubts, idle }),
            Err(verdict) => Err((ticket, verdict)),
        }
    }

    /// The steps of one item in the order of their versions, which is that of the stream; of duplicates the first.
    pub(super) fn in_order(mut item: Vec<Self>) -> Vec<Self> {
        item.sort_by(|a, b| a.version.cmp(&b.version));
        item
    }

    /// Whether the only step of an item asks for nothing.
    pub(super) fn is_idle(item: &[Self]) -> bool {
        matches!(item, [step] if step.idle)
    }
}

impl<V: StreamView<New<Item> = Item>> Replica<V> {
    fn asked(&self, record: Record<Item, V>) -> Asked<(RowWrite, bool)> {
        let key = match record.keys().item() {
            Ok(key) if key.is_empty() => return Err(reject(ReplicaError::NoKeys)),
            Ok(key) => key,
            Err(error) => return Err(reject(error.into())),
        };
        self.pass_over(&record)?;
        let new = matches!(record.change, Change::Insert { .. }) && !record.origin().is_snapshot();
        let row = match record.change {
            Change::Insert { new: Item(row) } | Change::Modify { new: Item(row), .. } => {
                self.row(&key, row).map_err(Err)?
            }
            Change::Remove { .. } => None,
        };
        match row {
            Some(row) => Ok((RowWrite::put(key, row), false)),
            None => Ok((self.deleted(key), new && !self.ignores_expired)),
        }
    }

    /// Records that are not for this target.
    fn pass_over(&self, record: &Record<Item, V>) -> Asked<()> {
        self.is_of_the_source(record)?;
        if self.ignores_expired && record.cause() == Cause::TimeToLive {
            return Err(Ok(Outcome::Skipped(Skip::Filtered)));
        }
        if let Mode::Guarded(attribute) = &self.mode
            && self.two_way
            && is_echo(record, attribute).map_err(|error| reject(error.into()))?
        {
            return Err(Ok(Outcome::Skipped(Skip::Ignored)));
        }
        if record.origin().is_snapshot() && !self.takes_snapshots() {
            return Err(Err(Failure::retry(ReplicaError::NoSource { table: self.table.name().into() })));
        }
        Ok(())
    }

    /// Refuses records of another table than the one that is read again: before any of them is late, and loses its row.
    fn is_of_the_source(&self, record: &Record<Item, V>) -> Asked<()> {
        match (self.rereads(), record.source_arn()) {
            (Some((source, _)), Some(arn)) if is_another(source.name(), arn) => {
                let (table, source_table) = (self.table.name().into(), source.name().into());
                Err(Err(Failure::retry(ReplicaError::OtherSource { table, source_table, arn: arn.into() })))
            }
            _ => Ok(()),
        }
    }

    /// The row of an item, or none if the target is not to have it. A panic is this record's failure.
    pub(super) fn row(&self, key: &table::Item, item: table::Item) -> Result<Option<table::Item>, Failure> {
        if is_tombstone(&item) {
            return Ok(None);
        }
        let Some(transform) = &self.transform else { return Ok(Some(item)) };
        let row = catch_unwind(AssertUnwindSafe(|| transform(item)));
        let Some(row) = row.unwrap_or_else(|_| Err(Failure::retry(Panicked)))? else { return Ok(None) };
        match key.iter().find(|(name, value)| row.get(*name) != Some(value)) {
            None => Ok(Some(row)),
            Some((attribute, _)) => {
                let (table, attribute) = (self.table.name().into(), attribute.clone());
                Err(Failure::reject(ReplicaError::KeyChanged { table, attribute }))
            }
        }
    }

    /// What the target is to have of an item, if anything.
    pub(super) fn wanted(&self, key: &table::Item, item: table::Item) -> Option<Wanted> {
        self.row(key, item).map_or(Some(Wanted::Whatever), |row| row.map(Wanted::This))
    }

    pub(super) fn deleted(&self, key: table::Item) -> RowWrite {
        match (&self.mode, &self.tombstones) {
            (Mode::Guarded(_), Some(tombstones)) => {
                let stone = tombstones.of(&key);
                RowWrite::put(key, stone)
            }
            _ => RowWrite::delete(key),
        }
    }
}

fn reject(error: ReplicaError) -> Verdict {
    Err(Failure::reject(error))
}

/// Whether the other replica of two wrote this, and no user of the table.
///
/// Each of its writes gives a row another version, and nobody else touches that attribute. A row that it deleted has become
/// a tombstone before it goes.
fn is_echo<V: StreamView>(record: &Record<Item, V>, attribute: &str) -> Result<bool, DecodeError> {
    let find = |image: Option<Image<'_>>, name: &str| -> Result<Option<String>, DecodeError> {
        Ok(image.map(|image| image.attribute(name)).transpose()?.flatten().map(Into::into))
    };
    let raw = record.raw();
    match raw.new_image() {
        None => Ok(find(raw.old_image(), TOMBSTONE_ATTRIBUTE)?.is_some()),
        new => {
            let written = find(new, attribute)?;
            Ok(written.is_some() && written != find(raw.old_image(), attribute)?)
        }
    }
}
