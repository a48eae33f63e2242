//! Why a change cannot be indexed.

use std::sync::Arc;

use crate::{
    record::DecodeError,
    sink::index::{IndexError, NoDocument},
};

/// Why a change cannot be indexed, whatever the server says. What the server says is an [`IndexError`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SearchError {
    /// The record does not say which item it is about.
    #[error("the record has no `Keys`, so that no document can be named; DynamoDB always sends them")]
    NoKeys,
    /// The keys cannot be read.
    #[error("the keys cannot be read")]
    Keys(#[from] DecodeError),
    /// The item makes no document.
    #[error("the item makes no document")]
    NoDocument(#[from] NoDocument),
    /// The function that names indexes gave an illegal name.
    #[error(
        "the index name made for the item is illegal; it has up to 255 bytes, no capitals, none of \\/*?\"<>|,#: and \
         whitespace, and does not start with - _ or +"
    )]
    IllegalIndexName,
}

/// An index could not be made, so nothing was written to it. A setup to mend: never a reject.
#[derive(Debug, thiserror::Error)]
#[error("index `{index}` could not be made")]
pub(super) struct NotMade {
    pub(super) index: Arc<str>,
    pub(super) source: IndexError,
}
