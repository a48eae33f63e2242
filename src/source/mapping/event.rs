//! What the mapping tells about its work.

use std::{fmt, time::Duration};

use super::{Condition, Position, Sequence, ShardId};

/// Something that happened, for logs and status lines. No event holds contents of items.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A shard was found.
    ShardFound {
        /// The shard.
        shard: ShardId,
        /// The shard that it continues.
        parent: Option<ShardId>,
    },
    /// A shard is read from here on.
    ShardStarted {
        /// The shard.
        shard: ShardId,
        /// Where it is read from.
        position: Position,
    },
    /// A shard was read to its end and all of it is done with.
    ShardFinished {
        /// The shard.
        shard: ShardId,
    },
    /// A shard that was not read to its end is not listed any more; if it may have held anything, a [`Gap`](Self::Gap) follows.
    ShardGone {
        /// The shard.
        shard: ShardId,
    },
    /// The back end said that a shard had ended, but lists it as open: reading goes on.
    ShardReopened {
        /// The shard.
        shard: ShardId,
    },
    /// An iterator was too old and is fetched again.
    IteratorExpired {
        /// The shard.
        shard: ShardId,
    },
    /// The back end does not know a position or an iterator; the shard is read from its oldest record, without what is
    /// done with already. If that record may not be the next one, a [`Gap`](Self::Gap) follows.
    PositionLost {
        /// The shard.
        shard: ShardId,
        /// What the service says.
        reason: String,
    },
    /// Records behind this one, or before the first one that is read, may have been trimmed before they were.
    Gap {
        /// The shard.
        shard: ShardId,
        /// The last record that was read.
        after: Option<Sequence>,
    },
    /// A call to the stream failed and is repeated.
    ReadFailed {
        /// The shard, or none if shards cannot be listed.
        shard: Option<ShardId>,
        /// What the service says.
        reason: String,
        /// When it is repeated.
        wait: Duration,
    },
    /// There is no such stream (any more). The mapping stays enabled and looks again (ESM-5).
    StreamGone,
    /// The stream is disabled and all of it was read: there is nothing more to come under this ARN (ESM-56).
    StreamEnded,
    /// The function is invoked.
    Invoked {
        /// The shard.
        shard: ShardId,
        /// The lane of the shard, from 0.
        lane: usize,
        /// How many records the batch has; none in the final invocation of a window.
        records: usize,
        /// Which attempt at exactly this batch, from 1.
        attempt: u32,
    },
    /// Records were handled.
    Handled {
        /// The shard.
        shard: ShardId,
        /// How many.
        records: usize,
        /// How old the last of them is: the metric `IteratorAge` (ESM-59).
        age: Duration,
    },
    /// An invocation failed.
    Failed {
        /// The shard.
        shard: ShardId,
        /// How many records are affected.
        records: usize,
        /// Why.
        reason: String,
        /// What becomes of them.
        next: Next,
    },
    /// Records were given up on.
    Discarded {
        /// The shard.
        shard: ShardId,
        /// How many; none for the final invocation of a window.
        records: usize,
        /// Why.
        condition: Condition,
    },
    /// The failure destination took a document, or not: then it is lost (ESM-46).
    Reported {
        /// The shard.
        shard: ShardId,
        /// Why it was not taken.
        refused: Option<String>,
    },
    /// Checkpoints could not be loaded or saved; it is tried again.
    CheckpointsFailed {
        /// What the store says.
        reason: String,
    },
}

/// What becomes of a batch that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// It is tried again after a wait.
    Retry {
        /// How long.
        wait: Duration,
    },
    /// It is tried again in two parts.
    Split {
        /// How many records the first part has.
        first: usize,
    },
    /// What is behind the first failed record is a batch of its own.
    Remainder,
    /// It is given up on.
    Discard,
}

/// What was counted since the mapping began: the `EventCount` metrics of Lambda, and more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Records read: `PolledEventCount`.
    pub polled: u64,
    /// Records that the filter declined: `FilteredOutEventCount`.
    pub filtered_out: u64,
    /// Records that the function got, each once: `InvokedEventCount`.
    pub invoked: u64,
    /// Records in failed invocations that were not tried again: `FailedInvokeEventCount`.
    pub failed_invoke: u64,
    /// Records lost because the failure destination did not take them: `DroppedEventCount`. Without a destination, nothing
    /// counts what is lost (ESM-45).
    pub dropped: u64,
    /// Records that the destination was told of: `OnFailureDestinationDeliveredEventCount`.
    pub delivered_on_failure: u64,
    /// Documents that it refused: `DestinationDeliveryFailures`.
    pub destination_failures: u64,
    /// Invocations.
    pub invocations: u64,
    /// Invocations that repeated a batch.
    pub retries: u64,
    /// Records given up on.
    pub discarded: u64,
}

impl Event {
    /// The lower-case word used in logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ShardFound { .. } => "shard_found",
            Self::ShardStarted { .. } => "shard_started",
            Self::ShardFinished { .. } => "shard_finished",
            Self::ShardGone { .. } => "shard_gone",
            Self::ShardReopened { .. } => "shard_reopened",
            Self::IteratorExpired { .. } => "iterator_expired",
            Self::PositionLost { .. } => "position_lost",
            Self::Gap { .. } => "gap",
            Self::ReadFailed { .. } => "read_failed",
            Self::StreamGone => "stream_gone",
            Self::StreamEnded => "stream_ended",
            Self::Invoked { .. } => "invoked",
            Self::Handled { .. } => "handled",
            Self::Failed { .. } => "failed",
            Self::Discarded { .. } => "discarded",
            Self::Reported { .. } => "reported",
            Self::CheckpointsFailed { .. } => "checkpoints_failed",
        }
    }

    /// The shard that it is about, if it is about one.
    pub fn shard(&self) -> Option<&ShardId> {
        match self {
            Self::StreamGone | Self::StreamEnded | Self::CheckpointsFailed { .. } => None,
            Self::ReadFailed { shard, .. } => shard.as_ref(),
            Self::ShardFound { shard, .. }
            | Self::ShardStarted { shard, .. }
            | Self::ShardFinished { shard }
            | Self::ShardGone { shard }
            | Self::ShardReopened { shard }
            | Self::IteratorExpired { shard }
            | Self::PositionLost { shard, .. }
            | Self::Gap { shard, .. }
            | Self::Invoked { shard, .. }
            | Self::Handled { shard, .. }
            | Self::Failed { shard, .. }
            | Self::Discarded { shard, .. }
            | Self::Reported { shard, .. } => Some(shard),
        }
    }
}

/// What happened, in a few words; the shard is left to [`Event::shard`].
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShardFound { parent: None, .. } => f.write_str("shard found"),
            Self::ShardFound { parent: Some(parent), .. } => write!(f, "shard found, a child of {parent}"),
            Self::ShardStarted { position, .. } => write!(f, "reading from {position}"),
            Self::ShardFinished { .. } => f.write_str("shard finished"),
            Self::ShardGone { .. } => f.write_str("shard gone before it was seen to end"),
            Self::ShardReopened { .. } => f.write_str("shard was said to have ended, but goes on"),
            Self::IteratorExpired { .. } => f.write_str("iterator expired; fetching another"),
            Self::PositionLost { reason, .. } => write!(f, "position lost ({reason}); reading from the oldest record"),
            Self::Gap { after: Some(after), .. } => write!(f, "records behind {after} may be lost: they were trimmed"),
            Self::Gap { after: None, .. } => f.write_str("records may be lost: they were trimmed"),
            Self::ReadFailed { reason, wait, .. } => write!(f, "reading failed, again in {wait:?}: {reason}"),
            Self::StreamGone => f.write_str("there is no such stream"),
            Self::StreamEnded => f.write_str("the stream is disabled and done with"),
            Self::Invoked { records, attempt, .. } => write!(f, "invoked with {records} records, attempt {attempt}"),
            Self::Handled { records, age, .. } => write!(f, "{records} records handled, the last {age:.1?} old"),
            Self::Failed { records, reason, next, .. } => write!(f, "{records} records failed, {next}: {reason}"),
            Self::Discarded { records, condition, .. } => write!(f, "{records} records given up on: {condition:?}"),
            Self::Reported { refused: None, .. } => f.write_str("the failure destination was told"),
            Self::Reported { refused: Some(reason), .. } => {
                write!(f, "the failure destination refused, and nobody is told: {reason}")
            }
            Self::CheckpointsFailed { reason } => write!(f, "positions cannot be loaded or saved: {reason}"),
        }
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry { wait } => write!(f, "again in {wait:?}"),
            Self::Split { first } => write!(f, "again in two parts, the first of {first}"),
            Self::Remainder => f.write_str("again from the first failed one"),
            Self::Discard => f.write_str("given up on"),
        }
    }
}
