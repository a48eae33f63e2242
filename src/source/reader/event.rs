//! What a fetch tells.

use bytes::Bytes;

use crate::{
    record::{EventName, RawRecord, UnreadableRecord, split},
    source::mapping::{Sequence, ShardId},
};

/// Something that happened in a stream.
#[derive(Debug)]
#[non_exhaustive]
pub enum StreamEvent {
    /// An item was written where there was none: it is in the new image.
    Insert(RawRecord),
    /// An item was changed: it is in the new image, and as it was in the old one.
    Modify(RawRecord),
    /// An item was deleted: what it was is in the old image.
    Remove(RawRecord),
    /// A record that cannot be read; it is behind us all the same.
    Unreadable(UnreadableRecord),
    /// Shards were found, and are read from now on.
    NewShards(Vec<ShardId>),
    /// Shards were read to their end, or are not there any more.
    RemovedShards(Vec<ShardId>),
    /// Records of a shard may be lost: they were trimmed before they were read.
    Gap {
        /// The shard.
        shard: ShardId,
        /// The last record that was read.
        after: Option<Sequence>,
    },
    /// The stream is disabled and read to its end: nothing more will come.
    Ended,
}

impl StreamEvent {
    /// The record, if it is one that can be read.
    pub fn record(&self) -> Option<&RawRecord> {
        match self {
            Self::Insert(record) | Self::Modify(record) | Self::Remove(record) => Some(record),
            _ => None,
        }
    }

    /// The records of an event of the mapping's own making.
    pub(super) fn of_records(event: Bytes) -> impl Iterator<Item = Self> {
        split(event).expect("the mapping writes events").map(|record| match record {
            Ok(record) => match record.event_name() {
                EventName::Insert => Self::Insert(record),
                EventName::Modify => Self::Modify(record),
                EventName::Remove => Self::Remove(record),
            },
            Err(record) => Self::Unreadable(record),
        })
    }

    /// Takes note of a shard, together with those found just before.
    pub(super) fn added(events: &mut Vec<Self>, shard: ShardId) {
        match events.last_mut() {
            Some(Self::NewShards(shards)) => shards.push(shard),
            _ => events.push(Self::NewShards(vec![shard])),
        }
    }

    /// Takes note of a shard, together with those that went just before.
    pub(super) fn removed(events: &mut Vec<Self>, shard: ShardId) {
        match events.last_mut() {
            Some(Self::RemovedShards(shards)) => shards.push(shard),
            _ => events.push(Self::RemovedShards(vec![shard])),
        }
    }
}
