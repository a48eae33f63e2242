//! Where a backfill stands.

use std::{collections::BTreeMap, fmt, ops::AddAssign};

use serde::{Deserialize, Serialize};

use super::pace::Owed;
use crate::dispatch::BatchReport;

/// The form in which cursors are stored. A cursor of another form is refused.
pub(super) const SCHEMA: u32 = 1;

/// Where one segment of a backfill stands, and what became of its rows so far: what the next slice begins with.
///
/// As JSON some hundred bytes: `{"schema":1,"job":"..","handler":"..","generation":0,"place":{..},"counts":{..}}`, and with a rate what is
/// `owed`. It fits only the job, the handlers and the generation that it was made for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceCursor<P> {
    pub(super) schema: u32,
    /// The job that the segment is of.
    pub job: String,
    /// The handlers that the rows go through, by a name that is theirs.
    pub handler: String,
    /// The generation of the target that is built.
    pub generation: u32,
    /// Where the segment goes on.
    pub place: P,
    /// What became of the rows before that.
    pub counts: Counts,
    /// What was taken ahead of the rates: the next slice waits for it first.
    #[serde(default, skip_serializing_if = "Owed::is_nothing")]
    pub(super) owed: Owed,
    /// Whether nothing is left of the segment but what is owed for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) ended: bool,
}

/// What became of the rows of a segment, or of several.
///
/// Every row that was read is counted once: they [reconcile](Self::reconciled), or something was lost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Portions: pages of a scan, parts of an export's file.
    pub portions: u64,
    /// Rows that were read, those included that a filter has left out.
    pub scanned: u64,
    /// Rows that were handed to the handlers.
    pub records: u64,
    /// Rows that were left out because they are expired.
    pub expired: u64,
    /// Rows that had an effect.
    pub applied: u64,
    /// Rows that needed none, by reason: `stale` where a change of the stream was there first.
    pub skipped: BTreeMap<String, u64>,
    /// Rows in the dead letter sink.
    pub dead: u64,
    /// Read units, as far as they are known.
    pub units: f64,
}

impl Counts {
    /// Rows that needed no effect, whatever the reason.
    pub fn skipped_total(&self) -> u64 {
        self.skipped.values().sum()
    }

    /// Whether every record that was handed out is accounted for.
    pub fn reconciled(&self) -> bool {
        self.records == self.applied + self.skipped_total() + self.dead
    }

    /// Takes over what a dispatcher has finished of a batch.
    pub(super) fn take(&mut self, report: &BatchReport) {
        self.applied += report.applied as u64;
        self.dead += report.dead_lettered as u64;
        for (reason, count) in &report.skipped {
            *self.skipped.entry(reason.as_str().to_owned()).or_default() += *count as u64;
        }
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.portions += other.portions;
        self.scanned += other.scanned;
        self.records += other.records;
        self.expired += other.expired;
        self.applied += other.applied;
        self.dead += other.dead;
        self.units += other.units;
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scanned, applied, dead, expired, .. } = self;
        write!(f, "{scanned} scanned, {applied} applied")?;
        for (reason, count) in &self.skipped {
            write!(f, ", {count} {reason}")?;
        }
        write!(f, ", {expired} expired, {dead} dead")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up() {
        let skipped = |reason: &str, count| BTreeMap::from([(reason.to_owned(), count)]);
        let one = Counts { records: 5, applied: 3, skipped: skipped("stale", 2), ..Counts::default() };
        let mut sum = Counts { records: 4, dead: 1, skipped: skipped("stale", 3), ..Counts::default() };
        sum += &one;
        assert_eq!((sum.records, sum.applied, sum.dead, sum.skipped_total()), (9, 3, 1, 5));
        assert!(one.reconciled() && sum.reconciled());
        assert!(!Counts { applied: 2, ..one }.reconciled());
    }

    #[test]
    fn a_cursor_is_stored_as_json() {
        let cursor = SliceCursor {
            schema: SCHEMA,
            job: "j".into(),
            handler: "replicate".into(),
            generation: 2,
            place: 7,
            counts: Counts::default(),
            owed: Owed::default(),
            ended: false,
        };
        let json = serde_json::to_string(&cursor).unwrap();
        assert!(
            json.starts_with(r#"{"schema":1,"job":"j","handler":"replicate","generation":2,"place":7,"counts":{"#),
            "{json}"
        );
        assert!(json.ends_with(r#""units":0.0}}"#), "as it was before anything could be owed: {json}");
        assert_eq!(serde_json::from_str::<SliceCursor<i32>>(&json).unwrap(), cursor);
        let owing = json.replace("}}", r#"},"owed":{"units":128.5},"ended":true}"#);
        let owing = serde_json::from_str::<SliceCursor<i32>>(&owing).unwrap();
        assert!(owing.ended && !owing.owed.is_nothing());
        let stored = serde_json::to_string(&owing).unwrap();
        assert_eq!(serde_json::from_str::<SliceCursor<i32>>(&stored).unwrap(), owing);
    }
}
