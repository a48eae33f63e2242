//! The stream: its shards, its records, and its time.

use std::{
    collections::VecDeque,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::api::{Call, Fault, Quirks};
use crate::{
    record::{
        Timestamp,
        wire::{ItemJson, RecordParts},
    },
    source::mapping::{Sequence, ShardId, StreamRecord},
};

/// The records of a stream have the numbers behind this one.
const BASE: u128 = 100_000_000_000_000_000_000;
/// A point in time to begin at: 2026-11-21T02:40:00Z.
const BEGINNING: i64 = 1_795_228_800_000_000_000;
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A stream whose shards split and end, whose iterators expire, and whose records are trimmed after 24 hours.
///
/// Time stands still but for [`advance`](Self::advance). Keys are spread over the open shards as partitions are: a shard
/// has a range of hashes, which its children take over.
pub struct StreamSimulator {
    state: Mutex<State>,
}

pub(super) type FaultFn = dyn FnMut(&Call) -> Fault + Send;

pub(super) struct State {
    pub(super) arn: String,
    pub(super) now: i64,
    pub(super) shards: Vec<SimulatedShard>,
    written: u64,
    pub(super) quirks: Quirks,
    pub(super) faults: Box<FaultFn>,
    pub(super) disabled: bool,
    pub(super) deleted: bool,
    pub(super) iterators_expired_at: i64,
}

pub(super) struct SimulatedShard {
    pub(super) id: ShardId,
    pub(super) parent: Option<ShardId>,
    /// The hashes of its keys: from, and up to.
    range: (u64, u64),
    pub(super) closed_at: Option<i64>,
    pub(super) records: VecDeque<(i64, StreamRecord)>,
    /// The last record that is gone.
    pub(super) trimmed_to: Option<Sequence>,
}

impl Default for StreamSimulator {
    fn default() -> Self {
        Self::new()
    }
}

impl StreamSimulator {
    /// A stream of one shard, without records, that behaves as AWS does.
    pub fn new() -> Self {
        let state = State {
            arn: "arn:aws:dynamodb:eu-west-1:123456789012:table/PetTracker/stream/2026-11-21T02:40:00.000".to_owned(),
            now: BEGINNING,
            shards: Vec::new(),
            written: 0,
            quirks: Quirks::default(),
            faults: Box::new(|_| Fault::None),
            disabled: false,
            deleted: false,
            iterators_expired_at: i64::MIN,
        };
        let stream = Self { state: Mutex::new(state) };
        stream.lock().open(None, (0, u64::MAX));
        stream
    }

    /// The ARN of the stream.
    pub fn arn(&self) -> String {
        self.lock().arn.clone()
    }

    /// The time in the stream.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.lock().now)
    }

    /// Lets time pass: iterators expire after 15 minutes, records are trimmed after 24 hours.
    pub fn advance(&self, time: Duration) {
        let mut state = self.lock();
        state.now = state.now.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
        state.trim();
    }

    /// Writes an item with this key, and answers with the number of the record, counted from 1 over the whole stream.
    pub fn put(&self, key: &str) -> u64 {
        self.put_with(key, "")
    }

    /// The same, with an attribute that holds a text, to make records large.
    pub fn put_with(&self, key: &str, text: &str) -> u64 {
        self.lock().write(key, text)
    }

    /// The ids of the shards that take new records.
    pub fn open_shards(&self) -> Vec<ShardId> {
        self.lock().shards.iter().filter(|shard| shard.closed_at.is_none()).map(|shard| shard.id.clone()).collect()
    }

    /// Which shard each record is in that is not trimmed, by the numbers of the records.
    pub fn placed(&self) -> Vec<(u64, ShardId)> {
        let state = self.lock();
        let records = |shard: &SimulatedShard| {
            let (id, records) = (shard.id.clone(), &shard.records);
            let number = |(_, record): &(i64, StreamRecord)| Self::ordinal(record.sequence().as_str());
            records.iter().map(number).map(|number| (number, id.clone())).collect::<Vec<_>>()
        };
        state.shards.iter().flat_map(records).collect()
    }

    /// How many shards there ever were and still are.
    pub fn shards(&self) -> usize {
        self.lock().shards.len()
    }

    /// Ends a shard; a new one takes its place, as happens about every four hours.
    pub fn roll(&self, shard: &str) -> ShardId {
        let mut state = self.lock();
        let range = state.close(shard);
        state.open(Some(shard.into()), range)
    }

    /// Ends a shard; two new ones share what it had.
    pub fn split(&self, shard: &str) -> [ShardId; 2] {
        let mut state = self.lock();
        let (from, to) = state.close(shard);
        let middle = from + (to - from) / 2;
        [(from, middle), (middle, to)].map(|range| state.open(Some(shard.into()), range))
    }

    /// Makes every iterator that was given out so far expire.
    pub fn expire_iterators(&self) {
        let mut state = self.lock();
        state.iterators_expired_at = state.now;
    }

    /// Trims all records that are there.
    pub fn trim_all(&self) {
        let mut state = self.lock();
        let now = state.now;
        state.shards.iter_mut().for_each(|shard| shard.trim(now.saturating_add(1)));
    }

    /// Disables the stream: its shards end, and stay readable.
    pub fn disable(&self) {
        let mut state = self.lock();
        let now = state.now;
        state.disabled = true;
        state.shards.iter_mut().for_each(|shard| shard.closed_at = shard.closed_at.or(Some(now)));
    }

    /// Deletes the stream, as deleting its table does after a while.
    pub fn delete(&self) {
        self.lock().deleted = true;
    }

    /// Behaves like another back end.
    pub fn set_quirks(&self, quirks: Quirks) {
        self.lock().quirks = quirks;
    }

    /// Asks before every call what is to go wrong.
    pub fn set_faults(&self, faults: impl FnMut(&Call) -> Fault + Send + 'static) {
        self.lock().faults = Box::new(faults);
    }

    /// The sequence number of a record, which is counted from 1 over the whole stream.
    pub fn sequence(&self, ordinal: u64) -> String {
        (BASE + u128::from(ordinal)).to_string()
    }

    /// The number of a record, counted from 1 over the whole stream.
    pub fn ordinal(sequence: &str) -> u64 {
        let number = sequence.parse::<u128>().unwrap_or(BASE);
        u64::try_from(number.saturating_sub(BASE)).unwrap_or(0)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self, parent: Option<ShardId>, range: (u64, u64)) -> ShardId {
        let (millis, number) = (self.now / 1_000_000, self.shards.last().map_or(0, |last| last.number() + 1));
        let id: ShardId = format!("shardId-{millis:020}-{number:08x}").into();
        self.shards.push(SimulatedShard {
            id: id.clone(),
            parent,
            range,
            closed_at: None,
            records: VecDeque::new(),
            trimmed_to: None,
        });
        id
    }

    fn close(&mut self, shard: &str) -> (u64, u64) {
        let now = self.now;
        let shard = self.shards.iter_mut().find(|it| &*it.id == shard && it.closed_at.is_none());
        let shard = shard.expect("only an open shard can end");
        shard.closed_at = Some(now);
        shard.range
    }

    fn write(&mut self, key: &str, text: &str) -> u64 {
        self.written += 1;
        let (now, number) = (self.now, self.written);
        let record = record(&self.arn, key, text, number, now);
        let hash = hash(key);
        let takes = |shard: &&mut SimulatedShard| shard.closed_at.is_none() && shard.has(hash);
        let shard = self.shards.iter_mut().find(takes).expect("a stream that is enabled has a shard for every key");
        shard.records.push_back((now, record));
        number
    }

    fn trim(&mut self) {
        let horizon = self.now.saturating_sub(i64::try_from(RETENTION.as_nanos()).unwrap_or(i64::MAX));
        self.shards.iter_mut().for_each(|shard| shard.trim(horizon));
        // A shard without readable records is listed no more.
        self.shards.retain(|shard| shard.closed_at.is_none_or(|closed| closed >= horizon));
    }
}

impl SimulatedShard {
    fn number(&self) -> u64 {
        self.id.rsplit('-').next().and_then(|number| u64::from_str_radix(number, 16).ok()).unwrap_or(0)
    }

    fn has(&self, hash: u64) -> bool {
        let (from, to) = self.range;
        from <= hash && (hash < to || to == u64::MAX)
    }

    fn trim(&mut self, horizon: i64) {
        while self.records.front().is_some_and(|(time, _)| *time < horizon) {
            self.trimmed_to = self.records.pop_front().map(|(_, record)| record.sequence().clone());
        }
    }
}

fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn record(arn: &str, key: &str, text: &str, number: u64, now: i64) -> StreamRecord {
    let key = serde_json::to_string(key).expect("a text is JSON");
    let keys = format!(r#"{{"PK":{{"S":{key}}}}}"#);
    let text = serde_json::to_string(text).expect("a text is JSON");
    let image = format!(r#"{{"PK":{{"S":{key}}},"n":{{"N":"{number}"}},"text":{{"S":{text}}}}}"#);
    let parts = RecordParts {
        event_id: Some(format!("{number:032x}").into()),
        event_name: Some("INSERT".into()),
        region: Some("eu-west-1".into()),
        source_arn: Some(arn.into()),
        // DynamoDB tells whole seconds.
        created_at: Some(Timestamp::from_nanos(now.div_euclid(1_000_000_000) * 1_000_000_000)),
        keys: Some(ItemJson::from_json(keys)),
        new_image: Some(ItemJson::from_json(image)),
        sequence_number: Some((BASE + u128::from(number)).to_string().into()),
        size_bytes: Some(64),
        view_type: Some("NEW_AND_OLD_IMAGES".into()),
        ..RecordParts::default()
    };
    parts.into_record().expect("a whole record").into()
}

impl fmt::Debug for StreamSimulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("StreamSimulator")
            .field("now", &Timestamp::from_nanos(state.now))
            .field("shards", &state.shards.len())
            .field("written", &state.written)
            .finish_non_exhaustive()
    }
}
