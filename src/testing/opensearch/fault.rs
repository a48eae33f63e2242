//! What goes wrong, on demand.

use serde_json::{Value, json};

use super::routes::Answer;

/// What is about to happen, as seen by a fault function.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// A request.
    Request {
        /// `GET`, `POST` and so on.
        method: &'a str,
        /// The path, as it came.
        path: &'a str,
    },
    /// One operation of a bulk request.
    Item {
        /// The index.
        index: &'a str,
        /// The document.
        id: &'a str,
    },
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It has no effect and this status.
    Status(u16),
    /// The connection is closed before it has any effect. Nothing, for a single operation.
    Close,
    /// It takes effect, and the connection is closed: the answer is lost. Nothing, for a single operation.
    Lose,
}

/// The answer to a request that has no effect.
pub(super) fn answer(status: u16) -> Answer {
    let value = match status {
        // A proxy says these, not the server: no description.
        413 => json!({"message": "Request Entity Too Large"}),
        401 | 403 => json!({"message": "not authorized"}),
        _ => json!({"error": error(status), "status": status}),
    };
    (status, value)
}

/// The error of an operation that has no effect.
pub(super) fn error(status: u16) -> Value {
    let (kind, reason) = match status {
        409 => ("version_conflict_engine_exception", "version conflict"),
        429 => ("es_rejected_execution_exception", "rejected execution"),
        403 => ("cluster_block_exception", "blocked"),
        400..=499 => ("illegal_argument_exception", "told to refuse it"),
        _ => ("unavailable_shards_exception", "primary shard is not active"),
    };
    json!({"type": kind, "reason": reason})
}
