//! How far a stream is read.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    record::Timestamp,
    source::mapping::{Checkpoint, ShardId, time},
};

/// Finished shards are remembered for so long: that they are read, and their children may be.
const MEMORY: Duration = Duration::from_secs(48 * 60 * 60);

/// Where to go on in a stream: JSON, or whatever else Serde writes.
///
/// It holds sequence numbers, not iterators, so it is as good after a night as after a second. Its checkpoints are those of a
/// [mapping](crate::source::mapping::Checkpoints), which can take over from a reader, and the other way round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderState {
    stream: String,
    checkpoints: Vec<Checkpoint>,
}

impl ReaderState {
    /// The beginning of a stream.
    pub fn new(stream_arn: impl Into<String>) -> Self {
        Self { stream: stream_arn.into(), checkpoints: Vec::new() }
    }

    /// The same with these checkpoints, such as those of a mapping.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: Vec<Checkpoint>) -> Self {
        Self { checkpoints, ..self }
    }

    /// The ARN of the stream.
    pub fn stream(&self) -> &str {
        &self.stream
    }

    /// How far each shard was read.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    fn of(&self, shard: &ShardId) -> Option<&Checkpoint> {
        self.checkpoints.iter().find(|checkpoint| checkpoint.shard == *shard)
    }

    pub(super) fn knows(&self, shard: &ShardId) -> bool {
        self.of(shard).is_some()
    }

    /// Puts checkpoints in the place of earlier ones; answers with the shards that are finished by that.
    pub(super) fn keep(&mut self, checkpoints: &[Checkpoint]) -> Vec<ShardId> {
        for checkpoint in checkpoints {
            match self.checkpoints.iter_mut().find(|kept| kept.shard == checkpoint.shard) {
                Some(kept) => kept.clone_from(checkpoint),
                None => self.checkpoints.push(checkpoint.clone()),
            }
        }
        checkpoints.iter().filter(|checkpoint| checkpoint.finished).map(|checkpoint| checkpoint.shard.clone()).collect()
    }

    /// Forgets shards that were finished so long ago that nothing of them is listed any more.
    pub(super) fn prune(&mut self, now: Timestamp) {
        let is_over = |it: &Checkpoint| time::between(Timestamp::from_nanos(it.updated_at), now) > MEMORY;
        self.checkpoints.retain(|checkpoint| !checkpoint.finished || !is_over(checkpoint));
    }
}
