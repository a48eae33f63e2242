//! The mapping as a state machine: it says what is to be done and takes the answers; it does nothing itself.

mod listing;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Checkpoint, Event, Metrics, Settings, ShardId,
    command::{Command, MappingError, ProcessingResult, Reply},
    discovery::Discovery,
    ports::Position,
    reader::backoff,
    shard::{End, Shard, World},
    time,
};
use crate::record::Timestamp;
use listing::Waiting;

/// An event source mapping: one stream, one function.
///
/// [`poll`](Self::poll) it for commands, [`handle`](Self::handle) their replies in any order, and come back at
/// [`wake`](Self::wake) at the latest. Time is what the caller says it is. [`Mapping`](super::Mapping) runs it on the
/// system's clock; tests run it on a clock of their own.
pub struct Machine {
    settings: Settings,
    stream: String,
    /// Checkpoints of shards that were not listed yet; none before they are loaded.
    kept: Option<BTreeMap<ShardId, Checkpoint>>,
    loading: bool,
    /// No checkpoint was found, or some of a first save: the starting position is for the shards of the first listing.
    fresh: bool,
    /// When the mapping began, until everything that begins by it is known to be saved.
    beginning: Option<Timestamp>,
    discovery: Discovery,
    /// Listings that came to their end.
    listed: u64,
    waiting: BTreeMap<ShardId, Waiting>,
    active: Vec<Shard>,
    index: HashMap<ShardId, usize>,
    turn: usize,
    /// For each shard that may have ended, how many listings had begun before.
    doubts: BTreeMap<ShardId, u64>,
    finished: BTreeMap<ShardId, Timestamp>,
    /// Shards that were skipped, to be saved as finished.
    skipped: Vec<Checkpoint>,
    dirty: BTreeSet<ShardId>,
    saving: bool,
    at: Timestamp,
    store_failures: u32,
    enabled: bool,
    released: bool,
    stream_gone: bool,
    disabled_stream: bool,
    told_end: bool,
    failure: Option<MappingError>,
    result: ProcessingResult,
    metrics: Metrics,
    events: Vec<Event>,
}

impl Machine {
    /// A mapping of a stream, which begins by loading its checkpoints.
    pub fn new(settings: Settings, stream_arn: impl Into<String>) -> Self {
        let discovery = Discovery::new(settings.discovery_interval);
        Self {
            settings,
            stream: stream_arn.into(),
            kept: None,
            loading: false,
            fresh: false,
            beginning: None,
            discovery,
            listed: 0,
            waiting: BTreeMap::new(),
            active: Vec::new(),
            index: HashMap::new(),
            turn: 0,
            doubts: BTreeMap::new(),
            finished: BTreeMap::new(),
            skipped: Vec::new(),
            dirty: BTreeSet::new(),
            saving: false,
            at: Timestamp::from_nanos(i64::MIN),
            store_failures: 0,
            enabled: true,
            released: false,
            stream_gone: false,
            disabled_stream: false,
            told_end: false,
            failure: None,
            result: ProcessingResult::default(),
            metrics: Metrics::default(),
            events: Vec::new(),
        }
    }

    /// What is to be done now; call it until it has nothing more.
    pub fn poll(&mut self, now: Timestamp) -> Option<Command> {
        if self.kept.is_none() {
            return self.load(now);
        }
        if let Some(command) = self.save(now) {
            return Some(command);
        }
        if !self.enabled || self.failure.is_some() {
            self.release();
            return None;
        }
        self.released = false;
        self.discovery.ask(now).map(Command::Describe).or_else(|| self.poll_shards(now))
    }

    /// When to poll again although nothing was answered. It may have passed.
    pub fn wake(&self) -> Option<Timestamp> {
        let store = (self.kept.is_none() && !self.loading) || (self.has_unsaved() && !self.saving);
        let store = store.then_some(self.at);
        if !self.enabled || self.failure.is_some() || self.kept.is_none() {
            return store;
        }
        let shards = self.active.iter().filter_map(|shard| shard.wake(&self.settings));
        shards.chain(store).chain(self.discovery.wake()).min()
    }

    /// Stops: nothing new is begun, and once nothing is in flight, what is unfinished is released. Positions stay (ESM-4).
    pub fn disable(&mut self) {
        self.enabled = false;
    }

    /// Goes on where it was stopped (ESM-4).
    pub fn enable(&mut self) {
        self.enabled = true;
    }

    /// Whether nothing is under way and every position is saved: after [`disable`](Self::disable), time to go.
    pub fn is_quiet(&self) -> bool {
        let stopped = !self.enabled || self.failure.is_some();
        stopped && self.in_flight() == 0 && !self.loading && !self.saving && !self.has_unsaved()
    }

    /// Calls that were not answered, other than to the checkpoints.
    pub fn in_flight(&self) -> usize {
        self.active.iter().map(Shard::in_flight).sum::<usize>() + usize::from(self.discovery.is_busy())
    }

    /// Somebody asks now: whatever only waits for the time to look again looks at once.
    pub(in crate::source) fn hurry(&mut self, now: Timestamp) {
        self.discovery.hurry(now);
        self.active.iter_mut().for_each(|shard| shard.hurry(now));
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// What was counted.
    pub fn metrics(&self) -> Metrics {
        self.metrics
    }

    /// How the last invocation went.
    pub fn last_processing_result(&self) -> ProcessingResult {
        self.result
    }

    /// Why it cannot go on, if it cannot.
    pub fn failure(&self) -> Option<&MappingError> {
        self.failure.as_ref()
    }

    /// The shards that are read, and how far each is done with.
    pub fn positions(&self) -> impl Iterator<Item = (&ShardId, Position)> {
        self.active.iter().map(|shard| (shard.id(), shard.position()))
    }

    /// Whether the stream is disabled and everything in it is done with.
    pub fn has_ended(&self) -> bool {
        self.disabled_stream && self.active.is_empty() && self.waiting.is_empty()
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn load(&mut self, now: Timestamp) -> Option<Command> {
        let ask = !self.loading && now >= self.at;
        self.loading |= ask;
        ask.then_some(Command::Load)
    }

    fn has_unsaved(&self) -> bool {
        !self.dirty.is_empty() || !self.skipped.is_empty()
    }

    fn save(&mut self, now: Timestamp) -> Option<Command> {
        if self.saving || !self.has_unsaved() || now < self.at {
            return None;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let beginning = self.beginning.map(Timestamp::as_nanos);
        let unsaved = dirty.iter().filter_map(|id| self.active[*self.index.get(id)?].unsaved(now, beginning));
        let skipped = self.skipped.drain(..).map(|it| Checkpoint { beginning, ..it });
        let mut checkpoints: Vec<_> = unsaved.chain(skipped).collect();
        if let [only] = &mut checkpoints[..]
            && !self.awaits_beginning()
        {
            // It is saved, or it is not.
            only.beginning = None;
        }
        self.saving = !checkpoints.is_empty();
        self.saving.then_some(Command::Save(checkpoints))
    }

    fn poll_shards(&mut self, now: Timestamp) -> Option<Command> {
        for _ in 0..self.active.len() {
            self.turn = (self.turn + 1) % self.active.len();
            let index = self.turn;
            let (active, mut world) = self.world(now);
            let shard = &mut active[index];
            if let Some(wish) = shard.poll(&mut world) {
                let id = shard.id().clone();
                self.dirty.insert(id.clone());
                return Some(Command::of(id, wish));
            }
        }
        None
    }

    fn world(&mut self, now: Timestamp) -> (&mut [Shard], World<'_>) {
        let world = World {
            now,
            settings: &self.settings,
            stream: &self.stream,
            metrics: &mut self.metrics,
            events: &mut self.events,
        };
        (&mut self.active, world)
    }

    fn release(&mut self) {
        if !self.released && self.in_flight() == 0 {
            self.released = true;
            self.active.iter_mut().for_each(Shard::release);
            self.doubts.clear();
        }
    }

    /// Takes the reply to a command.
    pub fn handle(&mut self, now: Timestamp, reply: Reply) {
        match reply {
            Reply::Loaded(answer) => self.loaded(now, answer),
            Reply::Saved(checkpoints, None) => self.saved(now, checkpoints),
            Reply::Saved(checkpoints, Some(reason)) => self.not_saved(now, checkpoints, reason),
            Reply::Described(request, answer) => {
                let found = self.discovery.answer(now, &request, answer);
                self.found(now, found);
            }
            Reply::Iterator(shard, answer) => {
                self.with_shard(now, &shard, |shard, world| shard.iterator(answer, world));
            }
            Reply::Records(shard, used, answer) => {
                self.with_shard(now, &shard, |shard, world| shard.records(&used, answer, world));
            }
            Reply::Answered(shard, lane, answer) => {
                let before = self.events.len();
                self.with_shard(now, &shard, |shard, world| {
                    shard.answered(lane, &answer, world);
                    false
                });
                self.judge(before);
            }
            Reply::Reported(shard, lane, refused) => {
                self.with_shard(now, &shard, |shard, world| {
                    shard.reported(lane, refused, world);
                    false
                });
            }
        }
    }

    fn judge(&mut self, before: usize) {
        for event in &self.events[before..] {
            match event {
                Event::Handled { .. } => self.result = ProcessingResult::Ok,
                Event::Failed { .. } => self.result = ProcessingResult::Problem,
                _ => {}
            }
        }
    }

    /// Does something with a shard, which may find that records are missing.
    fn with_shard(&mut self, now: Timestamp, id: &ShardId, work: impl FnOnce(&mut Shard, &mut World<'_>) -> bool) {
        let Some(index) = self.index.get(id).copied() else { return };
        let (active, mut world) = self.world(now);
        let shard = &mut active[index];
        let before = shard.end;
        let gap = work(shard, &mut world);
        let doubtful = shard.end != before && matches!(shard.end, End::Doubtful(_));
        self.dirty.insert(id.clone());
        if doubtful {
            self.doubts.insert(id.clone(), self.discovery.begun);
            self.discovery.shard_ended(id, now);
        }
        if gap {
            self.fail(id);
        }
    }

    fn fail(&mut self, shard: &ShardId) {
        let (stream, shard) = (self.stream.clone(), shard.clone());
        self.failure.get_or_insert(MappingError::Trimmed { stream, shard });
    }

    fn loaded(&mut self, now: Timestamp, answer: Result<Vec<Checkpoint>, String>) {
        self.loading = false;
        match answer {
            Ok(checkpoints) => {
                self.store_failures = 0;
                self.beginning = beginning(&checkpoints);
                self.fresh = checkpoints.is_empty() || self.beginning.is_some();
                let (finished, kept): (Vec<_>, Vec<_>) = checkpoints.into_iter().partition(|it| it.finished);
                let time = |it: &Checkpoint| Timestamp::from_nanos(it.updated_at);
                self.finished = finished.into_iter().map(|it| (it.shard.clone(), time(&it))).collect();
                self.kept = Some(kept.into_iter().map(|it| (it.shard.clone(), it)).collect());
            }
            Err(reason) => self.store_failed(now, reason),
        }
    }

    fn store_failed(&mut self, now: Timestamp, reason: String) {
        self.store_failures += 1;
        self.at = time::after(now, backoff(self.store_failures));
        self.events.push(Event::CheckpointsFailed { reason });
    }

    fn saved(&mut self, now: Timestamp, checkpoints: Vec<Checkpoint>) {
        (self.saving, self.store_failures) = (false, 0);
        for checkpoint in checkpoints {
            let (id, finished) = (checkpoint.shard.clone(), checkpoint.finished);
            if let Some(index) = self.index.get(&id) {
                self.active[*index].saved(checkpoint);
            }
            if finished {
                self.bury(now, &id);
            }
        }
        if !self.awaits_beginning() {
            self.beginning = None;
        }
        self.start_waiting();
        self.tell_end();
    }

    fn not_saved(&mut self, now: Timestamp, checkpoints: Vec<Checkpoint>, reason: String) {
        self.saving = false;
        for checkpoint in checkpoints {
            match self.index.contains_key(&checkpoint.shard) {
                true => drop(self.dirty.insert(checkpoint.shard)),
                false => self.skipped.push(checkpoint),
            }
        }
        self.store_failed(now, reason);
    }

    /// A shard is finished, and that is kept: its children may begin.
    fn bury(&mut self, now: Timestamp, id: &ShardId) {
        self.finished.insert(id.clone(), now);
        let Some(index) = self.index.remove(id) else { return };
        self.active.remove(index);
        self.index = self.active.iter().enumerate().map(|(index, shard)| (shard.id().clone(), index)).collect();
        self.turn = 0;
        self.events.push(Event::ShardFinished { shard: id.clone() });
    }
}

/// When a mapping began of which there is nothing but a part of the first save, or all of it.
fn beginning(kept: &[Checkpoint]) -> Option<Timestamp> {
    let times: Option<Vec<_>> = kept.iter().map(|checkpoint| checkpoint.beginning).collect();
    times?.into_iter().min().map(Timestamp::from_nanos)
}
