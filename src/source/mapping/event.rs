//! What the mapping tells about its work.

use std::time::Duration;

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
    /// A shard that was not read to its end is not listed any more; what it still held is lost.
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
    /// done with already.
    PositionLost {
        /// The shard.
        shard: ShardId,
        /// What the service says.
        reason: String,
    },
    /// Records behind this one may have been trimmed before they were read.
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
