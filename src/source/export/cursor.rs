//! Where reading stands: small, and made to be stored.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Export, ExportError};
use crate::dispatch::BatchReport;

/// Where the reading of an export stands: what is answered for, and nothing that was only read.
///
/// As JSON: `{"export":"arn:..","items":500000,"next":3,"open":{"1":4000,"2":0},"counters":{..}}`. Files before `next` are done
/// with, except for the open ones, of which so many lines are. It holds no data of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub(super) export: String,
    /// How many items the export has: another export with the same ARN is none.
    pub(super) items: u64,
    pub(super) next: usize,
    pub(super) open: BTreeMap<usize, u64>,
    pub(super) counters: Counters,
}

/// What became of the records of an export, or of all exports of a bridge.
///
/// Of a job that is done, `applied + skipped + dead_lettered` is the number of items in its exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Records that handlers have done something with.
    pub applied: u64,
    /// Records that needed no work.
    pub skipped: u64,
    /// Records that the dead letter sink has taken.
    pub dead_lettered: u64,
}

impl Counters {
    /// Records that are done with.
    pub fn total(&self) -> u64 {
        self.applied + self.skipped + self.dead_lettered
    }

    pub(super) fn add(&mut self, report: &BatchReport) {
        self.applied += report.applied as u64;
        self.skipped += report.skipped_total() as u64;
        self.dead_lettered += report.dead_lettered as u64;
    }
}

impl Cursor {
    /// The beginning of an export.
    pub(super) fn start(export: &Export, counters: Counters) -> Self {
        Self { export: export.arn().to_owned(), items: export.items(), next: 0, open: BTreeMap::new(), counters }
    }

    /// The ARN of the export.
    pub fn export(&self) -> &str {
        &self.export
    }

    /// What became of the records that are done with.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether this cursor was made for the export.
    pub(super) fn fits(&self, export: &Export) -> Result<(), ExportError> {
        if self.export != export.arn() {
            return Err(ExportError::OtherExport { cursor: self.export.clone(), export: export.arn().to_owned() });
        }
        let bad = |reason| Err(ExportError::BadCursor { export: export.arn().to_owned(), reason });
        if self.items != export.items() {
            return bad("the export has another number of items than it had");
        }
        if self.next > export.files() || self.open.keys().any(|file| *file >= self.next) {
            return bad("it names files that the export does not have");
        }
        if self.open.iter().any(|(file, lines)| *lines > export.file(*file).0.item_count) {
            return bad("it names lines that a file does not have");
        }
        Ok(())
    }
}
