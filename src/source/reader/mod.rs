//! A stream read on demand: for those who ask for changes when they want them.
//!
//! # Flow
//! Each [`StreamReader::fetch`] lists the shards, reads what they have got, and answers with one list of [`StreamEvent`]s:
//! records, and shards that came and went. Nothing happens between two calls. [`StreamReader::state`] is where to go on after the
//! last call; it is JSON, if you like, and a new reader takes it back with [`StreamReader::resume`].
//!
//! # Guarantees
//! Records come in order per item, parents before their children, each of them once from a given state on: what is kept behind
//! the handling of a fetch is at least once over crashes. A call that fails, or that is dropped half-way, loses nothing: the next one goes
//! on where it was.
//!
//! # Assumptions
//! One reader per state. Records are kept 24 hours, so fetch more often than that.
//!
//! # Caveats
//! It is the reader of the [event source mapping](crate::source::mapping) without the rest: there are no filters, no retries and no
//! failure destinations. A call reads 10,000 records at the most, give or take a page per shard; if it got that many, there is more.
//! A shard may answer with an empty page although it has records (ESM-58): the next call gets them. After an hour without news a call
//! asks a quiet shard up to ten times, to know that there is nothing.
//!
//! Those who come from the npm package `dynamodb-stream` find `fetchStreamState` here as `fetch`, its events as [`StreamEvent`], and
//! `getShardState` as `state`. States do not carry over: theirs are iterators, which die after 15 minutes. Its new shards begin at their
//! newest record; children of shards begin at their oldest here, so nothing is lost between two calls.
//!
//! # Errors
//! See [`ReaderError`]. Records that were trimmed before they were read are an error, or a [`StreamEvent::Gap`], as
//! [`StreamReader::on_trimmed`] says.
//!
//! ```
//! use anabranch::{source::reader::{StreamEvent, StreamReader}, testing::streams::StreamSimulator};
//! use std::sync::Arc;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stream = Arc::new(StreamSimulator::new());
//! let mut reader = StreamReader::new(stream.arn(), stream.clone());
//! stream.put("PET#1");
//! let events = reader.fetch().await?;
//! assert!(matches!(&events[..], [StreamEvent::NewShards(_), StreamEvent::Insert(record)] if record.new_image().is_some()));
//!
//! let kept = serde_json::to_string(reader.state())?;
//! stream.put("PET#2");
//! let mut reader = StreamReader::new(stream.arn(), stream.clone()).resume(serde_json::from_str(&kept)?)?;
//! assert!(matches!(&reader.fetch().await?[..], [StreamEvent::Insert(_)]), "the second one only");
//! # Ok(()) }
//! ```

mod error;
mod event;
mod state;
mod trouble;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};

use super::mapping::{
    Answer, Checkpoint, Clock, Command, Event, Machine, Reply, Settings, StartingPosition, Streams, SystemClock,
    TrimPolicy,
};
pub use error::ReaderError;
pub use event::StreamEvent;
pub use state::ReaderState;
use trouble::Trouble;

/// So many records end a call, though there may be more.
const ENOUGH: usize = 10_000;

/// Reads a stream when asked, from its oldest record on unless told otherwise.
pub struct StreamReader {
    machine: Machine,
    streams: Arc<dyn Streams>,
    clock: Arc<dyn Clock>,
    /// What was asked and not answered, also by a call that was dropped.
    under_way: FuturesUnordered<BoxFuture<'static, Reply>>,
    trouble: Trouble,
    /// What the next call answers with.
    gathered: Vec<StreamEvent>,
    /// The state behind what is gathered, and the one behind what was answered.
    ahead: ReaderState,
    state: ReaderState,
}

impl StreamReader {
    /// A reader of the stream of this ARN.
    pub fn new(stream_arn: impl Into<String>, streams: impl Streams) -> Self {
        let state = ReaderState::new(stream_arn.into());
        Self {
            machine: Machine::new(settings(), state.stream()),
            streams: Arc::new(streams),
            clock: Arc::new(SystemClock),
            under_way: FuturesUnordered::new(),
            trouble: Trouble::default(),
            gathered: Vec::new(),
            ahead: state.clone(),
            state,
        }
    }

    /// Begins with what is written from the first call on: a bookmark. A reader that resumes begins where it was.
    #[must_use]
    pub fn from_now(self) -> Self {
        self.with(|settings| settings.starting_position = StartingPosition::Latest)
    }

    /// What to do if records were trimmed before they were read: fail, unless set.
    #[must_use]
    pub fn on_trimmed(self, policy: TrimPolicy) -> Self {
        self.with(|settings| settings.trimmed = policy)
    }

    /// Lives by another clock.
    #[must_use]
    pub fn clock(self, clock: impl Clock) -> Self {
        Self { clock: Arc::new(clock), ..self }
    }

    /// Goes on where another reader of the same stream was.
    ///
    /// # Errors
    /// [`ReaderError::OtherStream`]: a table whose stream was disabled and enabled again has another stream (ESM-56).
    pub fn resume(self, state: ReaderState) -> Result<Self, ReaderError> {
        if state.stream() != self.state.stream() {
            let (stream, found) = (self.state.stream().to_owned(), state.stream().to_owned());
            return Err(ReaderError::OtherStream { stream, found });
        }
        Ok(Self { ahead: state.clone(), state, ..self })
    }

    /// Where to go on behind what the last successful [`fetch`](Self::fetch) answered with.
    pub fn state(&self) -> &ReaderState {
        &self.state
    }

    /// Reads what there is, and answers with what happened since the last call; nothing, if nothing did.
    ///
    /// Calls that fail are repeated, five times in a row, with waits of a few seconds altogether.
    ///
    /// # Errors
    /// The stream cannot be read, is gone, or has lost records. What was read nevertheless is answered by the next call.
    pub async fn fetch(&mut self) -> Result<Vec<StreamEvent>, ReaderError> {
        self.trouble.forget();
        self.machine.hurry(self.clock.now());
        while self.turn().await? {}
        self.ahead.prune(self.clock.now());
        self.state.clone_from(&self.ahead);
        Ok(std::mem::take(&mut self.gathered))
    }

    fn with(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.machine.settings().clone();
        change(&mut settings);
        Self { machine: Machine::new(settings, self.state.stream()), ..self }
    }

    /// Asks for whatever is to be asked now, and takes one answer; false if there is nothing more for this call.
    async fn turn(&mut self) -> Result<bool, ReaderError> {
        while let Some(command) = self.machine.poll(self.clock.now()) {
            self.carry_out(command);
        }
        self.tell();
        if let Some(failure) = self.machine.failure() {
            return Err(failure.clone().into());
        }
        if self.gathered.len() >= ENOUGH {
            return Ok(false);
        }
        match self.under_way.next().await {
            Some(reply) => {
                self.trouble.note(&reply);
                self.machine.handle(self.clock.now(), reply);
                Ok(true)
            }
            None => self.sit_out().await,
        }
    }

    /// Nothing is under way: either all is read, or something failed and is to be repeated later.
    async fn sit_out(&mut self) -> Result<bool, ReaderError> {
        self.trouble.check(self.state.stream())?;
        match self.machine.wake().filter(|_| self.trouble.is_there()) {
            Some(wake) => {
                self.clock.sleep_until(wake).await;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    fn carry_out(&mut self, command: Command) {
        let now = self.clock.now();
        match command {
            Command::Load => self.machine.handle(now, Reply::Loaded(Ok(self.ahead.checkpoints().to_vec()))),
            Command::Save(checkpoints) => {
                self.keep(&checkpoints);
                self.machine.handle(now, Reply::Saved(checkpoints, None));
            }
            Command::Invoke { shard, lane, event } => {
                self.gather(event);
                self.machine.handle(now, Reply::Answered(shard, lane, Answer::returned("")));
            }
            // A mapping gives up on what is older than the stream should have. A reader hands it out like the rest.
            Command::Report { shard, lane, failure } => {
                self.gather(failure.payload);
                self.machine.handle(now, Reply::Reported(shard, lane, None));
            }
            Command::Describe(request) => self.ask(async move |streams| {
                let answer = streams.describe(&request).await;
                Reply::Described(request, answer)
            }),
            Command::Iterator { shard, position } => self.ask(async move |streams| {
                let answer = streams.iterator(&shard, &position).await;
                Reply::Iterator(shard, answer)
            }),
            Command::Read { shard, iterator, limit } => self.ask(async move |streams| {
                let answer = streams.records(&iterator, limit).await;
                Reply::Records(shard, iterator, answer)
            }),
        }
    }

    fn ask<F: Future<Output = Reply> + Send + 'static>(&self, call: impl FnOnce(Arc<dyn Streams>) -> F) {
        self.under_way.push(call(self.streams.clone()).boxed());
    }

    fn gather(&mut self, event: Bytes) {
        self.tell();
        self.gathered.extend(StreamEvent::of_records(event));
    }

    /// A shard that is finished is not read any more.
    fn keep(&mut self, checkpoints: &[Checkpoint]) {
        self.tell();
        for shard in self.ahead.keep(checkpoints) {
            StreamEvent::removed(&mut self.gathered, shard);
        }
    }

    fn tell(&mut self) {
        for event in self.machine.take_events() {
            match event {
                Event::ShardFound { shard, .. } if !self.ahead.knows(&shard) => {
                    StreamEvent::added(&mut self.gathered, shard);
                }
                Event::Gap { shard, after } => self.gathered.push(StreamEvent::Gap { shard, after }),
                Event::ShardGone { shard } | Event::ShardFinished { shard } => self.trouble.settle(&shard),
                Event::StreamEnded => self.gathered.push(StreamEvent::Ended),
                _ => {}
            }
        }
    }
}

/// Everything at once: the batches are what a page has, and nothing is filtered or given up on.
fn settings() -> Settings {
    let mut settings = Settings::new("reader");
    settings.batch_size = ENOUGH;
    settings.failure_destination = true;
    settings
}
