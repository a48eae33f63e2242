//! Why a row could not be written.

use std::{error::Error, sync::Arc};

/// Why a row could not be written or read, and by its kind what to do about it.
///
/// Names tables and attributes, never what is in them. The source holds code, message and request id of the
/// service. Cloned for every row that one failed request leaves behind.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// The table takes fewer writes than it is sent.
    #[error("table `{table}` is throttled; raise its capacity or send less at a time")]
    Throttled {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// There is no such table where the client looks for it.
    #[error("table `{table}` does not exist; create it, or correct its name, the region or the account")]
    NoSuchTable {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The credentials are missing, expired, or do not allow the action.
    #[error(
        "access to table `{table}` is denied; allow `dynamodb:PutItem`, `dynamodb:DeleteItem`, \
         `dynamodb:BatchWriteItem` and `dynamodb:GetItem` on it to the function's role, and for views \
         `dynamodb:UpdateItem`, `dynamodb:BatchGetItem` and `dynamodb:Query`"
    )]
    Denied {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The row is larger than a table can hold.
    #[error("the row is larger than the 400 KB that an item of table `{table}` may have")]
    TooLarge {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The row does not fit the table, for example because the keys have other names or types.
    #[error("table `{table}` refuses the row; compare its keys and indexes with those of the source")]
    Refused {
        /// The table.
        table: Arc<str>,
        /// What the service said.
        source: Cause,
    },
    /// The service or the way to it failed.
    #[error("the request to table `{table}` failed")]
    Failed {
        /// The table.
        table: Arc<str>,
        /// What is known of it.
        source: Cause,
    },
    /// The table kept handing the row back in answers that were otherwise successes.
    #[error("table `{table}` left the row unprocessed in {rounds} batches; raise its capacity or send less at a time")]
    Unprocessed {
        /// The table.
        table: Arc<str>,
        /// How often the row was sent.
        rounds: u32,
    },
    /// The time ran out before the table had answered.
    #[error("no answer from table `{table}` before the deadline")]
    OutOfTime {
        /// The table.
        table: Arc<str>,
    },
}

/// An error shared by the rows that it concerns.
pub type Cause = Arc<dyn Error + Send + Sync>;

impl TableError {
    /// Whether no repetition can mend it: the row itself does not fit. Everything else may pass.
    pub fn is_reject(&self) -> bool {
        matches!(self, Self::TooLarge { .. } | Self::Refused { .. })
    }
}
