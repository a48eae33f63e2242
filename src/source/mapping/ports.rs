//! What the mapping asks of the world: a stream, a function, a place for failures, a place for checkpoints, a clock.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{FailureRecord, Sequence, StreamRecord};
use crate::record::Timestamp;

/// The id of a shard.
pub type ShardId = Arc<str>;

/// Any error of an adapter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// One stream, as the API shows it.
pub trait Streams: Send + Sync + 'static {
    /// A page of its shards.
    fn describe<'a>(&'a self, request: &'a Describe) -> BoxFuture<'a, Result<ShardPage, StreamFault>>;

    /// An iterator at a position of a shard.
    fn iterator<'a>(&'a self, shard: &'a str, position: &'a Position) -> BoxFuture<'a, Result<String, StreamFault>>;

    /// The next records behind an iterator: at most `limit`, which is 1 to 1000.
    fn records<'a>(&'a self, iterator: &'a str, limit: usize) -> BoxFuture<'a, Result<RecordPage, StreamFault>>;
}

impl<S: Streams + ?Sized> Streams for Arc<S> {
    fn describe<'a>(&'a self, request: &'a Describe) -> BoxFuture<'a, Result<ShardPage, StreamFault>> {
        S::describe(self, request)
    }

    fn iterator<'a>(&'a self, shard: &'a str, position: &'a Position) -> BoxFuture<'a, Result<String, StreamFault>> {
        S::iterator(self, shard, position)
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: usize) -> BoxFuture<'a, Result<RecordPage, StreamFault>> {
        S::records(self, iterator, limit)
    }
}

/// Which shards to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Describe {
    /// Those behind this one, where a page ended.
    pub from: Option<String>,
    /// Only the children of this one (`ShardFilter` of type `CHILD_SHARDS`). Many back ends ignore or refuse it.
    pub children_of: Option<ShardId>,
}

/// A page of the shards of a stream.
#[derive(Debug, Clone, Default)]
pub struct ShardPage {
    /// Whether the stream takes no new records: it is disabled, or about to be.
    pub disabled: bool,
    /// The shards.
    pub shards: Vec<ShardInfo>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What a listing tells of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardInfo {
    /// Its id.
    pub id: ShardId,
    /// The shard that it continues.
    pub parent: Option<ShardId>,
    /// Whether it has an ending sequence number. Some back ends give open shards one.
    pub ended: bool,
}

/// A page of records.
#[derive(Debug, Clone, Default)]
pub struct RecordPage {
    /// The records, oldest first.
    pub records: Vec<StreamRecord>,
    /// The iterator of the next page; none at the end of a closed shard.
    pub next: Option<String>,
}

/// A place in a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// The oldest record that there is.
    TrimHorizon,
    /// Behind the newest record that there is.
    Latest,
    /// At a record.
    At(Sequence),
    /// Behind a record.
    After(Sequence),
    /// The first record that was created then or later (`AT_TIMESTAMP`). Few back ends know it.
    Since(Timestamp),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrimHorizon => f.write_str("the oldest record"),
            Self::Latest => f.write_str("behind the newest record"),
            Self::At(sequence) => write!(f, "at record {sequence}"),
            Self::After(sequence) => write!(f, "behind record {sequence}"),
            Self::Since(time) => write!(f, "the first record since {time}"),
        }
    }
}

/// Why the stream did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {message}")]
pub struct StreamFault {
    /// What it means for the reader.
    pub kind: FaultKind,
    /// What the service says.
    pub message: String,
}

/// What a fault means for the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FaultKind {
    /// The iterator is older than 15 minutes.
    Expired,
    /// The position is older than the stream's records.
    Trimmed,
    /// There is no such stream or shard.
    NotFound,
    /// Too many calls.
    Throttled,
    /// The request is not understood.
    Invalid,
    /// Anything else: the network, the service.
    Other,
}

impl StreamFault {
    /// A fault of a kind, with what the service says.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the iterator has expired",
            Self::Trimmed => "the position is beyond the trim horizon",
            Self::NotFound => "there is no such stream or shard",
            Self::Throttled => "throttled",
            Self::Invalid => "the request was refused",
            Self::Other => "the call failed",
        })
    }
}

/// The function behind the mapping.
pub trait Target: Send + Sync + 'static {
    /// Invokes it with an event, and waits for its answer.
    fn invoke(&self, event: Bytes) -> BoxFuture<'_, Answer>;
}

/// How an invocation ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The id of the request, if there was one.
    pub request_id: Option<String>,
    /// The version that ran: `$LATEST`, or a number behind an alias.
    pub version: Option<String>,
    /// What came of it.
    pub result: Answered,
}

/// What came of an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answered {
    /// The function returned this.
    Returned(Bytes),
    /// The function raised an error, ran out of time, or crashed: it counts as an attempt.
    Failed {
        /// What went wrong.
        reason: String,
    },
    /// The function did not run: it was throttled, or the service could not be reached. It counts as no attempt (ESM-31).
    NotRun {
        /// Why.
        reason: String,
    },
}

impl Answer {
    /// The function returned this.
    pub fn returned(body: impl Into<Bytes>) -> Self {
        Self::of(Answered::Returned(body.into()))
    }

    /// The function failed.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::of(Answered::Failed { reason: reason.into() })
    }

    /// The function did not run.
    pub fn not_run(reason: impl Into<String>) -> Self {
        Self::of(Answered::NotRun { reason: reason.into() })
    }

    /// The same, of a request with this id.
    #[must_use]
    pub fn with_request_id(self, id: impl Into<String>) -> Self {
        Self { request_id: Some(id.into()), ..self }
    }

    fn of(result: Answered) -> Self {
        Self { request_id: None, version: None, result }
    }
}

/// Where records go that are given up on: a queue, a topic, a bucket.
pub trait Destination: Send + Sync + 'static {
    /// Hands over one failure.
    fn deliver<'a>(&'a self, failure: &'a FailureRecord) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// Where positions outlive the process: per group, stream and shard.
///
/// A position never moves back: a checkpoint that is behind the kept one of its shard changes nothing, so a process that was
/// taken for dead does no harm. Otherwise a call that succeeds has saved all of its checkpoints. What was saved in one place goes on
/// in another: [`load`](Self::load) it here, and [`save`](Self::save) it there.
pub trait Checkpoints: Send + Sync + 'static {
    /// The checkpoints of a group for a stream.
    fn load<'a>(&'a self, group: &'a str, stream: &'a str) -> BoxFuture<'a, Result<Vec<Checkpoint>, BoxError>>;

    /// Keeps checkpoints, each in the place of the shard's earlier one, if that is not further.
    fn save<'a>(
        &'a self,
        group: &'a str,
        stream: &'a str,
        checkpoints: &'a [Checkpoint],
    ) -> BoxFuture<'a, Result<(), BoxError>>;
}

/// How far a shard is done with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The shard.
    #[serde(serialize_with = "write_shard", deserialize_with = "read_shard")]
    pub shard: ShardId,
    /// The last record of which it and all before it are done with.
    pub sequence: Option<Sequence>,
    /// Whether the shard was read to its end and all of it is done with.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub finished: bool,
    /// Where there is no sequence number yet: records created before this time are not wanted. Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// When the reader last stood at the shard's tip with nothing before it undone; where there is no sequence number yet, when the
    /// shard was found if that is all there is to tell. Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle_at: Option<i64>,
    /// The tumbling window that is open at this position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<WindowState>,
    /// When the mapping began, in the checkpoints of its first save, which may have been cut off, and then in all until the rest of it is
    /// made up for: as long as all that are kept say so, a shard without one begins as it would have begun then. Nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beginning: Option<i64>,
    /// When it was taken. Nanoseconds since 1970.
    pub updated_at: i64,
}

impl Checkpoint {
    /// How far it is. Nothing comes behind the end of a shard.
    pub(super) fn rank(&self) -> (bool, Option<&Sequence>) {
        (self.finished, self.sequence.as_ref())
    }

    /// When nothing before the position was undone. Without a position, that is as long ago as is known.
    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        let begun = || self.since.unwrap_or(self.updated_at);
        let idle_at = self.idle_at.or_else(|| self.sequence.is_none().then(begun));
        idle_at.map(Timestamp::from_nanos)
    }
}

fn write_shard<S: Serializer>(shard: &ShardId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(shard)
}

fn read_shard<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ShardId, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

/// A tumbling window between two invocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowState {
    /// Its beginning, in seconds since 1970.
    pub start: i64,
    /// What the last invocation returned as its state: JSON.
    pub state: String,
}

/// The time, and waiting for it.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Waits until then.
    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()>;
}
