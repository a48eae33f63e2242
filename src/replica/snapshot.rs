//! Rows of a snapshot, and those of late changes: written, and taken back if their items are gone.
//!
//! A row that was read before its item was deleted may be written after the deletion was handled, and then nothing would
//! ever delete it. So may that of a change which was given up, and is handed over again. Therefore the source is asked once
//! more when the row is there. If the item is there then, a deletion that is yet to come finds the row; if it is not, the row
//! goes, unless a later change has written it meanwhile.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    Mode, Replica, ReplicaError,
    delivery::{Came, Delivery, Doubts, Parties, RowNow, Wanted},
};
use crate::{
    handler::{Belongs, Deadline},
    record::{self, Record, StreamView, Timestamp, Version},
    sink::table::{AttributeValue, Item, Reads, just_above},
};

/// A row whose item may be gone.
pub(super) struct Unconfirmed {
    pub(super) key: Item,
    /// As it is stored: whatever is later stays.
    pub(super) version: String,
    /// Whether a row with a lower version may know more of its item.
    pub(super) moved: bool,
    /// Whether a row of this version was to be written, rather than deleted.
    pub(super) puts: bool,
}

impl Unconfirmed {
    /// The row as it is stored when it was put right: of what its item was, which may be gone since.
    pub(super) fn put_right(self) -> Self {
        Self { version: just_above(&self.version), moved: false, puts: true, ..self }
    }
}

impl<V: StreamView<New<record::Item> = record::Item>> Replica<V> {
    /// Whether a row of a snapshot can be told from one whose item is gone.
    pub(super) fn takes_snapshots(&self) -> bool {
        matches!(self.mode, Mode::Plain) || self.tombstones.is_some() || self.source.is_some()
    }

    /// Whether the item of a record may be gone, by a deletion that was handled already, and the source is there to ask.
    ///
    /// Of that of a late change more may be known as well: by a snapshot that has seen it since, in an earlier generation, or where
    /// the row was put right. Their versions are below that of any change of the stream, and nobody delivers what they know again.
    pub(super) fn doubts(&self, record: &Record<record::Item, V>) -> Doubts {
        match self.rereads() {
            Some(_) if record.origin().is_snapshot() => Doubts::Gone,
            Some(_) if self.is_late(record) => Doubts::Moved,
            _ => Doubts::None,
        }
    }

    /// Whether a change of the stream comes so late that it may have been given up meanwhile. An archive keeps what is late: it
    /// could not tell a deleted item from one that has expired.
    fn is_late(&self, record: &Record<record::Item, V>) -> bool {
        let asks = !self.ignores_expired && self.late_after < Duration::MAX;
        asks && record.created_at().is_none_or(|created| age(created) >= self.late_after)
    }

    /// The source to ask, and the attribute that guards what is taken back. With tombstones nobody needs to ask.
    pub(super) fn rereads(&self) -> Option<(&dyn Reads, &Arc<str>)> {
        match (&self.mode, &self.source, &self.tombstones) {
            (Mode::Guarded(attribute), Some(source), None) => Some((&**source, attribute)),
            _ => None,
        }
    }

    /// The same, with what decides whether a row stays.
    pub(super) fn parties<'r>(&'r self, row_now: &'r RowNow<'r>) -> Option<Parties<'r>> {
        let (source, attribute) = self.rereads()?;
        Some(Parties { target: &*self.table, source, attribute, row_now })
    }

    /// The row of an item as it is now: of one that the target is to have, and that still belongs to the route.
    pub(super) fn row_now<'r>(
        &'r self,
        belongs: Option<&'r Belongs>,
    ) -> impl Fn(&Item, Item) -> Option<Wanted> + Send + Sync + use<'r, V> {
        move |key, item| {
            let belongs = belongs.is_none_or(|belongs| belongs(&item));
            belongs.then(|| self.wanted(key, item)).flatten()
        }
    }

    /// Deletes rows that a snapshot has brought and whose items are gone, after a backfill that did not get through without a
    /// crash. `rows` are rows of the target, with at least `keys` and the version; those that a change of the stream has
    /// written are passed over. Answers with how many rows had no item.
    ///
    /// A worker that crashes when it has written a row, and before it has asked for the item, leaves that row to nobody:
    /// if its item is gone, the repeated slice does not find it. A late change is asked for again when it is handed over again.
    /// With tombstones, and in plain mode, this does nothing. It knows of no [route](crate::replica#routes).
    ///
    /// # Errors
    /// The first failure; to be called again with the same rows. [`ReplicaError::NoSource`] without [`reread`](Self::reread).
    pub async fn sweep(&self, keys: &[&str], rows: impl IntoIterator<Item = Item>) -> Result<usize, ReplicaError> {
        Ok(self.sweep_each(keys, rows, None).await?.len())
    }

    /// The same; answers with the indexes of the rows that had no item.
    pub(super) async fn sweep_each(
        &self,
        keys: &[&str],
        rows: impl IntoIterator<Item = Item>,
        belongs: Option<&Belongs>,
    ) -> Result<HashSet<usize>, ReplicaError> {
        if !self.takes_snapshots() {
            return Err(ReplicaError::NoSource { table: self.table.name().into() });
        }
        let row_now = self.row_now(belongs);
        let Some(parties) = self.parties(&row_now) else { return Ok(HashSet::new()) };
        let snapshot = |row: Item| {
            let Some(AttributeValue::S(version)) = row.get(&**parties.attribute) else { return None };
            let version = Version::parse(version).filter(Version::is_snapshot)?;
            let key = keys.iter().map(|name| Some(((*name).to_owned(), row.get(*name)?.clone())));
            Some(Unconfirmed {
                key: key.collect::<Option<HashMap<_, _>>>()?.into(),
                version: version.into(),
                moved: false,
                puts: true,
            })
        };
        let rows = rows.into_iter().enumerate();
        let (indexes, rows): (Vec<_>, Vec<_>) = rows.filter_map(|(index, row)| Some((index, snapshot(row)?))).unzip();
        let mut delivery = Delivery::of_rows(parties, rows, self.limits(Deadline::NEVER));
        let mut gone = HashSet::new();
        while let Some((index, came)) = delivery.next().await {
            match came {
                Came::Done { gone: true, .. } => _ = gone.insert(indexes[index]),
                Came::Done { .. } => {}
                Came::Refused(error) | Came::Failed(error) => return Err(error.into()),
            }
        }
        Ok(gone)
    }
}

/// How long ago a change happened: not at all, if its time is rounded up or clocks differ.
fn age(created: Timestamp) -> Duration {
    let age = Timestamp::from(SystemTime::now()).as_nanos().saturating_sub(created.as_nanos());
    Duration::from_nanos(u64::try_from(age).unwrap_or_default())
}
