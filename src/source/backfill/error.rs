//! Why a backfill does not go on.

use crate::{
    dispatch::{Cause, DispatchError},
    handler::BoxError,
};

/// Why a slice has failed. Its cursor stands where it stood before: run it again once the cause is mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackfillError {
    /// A cursor that was made for something else. Nothing was read.
    #[error(
        "the {what} of the cursor is {cursor}, here it is {here}: resume what the cursor was made by, or begin anew"
    )]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// What the cursor says.
        cursor: String,
        /// What this backfill says.
        here: String,
    },
    /// The past cannot be read on.
    #[error("the history cannot be read")]
    History {
        /// Why not.
        source: BoxError,
    },
    /// A row stays unfinished, however often it is tried. It holds its segment up, and no other row is lost.
    #[error(
        "row {position} of a portion stays unfinished after {rounds} rounds: {cause}; mend the cause, or configure a dead letter sink, and resume"
    )]
    Stuck {
        /// Its index in the portion.
        position: usize,
        /// How often it was tried.
        rounds: u32,
        /// Why it is unfinished.
        cause: Cause,
    },
    /// The time of a slice is not enough for one portion.
    #[error("no portion was finished before the slice ended; allow a slice more time, or read smaller pages")]
    NoTime,
    /// The dispatcher refused a batch.
    #[error("a batch of rows was refused")]
    Dispatch(#[from] DispatchError),
    /// Rows are not accounted for: a defect of this crate, and a reason not to trust the target.
    #[error("{missing} rows of the segment are not accounted for; do not trust the target, and report this")]
    Unreconciled {
        /// How many: negative if some were counted twice.
        missing: i64,
    },
}
