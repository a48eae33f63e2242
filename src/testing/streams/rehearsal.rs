//! A mapping, rehearsed on virtual time.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::FutureExt;
use serde_json::Value;

use super::StreamSimulator;
use crate::{
    record::Timestamp,
    source::mapping::{
        Answer, Checkpoint, Command, Event, FailureRecord, Machine, Reply, Settings, ShardId, Streams, TrimPolicy,
    },
};

/// Turns without time passing: more than these are an endless loop.
const PATIENCE: u32 = 1_000_000;

/// An invocation of the function.
#[derive(Debug, Clone)]
pub struct Invocation {
    /// When it was.
    pub time: Timestamp,
    /// The shard.
    pub shard: ShardId,
    /// The event.
    pub event: Bytes,
    /// The sequence numbers of its records.
    pub sequences: Vec<String>,
}

impl Invocation {
    /// The records by their number, counted from 1 over the whole stream.
    pub fn records(&self) -> Vec<u64> {
        self.sequences.iter().map(|sequence| StreamSimulator::ordinal(sequence)).collect()
    }

    /// The event as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.event).expect("an event is JSON")
    }
}

type Function = dyn FnMut(&Invocation) -> Answer + Send;

/// A [`Machine`] with a simulated stream, a function of yours, and memory for checkpoints and failures.
///
/// Answers come in the order of the commands, or in a random one if [`shuffled`](Self::shuffled) by a seed: the same seed,
/// the same play.
pub struct Rehearsal {
    stream: Arc<StreamSimulator>,
    settings: Settings,
    machine: Machine,
    function: Box<Function>,
    latency: Duration,
    refusing: bool,
    store_failures: u32,
    pending: Vec<(Timestamp, Command)>,
    random: Option<u64>,
    invocations: Vec<Invocation>,
    failures: Vec<FailureRecord>,
    checkpoints: BTreeMap<ShardId, Checkpoint>,
    events: Vec<Event>,
    steps: u64,
}

impl Rehearsal {
    /// A mapping with these settings and a function that succeeds.
    pub fn new(settings: Settings) -> Self {
        Self::with_stream(settings, Arc::new(StreamSimulator::new()))
    }

    /// The same with a stream that is there.
    pub fn with_stream(settings: Settings, stream: Arc<StreamSimulator>) -> Self {
        Self {
            machine: Machine::new(settings.clone(), stream.arn()),
            stream,
            settings,
            function: Box::new(|_| Answer::returned("{}")),
            latency: Duration::ZERO,
            refusing: false,
            store_failures: 0,
            pending: Vec::new(),
            random: None,
            invocations: Vec::new(),
            failures: Vec::new(),
            checkpoints: BTreeMap::new(),
            events: Vec::new(),
            steps: 0,
        }
    }

    /// Answers in a random order.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.random = Some(seed);
        self
    }

    /// Answers invocations with this function.
    pub fn set_function(&mut self, function: impl FnMut(&Invocation) -> Answer + Send + 'static) {
        self.function = Box::new(function);
    }

    /// What to do about records that were trimmed, from the next [`crash`](Self::crash) on.
    pub fn set_trim_policy(&mut self, policy: TrimPolicy) {
        self.settings.trimmed = policy;
    }

    /// How long an invocation takes: no time unless set.
    pub fn set_latency(&mut self, latency: Duration) {
        self.latency = latency;
    }

    /// Makes the failure destination refuse documents, or take them again.
    pub fn refuse_failures(&mut self, refuse: bool) {
        self.refusing = refuse;
    }

    /// Makes the next calls to the checkpoints fail.
    pub fn fail_checkpoints(&mut self, times: u32) {
        self.store_failures = times;
    }

    /// The stream.
    pub fn stream(&self) -> &StreamSimulator {
        &self.stream
    }

    /// The mapping.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Stops the mapping; see [`Machine::disable`].
    pub fn disable(&mut self) {
        self.machine.disable();
    }

    /// Lets it go on.
    pub fn enable(&mut self) {
        self.machine.enable();
    }

    /// The invocations so far.
    pub fn invocations(&self) -> &[Invocation] {
        &self.invocations
    }

    /// The records of each invocation so far, by their numbers.
    pub fn trace(&self) -> Vec<Vec<u64>> {
        self.invocations.iter().map(Invocation::records).collect()
    }

    /// What the failure destination took.
    pub fn failures(&self) -> &[FailureRecord] {
        &self.failures
    }

    /// The saved checkpoints.
    pub fn checkpoints(&self) -> &BTreeMap<ShardId, Checkpoint> {
        &self.checkpoints
    }

    /// What the mapping told so far.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many commands were carried out.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Runs the mapping while so much time passes.
    pub fn run_for(&mut self, time: Duration) {
        let end = later(self.stream.now(), time);
        let mut turns = 0;
        loop {
            turns += 1;
            assert!(turns < PATIENCE, "the mapping turns in circles: {:?}", self.events.iter().rev().take(9));
            if self.step() {
                continue;
            }
            let now = self.stream.now();
            let due = self.pending.iter().map(|(due, _)| *due);
            let next = due.chain(self.machine.wake()).min().unwrap_or(end);
            // Time passes: what wants to be asked at once and has nothing to say is asked a little later.
            let next = next.max(later(now, Duration::from_millis(1)));
            if next >= end {
                self.pass(now, end);
                return;
            }
            self.pass(now, next);
            turns = 0;
        }
    }

    fn pass(&self, now: Timestamp, until: Timestamp) {
        let nanos = until.as_nanos().saturating_sub(now.as_nanos());
        self.stream.advance(Duration::from_nanos(nanos.unsigned_abs()));
    }

    /// Carries out one command; whether there was one to carry out now.
    pub fn step(&mut self) -> bool {
        self.ask();
        let now = self.stream.now();
        let due: Vec<_> = (0..self.pending.len()).filter(|index| self.pending[*index].0 <= now).collect();
        let Some(chosen) = self.choose(due.len()).map(|index| due[index]) else { return false };
        let (_, command) = self.pending.remove(chosen);
        let reply = self.carry_out(command);
        self.machine.handle(now, reply);
        self.events.extend(self.machine.take_events());
        self.steps += 1;
        true
    }

    /// Takes note of what the mapping wants to have done.
    fn ask(&mut self) {
        let now = self.stream.now();
        while let Some(command) = self.machine.poll(now) {
            let takes = if matches!(command, Command::Invoke { .. }) { self.latency } else { Duration::ZERO };
            self.pending.push((later(now, takes), command));
        }
        self.events.extend(self.machine.take_events());
    }

    /// The process dies: of what was under way, some was carried out and some was not. A new one begins with the checkpoints.
    pub fn crash(&mut self) {
        for (_, command) in std::mem::take(&mut self.pending) {
            match command {
                Command::Save(checkpoints) if self.random.is_some() => {
                    let kept = self.choose(checkpoints.len() + 1).unwrap_or(0);
                    self.save_some(checkpoints, kept);
                }
                command if self.choose(2) == Some(0) => drop(self.carry_out(command)),
                _ => {}
            }
        }
        self.restart();
    }

    /// Lives on until checkpoints are saved, and dies when so many of them are.
    ///
    /// # Panics
    /// Nothing is saved for a long time.
    pub fn crash_in_save(&mut self, kept: usize) {
        for turn in 1.. {
            assert!(turn < PATIENCE, "nothing is saved: {:?}", self.machine.failure());
            self.ask();
            let saving = self.pending.iter().position(|(_, command)| matches!(command, Command::Save(_)));
            if let Some((_, Command::Save(checkpoints))) = saving.map(|index| self.pending.remove(index)) {
                self.save_some(checkpoints, kept);
                return self.restart();
            }
            if !self.step() {
                self.stream.advance(Duration::from_millis(1));
            }
        }
    }

    fn save_some(&mut self, mut checkpoints: Vec<Checkpoint>, kept: usize) {
        checkpoints.truncate(kept);
        self.carry_out(Command::Save(checkpoints));
    }

    fn restart(&mut self) {
        self.pending.clear();
        self.machine = Machine::new(self.settings.clone(), self.stream.arn());
    }

    /// One of so many, by the seed; the first without one.
    fn choose(&mut self, count: usize) -> Option<usize> {
        let Some(state) = &mut self.random else { return (count > 0).then_some(0) };
        // SplitMix64.
        *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (*state ^ (*state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((word ^ (word >> 31)) >> 1).unwrap_or(0).checked_rem(count)
    }

    fn carry_out(&mut self, command: Command) -> Reply {
        match command {
            Command::Load if self.store_fails() => Reply::Loaded(Err("told to fail".to_owned())),
            Command::Load => Reply::Loaded(Ok(self.checkpoints.values().cloned().collect())),
            Command::Save(checkpoints) if self.store_fails() => Reply::Saved(checkpoints, Some("told to fail".into())),
            Command::Save(checkpoints) => {
                self.checkpoints.extend(checkpoints.iter().map(|it| (it.shard.clone(), it.clone())));
                Reply::Saved(checkpoints, None)
            }
            Command::Describe(request) => {
                let answer = at_once(self.stream.describe(&request));
                Reply::Described(request, answer)
            }
            Command::Iterator { shard, position } => {
                let answer = at_once(self.stream.iterator(&shard, &position));
                Reply::Iterator(shard, answer)
            }
            Command::Read { shard, iterator, limit } => {
                let answer = at_once(self.stream.records(&iterator, limit));
                Reply::Records(shard, iterator, answer)
            }
            Command::Invoke { shard, lane, event } => {
                let answer = self.invoke(shard.clone(), event);
                Reply::Answered(shard, lane, answer)
            }
            Command::Report { shard, lane, failure } => {
                let refused = self.refusing.then(|| "told to refuse".to_owned());
                if refused.is_none() {
                    self.failures.push(*failure);
                }
                Reply::Reported(shard, lane, refused)
            }
        }
    }

    fn store_fails(&mut self) -> bool {
        let fails = self.store_failures > 0;
        self.store_failures = self.store_failures.saturating_sub(1);
        fails
    }

    fn invoke(&mut self, shard: ShardId, event: Bytes) -> Answer {
        let time = self.stream.now();
        let mut invocation = Invocation { time, shard, event, sequences: Vec::new() };
        let json = invocation.json();
        let records = json["Records"].as_array().into_iter().flatten();
        invocation.sequences =
            records.filter_map(|it| it["dynamodb"]["SequenceNumber"].as_str().map(str::to_owned)).collect();
        let answer = (self.function)(&invocation);
        self.invocations.push(invocation);
        answer
    }
}

fn later(time: Timestamp, wait: Duration) -> Timestamp {
    Timestamp::from_nanos(time.as_nanos().saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX)))
}

fn at_once<T>(work: impl Future<Output = T>) -> T {
    work.now_or_never().expect("the simulator answers at once")
}

impl fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal")
            .field("stream", &self.stream)
            .field("steps", &self.steps)
            .field("invocations", &self.invocations.len())
            .finish_non_exhaustive()
    }
}
