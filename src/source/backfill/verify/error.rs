//! Why a comparison does not come to its end.

use crate::{handler::BoxError, sink::table::TableError, view::ViewError};

/// Why a comparison does not come to its end. What was found until then was told as it was found; run it again once the
/// cause is mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A table cannot be read through.
    #[error("the {side} table cannot be read through; mend the cause and verify again")]
    Pages {
        /// `source` or `target`.
        side: &'static str,
        /// Why.
        source: BoxError,
    },
    /// Rows cannot be read by their keys.
    #[error("rows of the {side} table cannot be read by their keys; its role needs dynamodb:BatchGetItem")]
    Read {
        /// `source` or `target`.
        side: &'static str,
        /// Why.
        source: TableError,
    },
    /// What the view has cannot be read.
    #[error("what the view has cannot be read")]
    View(#[from] ViewError),
    /// A row lacks an attribute of the key: the tables are not what they were taken for.
    #[error(
        "a row of the {side} table has no attribute `{attribute}`, which is a key; compare the key schemas of the two tables"
    )]
    Key {
        /// `source` or `target`.
        side: &'static str,
        /// The attribute.
        attribute: String,
    },
    /// A view has more rows than are kept in memory.
    #[error(
        "the view has more than {limit} rows, which are added up in memory; raise the limit (`Verify::most_rows`), or verify a sample, \
         which compares the ledger alone"
    )]
    TooManyRows {
        /// The limit.
        limit: usize,
    },
}
