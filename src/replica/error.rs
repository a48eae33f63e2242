//! Why a change cannot be replicated.

use std::sync::Arc;

use crate::{handler::BoxError, record::DecodeError, sink::table::TableError};

/// Why a change cannot be replicated, whatever the target. What the target says is a
/// [`TableError`](crate::sink::table::TableError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The record does not say which item it is about.
    #[error("the record has no `Keys`, so that no row can be named; DynamoDB always sends them")]
    NoKeys,
    /// The keys, or the mark of another replica, cannot be read.
    #[error("the record's own attributes cannot be read")]
    Unreadable(#[from] DecodeError),
    /// The row has other keys than the item, so that it could not be found again.
    #[error(
        "the transformation for table `{table}` changes the key attribute `{attribute}`; leave keys as they are, \
         or keep rows under other keys with a projection (`View::project`)"
    )]
    KeyChanged {
        /// The target.
        table: Arc<str>,
        /// The key attribute.
        attribute: String,
    },
    /// A row of a snapshot, whose item may be gone, and no way to find out.
    #[error(
        "table `{table}` cannot take rows of a snapshot: one whose item was deleted meanwhile would stay for ever; \
         name the source (`Replica::reread`), or keep tombstones (`Replica::tombstones`)"
    )]
    NoSource {
        /// The target.
        table: Arc<str>,
    },
    /// A record of another table than the one whose items are read again: nothing of it would be there, and its row would go.
    #[error(
        "the record is of `{arn}`, but table `{table}` is told to read items again from `{source_table}`; name the table whose \
         changes these are (`Replica::reread`)"
    )]
    OtherSource {
        /// The target.
        table: Arc<str>,
        /// The table that is read again.
        source_table: Arc<str>,
        /// What the record says of where it comes from.
        arn: Arc<str>,
    },
    /// A row that is to be put right, in a target whose rows carry no versions.
    #[error(
        "table `{table}` is a plain replica, whose rows carry no versions: nothing could keep a repair from bringing back an \
         older state; stop its function and run the backfill again, or use a guarded replica"
    )]
    Unguarded {
        /// The target.
        table: Arc<str>,
    },
    /// Nobody can tell what a row should be.
    #[error("the transformation for table `{table}` fails for the row that is to be put right")]
    Transform {
        /// The target.
        table: Arc<str>,
        /// Why.
        source: BoxError,
    },
    /// A table failed while rows were swept or put right.
    #[error(transparent)]
    Table(#[from] TableError),
}
