//! Why records cannot be handed over again.

use crate::source::mapping::{PageError, Sequence, ShardId, StreamFault};

/// Why records cannot be handed over again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// The text is something else.
    #[error("this is no failure document and no dead letter: {reason}")]
    NotRead {
        /// What is wrong with it.
        reason: String,
    },
    /// What failed was a window's last invocation, which has no records.
    #[error("the final invocation of a tumbling window has no records to hand over")]
    NoRecords,
    /// The records are not in the stream any more.
    #[error("records {first} to {last} of shard {shard} are not in the stream any more, which keeps them 24 hours")]
    Trimmed {
        /// The shard.
        shard: ShardId,
        /// The first record.
        first: Sequence,
        /// The last record.
        last: Sequence,
    },
    /// The shard does not hold all of the range.
    #[error(
        "shard {shard} has {found} of the records from {first} to {last}, and not the last one; is it the same table's stream?"
    )]
    Incomplete {
        /// The shard.
        shard: ShardId,
        /// The first record.
        first: Sequence,
        /// The last record.
        last: Sequence,
        /// How many were found.
        found: usize,
    },
    /// The stream cannot be read.
    #[error("stream {stream} cannot be read")]
    Stream {
        /// The ARN of the stream.
        stream: String,
        /// What the service says.
        source: StreamFault,
    },
    /// The payload of an object is no event.
    #[error("the payload is no event of stream records")]
    Payload(#[from] PageError),
    /// The record in a dead letter is no JSON, and no event can hold it.
    #[error("the record in the letter is no JSON, so no function can get it")]
    NotJson,
}

impl RedriveError {
    pub(super) fn not_read(reason: impl ToString) -> Self {
        Self::NotRead { reason: reason.to_string() }
    }
}
