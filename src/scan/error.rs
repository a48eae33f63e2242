//! Why a scan failed, and where it stood.

use std::{error::Error, fmt};

use super::{Cursor, CursorMismatch};
use crate::{
    aws::{AwsFailure, FailureKind},
    record::{DecodeError, PageError, RawImage},
};

/// Why a scan or a query failed, and by its kind what to do about it.
///
/// Those that come of a request say [where](Self::cursor) the segment stood: nothing behind that cursor was handed out by this
/// segment. Names tables and attributes, never what is in them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScanError {
    /// A setting that no request can have. Nothing was asked for.
    #[error("{setting} is {value}, and has to be {expected}")]
    Setting {
        /// Which setting.
        setting: &'static str,
        /// What it is.
        value: u64,
        /// What it may be.
        expected: &'static str,
    },
    /// A consistent read of a global index. Nothing was asked for.
    #[error(
        "index `{index}` cannot be read consistently: a global secondary index follows its table a moment later; \
         read the table, or drop `consistent`, or if the index is a local one name it with `local_index`"
    )]
    ConsistentIndex {
        /// The index.
        index: String,
    },
    /// A value of an expression that is no attribute value. Nothing was asked for.
    #[error("the value of `{name}` cannot be written as an attribute value")]
    Value {
        /// Its name in the expression.
        name: String,
    },
    /// A cursor that another request made. Nothing was asked for.
    #[error(transparent)]
    Cursor(#[from] CursorMismatch),
    /// The table stays throttled, though the scan went slower and slower.
    #[error("{cursor} is throttled after {rounds} pauses; raise the table's capacity, or lower the rate")]
    Throttled {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// How often it was tried.
        rounds: u32,
        /// What the service said.
        source: AwsFailure,
    },
    /// There is no such table or index where the client looks for it.
    #[error("{cursor} does not exist; correct the name of table or index, the region or the account")]
    NoSuchTable {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What the service said.
        source: AwsFailure,
    },
    /// The credentials are missing, expired, or do not allow the action.
    #[error(
        "access to {cursor} is denied; allow `dynamodb:Scan` or `dynamodb:Query` on the table and its indexes, and \
         `dynamodb:DescribeTable` for a projection without `keys`"
    )]
    Denied {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What the service said.
        source: AwsFailure,
    },
    /// The service refuses the request: see what it says of filter, key condition, projection or cursor.
    #[error("the request for {cursor} is refused")]
    Refused {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What the service said.
        source: AwsFailure,
    },
    /// The service or the way to it failed, and the SDK has given up trying again.
    #[error("the request for {cursor} failed")]
    Failed {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What is known of it.
        source: AwsFailure,
    },
    /// The answer is no page.
    #[error("the page of {cursor} cannot be read")]
    Page {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What is wrong with it.
        source: PageError,
    },
    /// The key that a page ends with cannot be read.
    #[error("the last key of a page of {cursor} cannot be read")]
    LastKey {
        /// Where the segment stood.
        cursor: Box<Cursor>,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// A page ends at a key where one ended before: reading on would go round in circles.
    #[error(
        "{cursor} was led back to a key that it has passed already; the answer is not this table's, or is an old one"
    )]
    RepeatedKey {
        /// Where the segment stood.
        cursor: Box<Cursor>,
    },
    /// One item does not decode. A stream goes on behind it.
    #[error(transparent)]
    Item(Box<ItemError>),
    /// What was made of the items failed.
    #[error("the consumer of the scan failed")]
    Consumer {
        /// What it says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ScanError {
    /// What a failed request means for the segment that stood at `cursor`.
    pub(super) fn of(failure: AwsFailure, cursor: &Cursor, rounds: u32) -> Self {
        let (kind, source, cursor) = (failure.kind(), failure, Box::new(cursor.clone()));
        match kind {
            FailureKind::Throttled => Self::Throttled { cursor, rounds, source },
            FailureKind::Missing => Self::NoSuchTable { cursor, source },
            FailureKind::Denied => Self::Denied { cursor, source },
            FailureKind::Invalid => Self::Refused { cursor, source },
            FailureKind::Other => Self::Failed { cursor, source },
        }
    }

    /// Where the segment that failed stood: resume there.
    pub fn cursor(&self) -> Option<&Cursor> {
        match self {
            Self::Throttled { cursor, .. }
            | Self::NoSuchTable { cursor, .. }
            | Self::Denied { cursor, .. }
            | Self::Refused { cursor, .. }
            | Self::Failed { cursor, .. }
            | Self::Page { cursor, .. }
            | Self::LastKey { cursor, .. }
            | Self::RepeatedKey { cursor } => Some(cursor),
            _ => None,
        }
    }

    /// The one item that failed, if it is only that: the stream goes on.
    pub fn item(&self) -> Option<&ItemError> {
        if let Self::Item(error) = self { Some(error) } else { None }
    }
}

impl From<ItemError> for ScanError {
    fn from(error: ItemError) -> Self {
        Self::Item(Box::new(error))
    }
}

/// An item that does not decode, kept whole: for a dead letter, or to be read as something else.
///
/// `Display` and `Debug` show path and reason, not the item.
#[derive(thiserror::Error)]
#[error("an item does not decode")]
pub struct ItemError {
    item: RawImage,
    source: DecodeError,
}

impl ItemError {
    pub(super) fn new(item: RawImage, source: DecodeError) -> Self {
        Self { item, source }
    }

    /// The item as it came.
    pub fn raw(&self) -> &RawImage {
        &self.item
    }

    /// What is wrong, with the path in the page, such as `Items[3].weightKg.S`.
    pub fn error(&self) -> &DecodeError {
        &self.source
    }
}

impl fmt::Debug for ItemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemError").field(&self.source).finish()
    }
}
