//! Positions in memory.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{BoxFuture, FutureExt, ready};

use crate::source::mapping::{BoxError, Checkpoint, Checkpoints, ShardId};

/// Keeps checkpoints as long as the process lives.
#[derive(Debug, Default)]
pub struct MemoryCheckpoints {
    kept: Mutex<Kept>,
}

/// By group and stream.
pub(super) type Kept = BTreeMap<(String, String), BTreeMap<ShardId, Checkpoint>>;

/// Puts checkpoints in the place of earlier ones that are not further.
pub(super) fn put(kept: &mut Kept, group: &str, stream: &str, checkpoints: &[Checkpoint]) {
    if checkpoints.is_empty() {
        return;
    }
    let shards = kept.entry((group.to_owned(), stream.to_owned())).or_default();
    for checkpoint in checkpoints {
        if shards.get(&checkpoint.shard).is_none_or(|kept| kept.rank() <= checkpoint.rank()) {
            shards.insert(checkpoint.shard.clone(), checkpoint.clone());
        }
    }
}

pub(super) fn get(kept: &Kept, group: &str, stream: &str) -> Vec<Checkpoint> {
    let shards = kept.get(&(group.to_owned(), stream.to_owned()));
    shards.map(|shards| shards.values().cloned().collect()).unwrap_or_default()
}

impl MemoryCheckpoints {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Checkpoints for MemoryCheckpoints {
    fn load<'a>(&'a self, group: &'a str, stream: &'a str) -> BoxFuture<'a, Result<Vec<Checkpoint>, BoxError>> {
        ready(Ok(get(&self.lock(), group, stream))).boxed()
    }

    fn save<'a>(
        &'a self,
        group: &'a str,
        stream: &'a str,
        checkpoints: &'a [Checkpoint],
    ) -> BoxFuture<'a, Result<(), BoxError>> {
        put(&mut self.lock(), group, stream, checkpoints);
        ready(Ok(())).boxed()
    }
}
