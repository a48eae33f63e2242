//! Transactions, and reading for them: the port, and what a cancellation means.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Action, Item, Table, TableError, Transacts, guarded::before};

/// The most rows that one transaction may write or check.
pub const TRANSACTION_ACTIONS: usize = 100;
/// The most bytes that the rows of one transaction may have together.
pub const TRANSACTION_BYTES: usize = 4 * 1024 * 1024;
/// The most keys that one batch of reads may name.
pub const READ_ROWS: usize = 100;

/// A table whose rows can be changed together or not at all.
///
/// Object safe, like [`Table`]. An adapter makes one request per call. Tokens such as DynamoDB's `ClientRequestToken` are
/// for repetitions within the call only: they are forgotten after ten minutes, so what must not happen twice over a
/// redelivery is guarded by conditions.
pub trait TransactTable: Table {
    /// Does all actions, or none. Each row may appear once; at most [`TRANSACTION_ACTIONS`] actions of at most
    /// [`TRANSACTION_BYTES`] together.
    ///
    /// # Errors
    /// [`TransactError::Cancelled`] says for each action whether it stood in the way; nothing was done. After
    /// [`TransactError::Table`] it is not known whether anything was, unless it is a reject.
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>>;

    /// Reads up to [`READ_ROWS`] different rows, seeing every write that was acknowledged before, and answers with those
    /// that are there and the indices of the keys that the table did not get to.
    ///
    /// # Errors
    /// As for [`Table::read`].
    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>>;

    /// Reads the first rows of a partition in the order of the sort key, seeing every write that was acknowledged before.
    ///
    /// # Errors
    /// As for [`Table::read`].
    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>>;
}

impl<T: TransactTable + ?Sized> TransactTable for Arc<T> {
    fn transact<'a>(&'a self, actions: &'a [Action]) -> BoxFuture<'a, Result<(), TransactError>> {
        (**self).transact(actions)
    }

    fn read_batch<'a>(&'a self, keys: &'a [Item]) -> BoxFuture<'a, Result<ReadBatch, TableError>> {
        (**self).read_batch(keys)
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Vec<Item>, TableError>> {
        (**self).query(query)
    }
}

/// What a batch of reads found.
#[derive(Clone, Default, PartialEq)]
pub struct ReadBatch {
    /// The rows that are there, in no order.
    pub rows: Vec<Item>,
    /// Which of the keys are to be asked for again.
    pub left: Vec<usize>,
}

/// The first rows of a partition.
#[derive(Clone, PartialEq)]
pub struct Query {
    /// The partition key attribute, and no other.
    pub partition: Item,
    /// Whether the last rows are wanted, last first.
    pub descending: bool,
    /// How many rows are wanted at most; a page of a real table ends at 1 MB as well.
    pub limit: u16,
}

/// Why a transaction did nothing, or may have.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TransactError {
    /// Nothing was done: at least one action stood in the way.
    #[error("a transaction on table `{table}` was cancelled: {}", summary(reasons))]
    Cancelled {
        /// The table.
        table: Arc<str>,
        /// For each action, whether and why it stood in the way.
        reasons: Vec<Option<Cancellation>>,
    },
    /// The request failed as a whole.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Why an action stood in a transaction's way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}{}{message}", if message.is_empty() { "" } else { ": " })]
pub struct Cancellation {
    /// What it means.
    pub class: CancellationClass,
    /// What the service said; it names attributes, not what is in them.
    pub message: Arc<str>,
}

/// What it means that an action stood in a transaction's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum CancellationClass {
    /// The stored row is not as the condition wants it: read it again, and decide again.
    #[error("the condition does not hold")]
    ConditionFailed,
    /// Another transaction or write was at the row: try again, a little later.
    #[error("another write was at the row")]
    Conflict,
    /// The table takes fewer writes than it is sent: try again, later.
    #[error("the table is throttled")]
    Throttled,
    /// The action does not fit the stored row or the table: no repetition can mend it.
    #[error("the action does not fit the row or the table")]
    Invalid,
    /// The rows of one partition key with a local index have 10 GB: no repetition can mend it.
    #[error("the item collection is full")]
    CollectionFull,
    /// There is such an item already, which only statements that insert meet: no repetition can mend it.
    #[error("there is such an item already")]
    Duplicate,
    /// Nothing that is known here: it may pass.
    #[error("the service gave another reason")]
    Other,
}

impl CancellationClass {
    /// Whether no repetition can mend it.
    pub fn is_reject(self) -> bool {
        matches!(self, Self::Invalid | Self::CollectionFull | Self::Duplicate)
    }
}

impl TransactError {
    /// Whether no repetition can mend it: at least one action does not fit.
    pub fn is_reject(&self) -> bool {
        match self {
            Self::Cancelled { reasons, .. } => reasons.iter().flatten().any(|reason| reason.class.is_reject()),
            Self::Table(error) => error.is_reject(),
        }
    }
}

fn summary(reasons: &[Option<Cancellation>]) -> String {
    let worst = reasons.iter().flatten().max_by_key(|reason| reason.class.is_reject());
    let count = reasons.iter().flatten().count();
    let text = worst.map_or("no reason was given".to_owned(), ToString::to_string);
    if count > 1 { format!("{text} (and {} more)", count - 1) } else { text }
}

/// Does all actions or none, or ends with [`TableError::OutOfTime`] once the deadline has passed.
///
/// # Errors
/// As [`TransactTable::transact`].
pub async fn transact<T: Transacts + ?Sized>(
    table: &T,
    actions: &[Action],
    until: Option<Instant>,
) -> Result<(), TransactError> {
    // The deadline's own failure is a table error inside, and whatever the table said outside.
    before(until, table.name(), async { Ok(table.transact(actions).await) }).await?
}

/// Reads the first rows of a partition, or ends with [`TableError::OutOfTime`] once the deadline has passed.
///
/// # Errors
/// As [`TransactTable::query`].
pub async fn query<T: Transacts + ?Sized>(
    table: &T,
    query: Query,
    until: Option<Instant>,
) -> Result<Vec<Item>, TableError> {
    before(until, table.name(), table.query(query)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(class: CancellationClass) -> Option<Cancellation> {
        Some(Cancellation { class, message: "".into() })
    }

    #[test]
    fn one_misfit_among_conflicts_is_a_reject() {
        let cancelled = |reasons| TransactError::Cancelled { table: "T".into(), reasons };
        let passing = cancelled(vec![None, reason(CancellationClass::Conflict), reason(CancellationClass::Throttled)]);
        assert!(!passing.is_reject());
        let misfit = cancelled(vec![reason(CancellationClass::Conflict), reason(CancellationClass::Invalid)]);
        assert!(misfit.is_reject());
        let said = misfit.to_string();
        assert!(said.contains("`T`") && said.ends_with("does not fit the row or the table (and 1 more)"), "{said}");
    }
}
