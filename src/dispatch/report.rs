//! What became of a batch, and the answer that Lambda gets.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::{
    handler::{Outcome, Skip},
    record::TumblingWindow,
};

/// What became of the records of one batch.
///
/// Of the records that were [read](Self::read), each is counted exactly once: applied, skipped, dead-lettered, or
/// left for redelivery. Records behind the first unfinished one may not have been read at all.
#[derive(Debug, Clone, Default)]
pub struct BatchReport {
    /// Records read from the payload.
    pub read: usize,
    /// Records that every routed handler is done with, at least one of them by doing something.
    pub applied: usize,
    /// Records that needed no work, by reason.
    pub skipped: BTreeMap<Skip, usize>,
    /// Records that the dead letter sink has acknowledged.
    pub dead_lettered: usize,
    /// Records read that Lambda delivers again: the first unfinished one and all behind it.
    pub redelivered: usize,
    /// The record from which Lambda delivers again, if there is one.
    pub unfinished: Option<Unfinished>,
    /// Whether the last record of the payload was reached.
    pub complete: bool,
    pub(super) window: Option<TumblingWindow>,
}

/// The earliest record that is not done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its index in the batch.
    pub position: usize,
    /// Its sequence number: the one identifier of the response. Rows of a snapshot that were read together share it.
    pub sequence_number: String,
    /// Why it is not done with.
    pub cause: Cause,
}

/// Why a record is not done with.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A handler failed and asked for another delivery.
    Retry {
        /// The route that failed.
        route: String,
        /// The error, with its sources.
        reason: String,
    },
    /// A handler rejected it, or it could not be read, and no dead letter sink took it.
    NotBuried {
        /// Why it was rejected.
        reason: String,
        /// Why it is not a dead letter: none is configured, or the sink's error.
        sink: String,
    },
    /// A handler returned, or was cut off at the deadline, without a verdict.
    Unanswered {
        /// The route that gave no verdict.
        route: String,
    },
    /// The time for new work had passed before it was started.
    Deadline,
    /// It waited behind a rejected record of its item when a later record failed.
    Held,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { route, reason } => write!(f, "{route}: {reason}"),
            Self::NotBuried { reason, sink } => write!(f, "{reason}; not taken as a dead letter: {sink}"),
            Self::Unanswered { route } => {
                write!(f, "{route}: no verdict; the handler was cut off, panicked, or forgot it")
            }
            Self::Deadline => f.write_str("not started: the invocation nears its deadline"),
            Self::Held => f.write_str("not started: it waited behind a rejected record of its item"),
        }
    }
}

impl Cause {
    /// The lower-case word used in logs and metrics.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Retry { .. } => "retry",
            Self::NotBuried { .. } => "not_buried",
            Self::Unanswered { .. } => "unanswered",
            Self::Deadline => "deadline",
            Self::Held => "held",
        }
    }
}

impl BatchReport {
    /// Records that needed no work, whatever the reason.
    pub fn skipped_total(&self) -> usize {
        self.skipped.values().sum()
    }

    /// Counts a record that is done with; without an outcome it was buried.
    pub(super) fn count(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Applied) => self.applied += 1,
            Some(Outcome::Skipped(reason)) => *self.skipped.entry(reason).or_default() += 1,
            None => self.dead_lettered += 1,
        }
    }

    /// Whatever was read and is not done with is delivered again.
    pub(super) fn balanced(mut self) -> Self {
        self.redelivered = self.read - self.applied - self.skipped_total() - self.dead_lettered;
        self
    }

    /// The tumbling window that the batch belongs to, if the mapping has one.
    pub fn window(&self) -> Option<&TumblingWindow> {
        self.window.as_ref()
    }

    /// The answer for Lambda: exactly one identifier, or none.
    pub fn response(&self) -> BatchResponse {
        let failed = self.unfinished.iter();
        BatchResponse {
            batch_item_failures: failed.map(|it| ItemFailure { item_identifier: it.sequence_number.clone() }).collect(),
            state: self.window.as_ref().map(state),
        }
    }
}

/// The state of a tumbling window as it came; `{}` if there was none.
fn state(window: &TumblingWindow) -> Box<RawValue> {
    let given = str::from_utf8(&window.state).ok().and_then(|state| RawValue::from_string(state.to_owned()).ok());
    given.unwrap_or_else(|| RawValue::from_string("{}".to_owned()).expect("an empty object is JSON"))
}

/// A partial batch response, as `ReportBatchItemFailures` expects it.
///
/// Names at most one record: Lambda checkpoints at the lowest identifier and delivers everything from there on
/// again (ESM-35), so more would say nothing more.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// The record to deliver from, or none if all are done with.
    pub batch_item_failures: Vec<ItemFailure>,
    /// The unchanged state of a tumbling window, which must be in the answer (ESM-51).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Box<RawValue>>,
}

/// One record of a partial batch response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ItemFailure {
    /// The record's sequence number.
    pub item_identifier: String,
}
