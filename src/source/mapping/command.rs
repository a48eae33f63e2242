//! What the machine asks for, and what it is told.

use bytes::Bytes;

use super::{
    Checkpoint, Describe, FailureRecord, ShardId, ShardPage, StreamFault,
    ports::{Answer, Position, RecordPage},
    shard::Wish,
};

/// What the mapping wants to have done.
#[derive(Debug)]
pub enum Command {
    /// Load the checkpoints.
    Load,
    /// List shards.
    Describe(Describe),
    /// Get an iterator.
    Iterator {
        /// The shard.
        shard: ShardId,
        /// Where it begins.
        position: Position,
    },
    /// Get records.
    Read {
        /// The shard.
        shard: ShardId,
        /// The iterator.
        iterator: String,
        /// The most records: 1 to 1000.
        limit: usize,
    },
    /// Invoke the function.
    Invoke {
        /// The shard.
        shard: ShardId,
        /// The lane of the shard.
        lane: usize,
        /// The event.
        event: Bytes,
    },
    /// Tell the failure destination.
    Report {
        /// The shard.
        shard: ShardId,
        /// The lane of the shard.
        lane: usize,
        /// What was given up on.
        failure: Box<FailureRecord>,
    },
    /// Save these checkpoints. If the process dies meanwhile, some of them may be saved.
    Save(Vec<Checkpoint>),
}

/// The answer to a [`Command`].
#[derive(Debug)]
pub enum Reply {
    /// To [`Command::Load`].
    Loaded(Result<Vec<Checkpoint>, String>),
    /// To [`Command::Describe`].
    Described(Describe, Result<ShardPage, StreamFault>),
    /// To [`Command::Iterator`].
    Iterator(ShardId, Result<String, StreamFault>),
    /// To [`Command::Read`], with the iterator that was used.
    Records(ShardId, String, Result<RecordPage, StreamFault>),
    /// To [`Command::Invoke`].
    Answered(ShardId, usize, Answer),
    /// To [`Command::Report`]: why the destination refused, if it did.
    Reported(ShardId, usize, Option<String>),
    /// To [`Command::Save`]: the same checkpoints, and why they are not saved, if they are not.
    Saved(Vec<Checkpoint>, Option<String>),
}

/// Why a mapping cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MappingError {
    /// Records were trimmed before they were read, and the policy is to fail.
    #[error(
        "records of shard {shard} of stream {stream} may have been trimmed before they were read; once what they changed is \
         mended, one run with the policy to continue accepts it"
    )]
    Trimmed {
        /// The stream.
        stream: String,
        /// The shard.
        shard: ShardId,
    },
    /// It was stopped, and the positions cannot be saved: what was done since the last time is delivered again.
    #[error("the positions in stream {stream} cannot be saved")]
    NotSaved {
        /// The stream.
        stream: String,
    },
}

/// How the last invocations went, in the words of the mapping API (ESM-1, ESM-2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ProcessingResult {
    /// There were none.
    #[default]
    NoRecords,
    /// The last one succeeded.
    Ok,
    /// The last one failed.
    Problem,
}

impl ProcessingResult {
    /// `No records processed`, `OK`, or `PROBLEM: Function call failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoRecords => "No records processed",
            Self::Ok => "OK",
            Self::Problem => "PROBLEM: Function call failed",
        }
    }
}

impl Command {
    /// What a shard wishes.
    pub(super) fn of(shard: ShardId, wish: Wish) -> Self {
        match wish {
            Wish::Iterator(position) => Self::Iterator { shard, position },
            Wish::Read { iterator, limit } => Self::Read { shard, iterator, limit },
            Wish::Invoke { lane, payload } => Self::Invoke { shard, lane, event: payload },
            Wish::Report { lane, failure } => Self::Report { shard, lane, failure },
        }
    }
}
