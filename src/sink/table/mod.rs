//! Tables as sinks: guarded writes, plain batches, and what came of each row.
//!
//! - [`Table`] is the port: one guarded write, one batch of plain writes, one consistent read.
//!   Adapters: [`Memory`] for tests and `DynamoDb` (feature `dynamodb`).
//! - [`TransactTable`] adds transactions of [`Action`]s, batches of reads, and the first rows of a partition.
//! - [`Guard`] is the version rule, the one place that says when a stored row is older.
//! - [`by_row`], [`write_guarded`] and [`write_plain`] are what handlers build upon: one write per row, cut to
//!   the service's limits, bounded, nothing dropped. [`transact`] and [`read_many`] are the same for transactions.
//!
//! ```
//! use anabranch::sink::table::{Guard, Memory, RowWrite, Table, Written, item, text};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let table = Memory::new("PetTrackerReplica", ["PK", "SK"]);
//! let key = item([("PK", text("USER#u1")), ("SK", text("PET#p1"))]);
//!
//! let second = table.write_guarded(RowWrite::put(key.clone(), key.clone()), Guard::new("version", "2")).await?;
//! let first = table.write_guarded(RowWrite::delete(key.clone()), Guard::new("version", "1")).await?;
//! assert_eq!((second, first), (Written::Applied, Written::Stale));
//! assert!(table.read(key).await?.is_some(), "the late delete lost");
//! # Ok::<(), anabranch::sink::table::TableError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod action;
mod backoff;
mod decimal;
mod difference;
#[cfg(feature = "dynamodb")]
mod dynamodb;
mod error;
mod fold;
mod guard;
mod guarded;
mod key;
mod memory;
mod narrow;
mod plain;
mod read;
mod size;
mod transact;
mod write;

pub use action::{Action, Condition, Effect, Update};
pub(crate) use backoff::{MAX_ROUNDS, wait_after};
pub use decimal::{Decimal, NotExact};
#[cfg(feature = "dynamodb")]
pub(crate) use difference::fingerprint;
pub use difference::{Difference, difference};
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDb;
pub use error::{Cause, TableError};
pub use fold::by_row;
pub(crate) use guard::just_above;
pub use guard::{DEFAULT_EXPIRY_ATTRIBUTE, DEFAULT_VERSION_ATTRIBUTE, Guard};
pub use guarded::write_guarded;
pub(crate) use key::canonical as canonical_number;
pub use memory::{Fault, Memory, Operation};
pub use narrow::{Reads, Transacts, Writes};
pub use plain::write_plain;
pub use read::read_many;
pub use serde_dynamo::{AttributeValue, Item};
pub use size::item_size;
pub use transact::{
    Cancellation, CancellationClass, Query, READ_ROWS, ReadBatch, TRANSACTION_ACTIONS, TRANSACTION_BYTES,
    TransactError, TransactTable, query, transact,
};
pub use write::{Limits, RowWrite, Written, item, text};

use std::sync::Arc;

use futures_util::future::BoxFuture;

/// The most rows that one batch of plain writes may hold.
pub const BATCH_ROWS: usize = 25;

/// A table whose rows can be written under guard, or plainly in batches.
///
/// Object safe; handlers hold an `Arc` of the part that they use, such as [`Writes`]. An adapter makes one request per call and retries
/// only what certainly had no effect or may be repeated without harm; who calls bounds how many calls are on
/// their way. Dropping a future may leave its write done or not done.
pub trait Table: Send + Sync + 'static {
    /// The table's name, as errors show it.
    fn name(&self) -> &str;

    /// Writes a row if the stored one is older than `guard` or not there.
    ///
    /// # Errors
    /// [`TableError::is_reject`] tells what no repetition can mend from what one may.
    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>>;

    /// Writes up to [`BATCH_ROWS`] different rows in one request, and answers with the indices of those that
    /// the table did not get to: they are to be sent again.
    ///
    /// # Errors
    /// A failure of the request as a whole: none of its rows is known to be written.
    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>>;

    /// Reads one row, seeing every write that was acknowledged before.
    ///
    /// # Errors
    /// As for writes.
    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>>;
}

impl<T: Table + ?Sized> Table for Arc<T> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn write_guarded(&self, write: RowWrite, guard: Guard) -> BoxFuture<'_, Result<Written, TableError>> {
        (**self).write_guarded(write, guard)
    }

    fn write_batch<'a>(&'a self, writes: &'a [RowWrite]) -> BoxFuture<'a, Result<Vec<usize>, TableError>> {
        (**self).write_batch(writes)
    }

    fn read(&self, key: Item) -> BoxFuture<'_, Result<Option<Item>, TableError>> {
        (**self).read(key)
    }
}
