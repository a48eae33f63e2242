//! Calls that failed and are repeated.

use std::collections::BTreeMap;

use super::ReaderError;
use crate::source::mapping::{FaultKind, Reply, ShardId, StreamFault};

/// So often in a row a call may fail.
const PATIENCE: u32 = 5;

/// What failed last, and how often in a row: per shard, and for the listing.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    open: BTreeMap<Option<ShardId>, (u32, StreamFault)>,
}

impl Trouble {
    pub(super) fn forget(&mut self) {
        self.open.clear();
    }

    pub(super) fn is_there(&self) -> bool {
        !self.open.is_empty()
    }

    /// A shard that is not read any more troubles nobody.
    pub(super) fn settle(&mut self, shard: &ShardId) {
        self.open.remove(&Some(shard.clone()));
    }

    /// Only records end a shard's trouble: an iterator alone is no progress.
    pub(super) fn note(&mut self, reply: &Reply) {
        let (about, fault) = match reply {
            Reply::Described(_, answer) => (None, answer.as_ref().err()),
            Reply::Iterator(_, Ok(_)) => return,
            Reply::Iterator(shard, answer) => (Some(shard.clone()), answer.as_ref().err()),
            Reply::Records(shard, _, answer) => (Some(shard.clone()), answer.as_ref().err()),
            _ => return,
        };
        match fault {
            Some(fault) => {
                let count = self.open.get(&about).map_or(0, |(count, _)| *count);
                self.open.insert(about, (count + 1, fault.clone()));
            }
            None => drop(self.open.remove(&about)),
        }
    }

    /// Whether it is worth going on.
    pub(super) fn check(&self, stream: &str) -> Result<(), ReaderError> {
        let is_gone = |(_, fault): &(u32, StreamFault)| fault.kind == FaultKind::NotFound;
        if self.open.get(&None).is_some_and(is_gone) {
            return Err(ReaderError::Gone { stream: stream.to_owned() });
        }
        match self.open.iter().find(|(_, (count, _))| *count >= PATIENCE) {
            Some((shard, (_, fault))) => {
                Err(ReaderError::Failed { stream: stream.to_owned(), shard: shard.clone(), source: fault.clone() })
            }
            None => Ok(()),
        }
    }
}
