//! Why a ledger could not be asked.

use std::sync::Arc;

use super::KEY_BYTES;
use crate::sink::table::Cause;

/// Why a ledger could not be asked, and by its kind what to do about it.
///
/// Never shows keys, which may be made of users' data. Cloned for every key that one failed request leaves behind.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The key is empty or too long.
    #[error("a key of {bytes} bytes cannot be kept; a ledger takes 1 to {KEY_BYTES}")]
    Key {
        /// Its length.
        bytes: usize,
    },
    /// The table takes fewer requests than it is sent.
    #[error("ledger table `{table}` is throttled; raise its capacity or send less at a time")]
    Throttled {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// There is no such table where the client looks for it.
    #[error("ledger table `{table}` does not exist; create it, or correct its name, the region or the account")]
    NoSuchTable {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The credentials are missing, expired, or do not allow the action.
    #[error(
        "access to ledger table `{table}` is denied; allow `dynamodb:PutItem` and `dynamodb:DeleteItem` on it to the \
         function's role"
    )]
    Denied {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The table has another shape than a ledger.
    #[error("table `{table}` cannot be a ledger; its only key has to be the partition key `id`, a string")]
    NotALedger {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The service or the way to it failed.
    #[error("the request to ledger table `{table}` failed")]
    Failed {
        /// The table.
        table: Arc<str>,
        /// What is known of it.
        source: Cause,
    },
    /// An adapter of your own failed.
    #[error("the ledger could not be asked")]
    Other(#[source] Cause),
}

impl LedgerError {
    /// Wraps the error of an adapter of your own; it counts as one that a repetition may mend.
    pub fn other(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Other(Arc::from(error.into()))
    }

    /// Whether no repetition can mend it: the key itself does not fit. Everything else may pass.
    pub fn is_reject(&self) -> bool {
        matches!(self, Self::Key { .. })
    }
}
