//! Why a change cannot be replicated.

use crate::record::DecodeError;

/// Why a change cannot be replicated, whatever the target. What the target says is a
/// [`TableError`](crate::sink::table::TableError).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The record does not say which item it is about.
    #[error("the record has no `Keys`, so that no row can be named; DynamoDB always sends them")]
    NoKeys,
    /// The keys cannot be read.
    #[error("the keys cannot be read")]
    Keys(#[from] DecodeError),
}
