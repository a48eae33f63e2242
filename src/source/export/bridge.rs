//! Consecutive exports, one after another: a way across the time for which the stream has no records any more.

use std::cmp::Reverse;

use super::{Batches, Export, ExportError, Kind, chain::chain};
use crate::record::Timestamp;

/// Exports that together hold every change of a while.
///
/// [The chapter](super#a-bridge-over-a-gap) says when to use one, and what else it takes.
#[derive(Debug, Clone)]
pub struct Bridge {
    exports: Vec<Export>,
}

impl Bridge {
    /// Orders incremental exports by time, and checks that every change from `since` until `until` is in exactly one of them
    /// (or in two, where windows overlap by less than a second).
    ///
    /// `since` is a time at which the targets were up to date at the latest, `until` one from which on the stream is read:
    /// at most 24 hours ago. Exports that are not needed are left out, such as those that end before `since`, lie within the
    /// window of another, or are in another format than the one that is read here.
    ///
    /// # Errors
    /// No exports, exports of several tables, full ones. A gap, or windows that overlap where no others lead past, which are named.
    /// An export in another format if there is no way without it.
    pub fn new(
        exports: impl IntoIterator<Item = Export>,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Self, ExportError> {
        let exports: Vec<_> = exports.into_iter().collect();
        of_one_table(&exports)?;
        if let Some(full) = exports.iter().find(|export| is_full(export)) {
            return Err(ExportError::Full { export: full.arn().to_owned() });
        }
        readable(&exports, |exports| chain(None, exports, since, until))
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
        let incremental: Vec<_> = incremental.into_iter().collect();
        if let Some(full) = incremental.iter().find(|export| is_full(export)) {
            return Err(ExportError::Full { export: full.arn().to_owned() });
        }
        let mut exports = incremental;
        exports.insert(0, full);
        of_one_table(&exports)?;
        readable(&exports, |exports| from_newest(exports, until))
    }

    /// As far as these exports reach: a full one and the incremental ones since, or, where none is full, the incremental
    /// ones from the first to the last. Of several full ones the newest from which the others lead to the end.
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
        match exports.iter().any(is_full) {
            true => readable(&exports, |exports| from_newest(exports, until)),
            false => readable(&exports, |exports| chain(None, exports, since, until)),
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

/// The chain of the exports that can be read. If the others are needed as well, one of them is named.
fn readable(
    exports: &[Export],
    chain: impl Fn(&[Export]) -> Result<Vec<Export>, ExportError>,
) -> Result<Bridge, ExportError> {
    let read: Vec<_> = exports.iter().filter(|export| export.is_readable()).cloned().collect();
    let exports = match chain(&read) {
        Err(_) if read.len() < exports.len() => chain(exports)?,
        exports => exports?,
    };
    exports.iter().try_for_each(Export::check_format)?;
    Ok(Bridge { exports })
}

/// From the newest full export from which windows lead to the end; if there is none, what is wrong with the newest.
fn from_newest(exports: &[Export], until: Timestamp) -> Result<Vec<Export>, ExportError> {
    let (mut full, windows): (Vec<_>, Vec<_>) = exports.iter().cloned().partition(is_full);
    full.sort_by_key(|export| Reverse(export.kind().until()));
    let mut chains = full.iter().map(|full| match full.kind().until() {
        since if since < until => chain(Some(full), &windows, since, until),
        _ => Ok(vec![full.clone()]),
    });
    match chains.next() {
        Some(Err(error)) => chains.find_map(Result::ok).ok_or(error),
        newest => newest.unwrap_or(Err(ExportError::NoBridge)),
    }
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
