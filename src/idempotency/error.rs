//! Why an effect did not happen now.

use std::{sync::Arc, time::Duration};

/// Why a record's effect did not happen, or is not known to have happened. What the ledger says is a
/// [`LedgerError`](crate::sink::ledger::LedgerError).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdempotencyError {
    /// Somebody else has claimed the record, and is at work or has crashed.
    #[error("another worker has claimed this record; if it has crashed, its claim is over within {lease:?}")]
    Busy {
        /// How long a claim holds.
        lease: Duration,
    },
    /// The record was handled, but not within its lease, and somebody else has claimed it since.
    #[error(
        "another worker took this record over: handling it took longer than the lease of {lease:?}; choose a longer one"
    )]
    LeaseLost {
        /// How long a claim holds.
        lease: Duration,
    },
    /// The record has nothing that it could be known by.
    #[error(
        "the record has no event id, and no stream ARN to tell its sequence number from another stream's; choose a key"
    )]
    NoIdentity,
    /// The invocation neared its end.
    #[error("the handler or its ledger was not done before the deadline")]
    OutOfTime,
    /// The ledger's answer does not mention the record.
    #[error("ledger `{ledger}` answered without a word about this record")]
    Unanswered {
        /// The ledger.
        ledger: Arc<str>,
    },
}
