//! The stream as its API shows it, with its limits and its faults.

use futures_util::future::{BoxFuture, FutureExt, ready};

use super::{
    StreamSimulator,
    simulator::{SimulatedShard, State},
};
use crate::source::mapping::{
    Describe, FaultKind, Position, RecordPage, Sequence, ShardId, ShardInfo, ShardPage, StreamFault, Streams,
};

/// The most bytes of a page of records.
const PAGE_BYTES: usize = 1024 * 1024;
/// How long an iterator lives.
const ITERATOR_NANOS: i64 = 15 * 60 * 1_000_000_000;

/// A call to the stream, before it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// `DescribeStream`.
    Describe,
    /// `GetShardIterator`.
    Iterator(ShardId),
    /// `GetRecords`.
    Records(ShardId),
}

/// What goes wrong with a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It fails.
    Fail(FaultKind),
    /// The page is empty although there are records (ESM-58).
    EmptyPage,
    /// There is no next iterator although the shard is open, as DynamoDB Local does.
    NoNextIterator,
}

/// How a back end differs from AWS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quirks {
    /// Whether there are iterators by time.
    pub at_timestamp: bool,
    /// What becomes of a filter for child shards.
    pub child_shards: ChildShards,
    /// Open shards have an ending sequence number.
    pub open_shards_have_an_end: bool,
    /// The most shards of a page: 100.
    pub shards_per_page: usize,
}

/// What becomes of a filter for child shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChildShards {
    /// It is heeded.
    Supported,
    /// All shards are listed.
    Ignored,
    /// The request is refused.
    Refused,
}

impl Default for Quirks {
    /// None: AWS.
    fn default() -> Self {
        Self {
            at_timestamp: true,
            child_shards: ChildShards::Supported,
            open_shards_have_an_end: false,
            shards_per_page: 100,
        }
    }
}

/// What an iterator stands for: `shard|last record before it|issued at`.
struct Iterator {
    shard: ShardId,
    after: Option<Sequence>,
    issued: i64,
}

impl Iterator {
    fn written(&self) -> String {
        format!("{}|{}|{}", self.shard, self.after.as_ref().map_or("", Sequence::as_str), self.issued)
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('|');
        let (shard, after, issued) = (parts.next()?, parts.next()?, parts.next()?);
        let after = (!after.is_empty()).then(|| after.into());
        Some(Self { shard: shard.into(), after, issued: issued.parse().ok()? })
    }
}

impl State {
    fn describe(&mut self, request: &Describe) -> Result<ShardPage, StreamFault> {
        self.fails(&Call::Describe)?;
        let mut shards: Vec<ShardInfo> = self.shards.iter().map(|shard| self.info(shard)).collect();
        if let Some(parent) = &request.children_of {
            match self.quirks.child_shards {
                ChildShards::Supported => shards.retain(|shard| shard.parent.as_ref() == Some(parent)),
                ChildShards::Ignored => {}
                ChildShards::Refused => return Err(fault(FaultKind::Invalid)),
            }
        }
        let from = request.from.as_deref();
        let first = from.map_or(0, |from| shards.iter().position(|it| &*it.id > from).unwrap_or(shards.len()));
        let mut page = shards.split_off(first);
        let more = page.len() > self.quirks.shards_per_page;
        page.truncate(self.quirks.shards_per_page);
        let next = page.last().filter(|_| more).map(|last| last.id.as_ref().to_owned());
        Ok(ShardPage { disabled: self.disabled, shards: page, next })
    }

    fn info(&self, shard: &SimulatedShard) -> ShardInfo {
        let ended = shard.closed_at.is_some() || self.quirks.open_shards_have_an_end;
        ShardInfo { id: shard.id.clone(), parent: shard.parent.clone(), ended }
    }

    fn fails(&mut self, call: &Call) -> Result<Fault, StreamFault> {
        if self.deleted {
            return Err(fault(FaultKind::NotFound));
        }
        match (self.faults)(call) {
            Fault::Fail(kind) => Err(fault(kind)),
            other => Ok(other),
        }
    }

    fn shard(&self, id: &str) -> Result<&SimulatedShard, StreamFault> {
        self.shards.iter().find(|shard| &*shard.id == id).ok_or_else(|| fault(FaultKind::NotFound))
    }

    fn iterator(&mut self, shard: &str, position: &Position) -> Result<String, StreamFault> {
        self.fails(&Call::Iterator(shard.into()))?;
        let at_timestamp = self.quirks.at_timestamp;
        let issued = self.now;
        let shard = self.shard(shard)?;
        let after = match position {
            Position::TrimHorizon => shard.trimmed_to.clone(),
            Position::Latest => shard.last(),
            Position::At(sequence) | Position::After(sequence) if shard.has_trimmed(sequence) => {
                return Err(fault(FaultKind::Trimmed));
            }
            Position::At(sequence) => shard.before(sequence),
            Position::After(sequence) => Some(sequence.clone()),
            Position::Since(_) if !at_timestamp => return Err(fault(FaultKind::Invalid)),
            Position::Since(time) => shard.last_before(time.as_nanos()),
        };
        Ok(Iterator { shard: shard.id.clone(), after, issued }.written())
    }

    fn records(&mut self, iterator: &str, limit: usize) -> Result<RecordPage, StreamFault> {
        let iterator = Iterator::read(iterator).ok_or_else(|| fault(FaultKind::Invalid))?;
        let whim = self.fails(&Call::Records(iterator.shard.clone()))?;
        if !(1..=1000).contains(&limit) {
            return Err(fault(FaultKind::Invalid));
        }
        let expired = self.now - iterator.issued > ITERATOR_NANOS || iterator.issued < self.iterators_expired_at;
        if expired {
            return Err(fault(FaultKind::Expired));
        }
        let now = self.now;
        let shard = self.shard(&iterator.shard)?;
        if shard.trimmed_to.as_ref().is_some_and(|gone| iterator.after.as_ref().is_none_or(|after| after < gone)) {
            return Err(fault(FaultKind::Trimmed));
        }
        Ok(shard.page(&iterator, limit, now, &whim))
    }
}

impl SimulatedShard {
    fn last(&self) -> Option<Sequence> {
        self.records.back().map(|(_, record)| record.sequence().clone()).or_else(|| self.trimmed_to.clone())
    }

    fn last_before(&self, time: i64) -> Option<Sequence> {
        let before = self.records.iter().take_while(|(written, _)| *written < time).last();
        before.map(|(_, record)| record.sequence().clone()).or_else(|| self.trimmed_to.clone())
    }

    fn before(&self, sequence: &Sequence) -> Option<Sequence> {
        let before = self.records.iter().take_while(|(_, record)| record.sequence() < sequence).last();
        before.map(|(_, record)| record.sequence().clone()).or_else(|| self.trimmed_to.clone())
    }

    fn has_trimmed(&self, sequence: &Sequence) -> bool {
        self.trimmed_to.as_ref().is_some_and(|gone| sequence <= gone)
    }

    fn page(&self, iterator: &Iterator, limit: usize, now: i64, whim: &Fault) -> RecordPage {
        let begin = iterator
            .after
            .as_ref()
            .map_or(0, |after| self.records.partition_point(|(_, record)| record.sequence() <= after));
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (_, record) in self.records.range(begin..).take(limit) {
            bytes += record.json().len();
            if *whim == Fault::EmptyPage || (bytes > PAGE_BYTES && !records.is_empty()) {
                break;
            }
            records.push(record.clone());
        }
        let at_end = begin + records.len() == self.records.len();
        let last = records.last().map(|record| record.sequence().clone()).or_else(|| iterator.after.clone());
        let over = (at_end && self.closed_at.is_some()) || *whim == Fault::NoNextIterator;
        let next = Iterator { shard: self.id.clone(), after: last, issued: now };
        RecordPage { records, next: (!over).then(|| next.written()) }
    }
}

fn fault(kind: FaultKind) -> StreamFault {
    StreamFault::new(kind, "says the simulator")
}

impl Streams for StreamSimulator {
    fn describe<'a>(&'a self, request: &'a Describe) -> BoxFuture<'a, Result<ShardPage, StreamFault>> {
        ready(self.lock().describe(request)).boxed()
    }

    fn iterator<'a>(&'a self, shard: &'a str, position: &'a Position) -> BoxFuture<'a, Result<String, StreamFault>> {
        ready(self.lock().iterator(shard, position)).boxed()
    }

    fn records<'a>(&'a self, iterator: &'a str, limit: usize) -> BoxFuture<'a, Result<RecordPage, StreamFault>> {
        ready(self.lock().records(iterator, limit)).boxed()
    }
}
