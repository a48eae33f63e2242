//! Consecutive exports, one after another: a way across the time for which the stream has no records any more.

use std::cmp::Reverse;

use super::{Batches, Export, ExportError, Kind};
use crate::record::Timestamp;

/// Exports that together hold every change of a while.
///
/// [The chapter](super#a-bridge-over-a-gap) says when to use one, and what else it takes.
#[derive(Debug, Clone)]
pub struct Bridge {
    exports: Vec<Export>,
}

impl Bridge {
    /// Orders incremental exports by time, and checks that every change from `since` until `until` is in one of them.
    ///
    /// `since` is a time at which the targets were up to date at the latest, `until` one from which on the stream is read:
    /// at most 24 hours ago. Exports that end before `since` are left out, and those within the window of another.
    ///
    /// # Errors
    /// No exports, exports of several tables, full ones, and a gap, which is named.
    pub fn new(
        exports: impl IntoIterator<Item = Export>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, ExportError> {
        let mut exports: Vec<_> = exports.into_iter().collect();
        of_one_table(&exports)?;
        if let Some(full) = exports.iter().find(|export| is_full(export)) {
            return Err(ExportError::Full { export: full.arn().to_owned() });
        }
        exports.retain(|export| export.kind().until() > since);
        without_nested(&mut exports);
        let mut covered = since;
        for kind in exports.iter().map(Export::kind) {
            if kind.from() > covered {
                return Err(ExportError::Gap { from: covered, until: kind.from() });
            }
            covered = kind.until();
        }
        if covered < until {
            return Err(ExportError::Gap { from: covered, until });
        }
        if exports.is_empty() { Err(ExportError::NoBridge) } else { Ok(Self { exports }) }
    }

    /// A full export, and the incremental ones from its time until `until`: for targets that are built anew.
    ///
    /// # Errors
    /// As [`new`](Self::new), and a first export that is not full.
    pub fn from_full(
        full: Export,
        incremental: impl IntoIterator<Item = Export>,
        until: Timestamp,
    ) -> Result<Self, ExportError> {
        if !is_full(&full) {
            return Err(ExportError::NotFull { export: full.arn().to_owned() });
        }
        let since = full.kind().until();
        let mut exports = match Self::new(incremental, since, until) {
            Err(ExportError::NoBridge) if since >= until => Vec::new(),
            bridge => bridge?.exports,
        };
        exports.insert(0, full);
        of_one_table(&exports)?;
        Ok(Self { exports })
    }

    /// As far as these exports reach: the newest full one and the incremental ones since, or, where none is full, the incremental
    /// ones from the first to the last.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn newest(exports: impl IntoIterator<Item = Export>) -> Result<Self, ExportError> {
        let exports: Vec<_> = exports.into_iter().collect();
        of_one_table(&exports)?;
        let kinds = || exports.iter().map(Export::kind);
        let (Some(since), Some(until)) = (kinds().map(Kind::from).min(), kinds().map(Kind::until).max()) else {
            return Err(ExportError::NoBridge);
        };
        let (full, incremental): (Vec<_>, Vec<_>) = exports.into_iter().partition(is_full);
        match full.into_iter().max_by_key(|export| export.kind().until()) {
            Some(full) => Self::from_full(full, incremental, until),
            None => Self::new(incremental, since, until),
        }
    }

    /// The exports in the order in which they are read.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// The first moment whose changes are not in it.
    pub fn until(&self) -> Timestamp {
        self.exports.last().expect("a bridge has an export").kind().until()
    }

    /// All its exports in batches, one export after the other. `keys` are as for [`Export::batches`].
    pub fn batches<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Batches {
        Batches::new(self.exports.clone(), keys.into_iter().map(Into::into).collect())
    }
}

/// In the order of their beginnings, and so of their ends. What lies within a longer one is left out: an item that came there and went
/// before the longer one ended is in the shorter one only, and would stay.
fn without_nested(exports: &mut Vec<Export>) {
    exports.sort_by_key(|export| (export.kind().from(), Reverse(export.kind().until())));
    let mut reached = None;
    exports.retain(|export| {
        let is_further = reached < Some(export.kind().until());
        reached = reached.max(Some(export.kind().until()));
        is_further
    });
}

fn is_full(export: &Export) -> bool {
    matches!(export.kind(), Kind::Full { .. })
}

fn of_one_table(exports: &[Export]) -> Result<(), ExportError> {
    let Some((first, others)) = exports.split_first() else { return Err(ExportError::NoBridge) };
    match others.iter().find(|export| export.table() != first.table()) {
        None => Ok(()),
        Some(export) => Err(ExportError::OtherTable {
            export: export.arn().to_owned(),
            table: export.table_arn().to_owned(),
            other: first.table_arn().to_owned(),
        }),
    }
}
