//! Why a change cannot be brought into a view.

use std::sync::Arc;

use crate::{
    handler::Failure,
    record::DecodeError,
    sink::table::{TableError, TransactError},
};

/// Why a change cannot be brought into a view, and by its kind what to do about it.
///
/// Names attributes and counts, never what is in them.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The record does not say which item it is about.
    #[error("the record has no `Keys`, so that no ledger row can be named; DynamoDB always sends them")]
    NoKeys,
    /// The keys cannot be read.
    #[error("the keys cannot be read")]
    Keys(#[source] Arc<DecodeError>),
    /// The record has no place in the order of the item's changes.
    #[error("the record has no sequence number, so that it cannot be told from a duplicate; DynamoDB always sends one")]
    NoSequenceNumber,
    /// The item's keys are longer than the key of a ledger row may be.
    #[error("the item's keys take {bytes} bytes in the ledger's partition key, which has at most {limit}")]
    LongKey {
        /// The length of the ledger's key.
        bytes: usize,
        /// The most that a partition key has.
        limit: usize,
    },
    /// A last value is too large to be kept in order.
    #[error("the last value in attribute `{name}` has {bytes} bytes, of which it may have {limit}")]
    LargeValue {
        /// The attribute.
        name: String,
        /// The size of the value and the attribute's name.
        bytes: usize,
        /// The most that it may have.
        limit: usize,
    },
    /// The view's function panicked.
    #[error("the view's function panicked (a line before this one says where); it is pure, so it would again")]
    Panicked,
    /// One item concerns more rows than fit into the transaction that moves it.
    #[error(
        "an item concerns {rows} rows of the view, of which it may have {limit}: rows, and an entry for each min, max and last"
    )]
    TooManyRows {
        /// How many it concerns.
        rows: usize,
        /// How many it may.
        limit: usize,
    },
    /// An attribute is the view's own, or is used in two ways.
    #[error("attribute `{name}` is the view's own, or is used in two ways for one row; give it another name")]
    Attribute {
        /// The attribute.
        name: String,
    },
    /// An attribute was used in another way by an earlier generation.
    #[error(
        "attribute `{name}` holds a sum or a count in one generation of the view and something else in the other; give what is used in another way another name"
    )]
    Reused {
        /// The attribute.
        name: String,
    },
    /// A sum cannot be kept exactly.
    #[error("a sum in attribute `{name}` takes more than 38 significant digits")]
    Inexact {
        /// The attribute.
        name: String,
    },
    /// The ledger row was written by something else.
    #[error("the ledger row lacks or garbles attribute `{name}`; nothing but its view may write it")]
    Ledger {
        /// The attribute.
        name: &'static str,
    },
    /// A function of a later generation has taken the view over.
    #[error(
        "the view is of generation {theirs} by now, and this function writes {ours}; deploy it with `generation({theirs})`"
    )]
    Superseded {
        /// The generation of the function.
        ours: u32,
        /// The generation found in the ledger.
        theirs: u32,
    },
    /// Other writers were always faster.
    #[error(
        "other writers were at the same rows in {rounds} attempts; spread the hot row with `shards`, or lower the function's concurrency"
    )]
    Contended {
        /// How many attempts there were.
        rounds: u32,
    },
    /// Two items claim one projected row.
    #[error("a projected row belongs to another item; the function must give different items different keys")]
    RowTaken,
    /// An item cannot be read as what the view is made of.
    #[error("the item cannot be read as what the view is made of")]
    Item(#[source] Arc<DecodeError>),
    /// A row of a projection that is to be put right says of no item that it comes from it.
    #[error(
        "a row of the view names no item that it comes from, so nothing but its view's name speaks for deleting it; delete it by hand"
    )]
    NoOwner,
    /// What the table says of a read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What the table says of a transaction.
    #[error(transparent)]
    Transact(#[from] TransactError),
}

impl ViewError {
    /// Whether no repetition can mend it.
    pub fn is_reject(&self) -> bool {
        match self {
            Self::Superseded { .. } | Self::Contended { .. } | Self::Reused { .. } => false,
            Self::Table(error) => error.is_reject(),
            Self::Transact(error) => error.is_reject(),
            _ => true,
        }
    }

    pub(super) fn into_failure(self) -> Failure {
        if self.is_reject() { Failure::reject(self) } else { Failure::retry(self) }
    }
}
