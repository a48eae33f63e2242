//! Runs the machine: carries out its commands, waits, and hands it the replies.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::SystemTime,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, Either, FutureExt, pending, ready, select},
    stream::FuturesUnordered,
};

use super::{
    Checkpoints, Clock, Command, Destination, Event, Machine, MappingError, MemoryCheckpoints, Reply, Settings,
    Streams, Target, time,
};
use crate::record::Timestamp;

/// So often may saving fail in a row before a mapping that is to stop gives up.
const LAST_TRIES: u32 = 3;

/// How a mapping came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped; every position is saved.
    Stopped,
    /// The stream is disabled, and all of it is done with. A table's next stream has another ARN (ESM-56).
    StreamEnded,
}

/// An event source mapping at work: a long-running consumer, or a laptop's stand-in for AWS.
///
/// Positions are kept in memory unless [`keep`](Self::keep) says where else; what is given up on is gone unless
/// [`on_failure`](Self::on_failure) says where to.
pub struct Mapping {
    settings: Settings,
    stream: String,
    group: String,
    ports: Arc<Ports>,
}

struct Ports {
    streams: Box<dyn Streams>,
    target: Box<dyn Target>,
    destination: Option<Box<dyn Destination>>,
    checkpoints: Arc<dyn Checkpoints>,
    clock: Box<dyn Clock>,
}

/// The clock of this machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        time::of(SystemTime::now())
    }

    fn sleep_until(&self, time: Timestamp) -> BoxFuture<'_, ()> {
        tokio::time::sleep(time::between(self.now(), time)).boxed()
    }
}

impl Mapping {
    /// A mapping of a stream to a function.
    pub fn new(settings: Settings, stream_arn: impl Into<String>, streams: impl Streams, target: impl Target) -> Self {
        let ports = Ports {
            streams: Box::new(streams),
            target: Box::new(target),
            destination: None,
            checkpoints: Arc::new(MemoryCheckpoints::default()),
            clock: Box::new(SystemClock),
        };
        Self { settings, stream: stream_arn.into(), group: "default".to_owned(), ports: Arc::new(ports) }
    }

    /// Keeps positions there, under the name of a group: mappings of one stream with different groups do not meet.
    #[must_use]
    pub fn keep(mut self, group: impl Into<String>, checkpoints: Arc<dyn Checkpoints>) -> Self {
        self.group = group.into();
        self.ports_mut().checkpoints = checkpoints;
        self
    }

    /// Reports what is given up on.
    #[must_use]
    pub fn on_failure(mut self, destination: impl Destination) -> Self {
        self.settings.failure_destination = true;
        self.ports_mut().destination = Some(Box::new(destination));
        self
    }

    /// Lives by another clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.ports_mut().clock = Box::new(clock);
        self
    }

    fn ports_mut(&mut self) -> &mut Ports {
        Arc::get_mut(&mut self.ports).expect("nobody shares the ports of a mapping that does not run")
    }

    /// Runs until it is stopped, and shows its events to `watch` as they come.
    ///
    /// When `stop` is ready, nothing new is begun; invocations under way come to their end, what waits for a retry is
    /// released, and positions are saved.
    ///
    /// # Errors
    /// Records were trimmed before they were read and the policy is to fail, or positions cannot be saved at the end.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send,
        watch: impl FnMut(&Machine, &[Event]) + Send,
    ) -> Result<Ended, MappingError> {
        let machine = Machine::new(self.settings, self.stream.clone());
        let stop = pin!(stop);
        Run { machine, stream: self.stream, group: self.group, ports: self.ports, stop: Some(stop), refusals: 0, watch }
            .finish()
            .await
    }
}

struct Run<'s, S, W> {
    machine: Machine,
    stream: String,
    group: String,
    ports: Arc<Ports>,
    stop: Option<Pin<&'s mut S>>,
    refusals: u32,
    watch: W,
}

enum Woken {
    Reply(Box<Reply>),
    Time,
    Stop,
}

impl<S: Future<Output = ()> + Send, W: FnMut(&Machine, &[Event]) + Send> Run<'_, S, W> {
    async fn finish(mut self) -> Result<Ended, MappingError> {
        let mut under_way = FuturesUnordered::new();
        loop {
            while let Some(command) = self.machine.poll(self.ports.clock.now()) {
                under_way.push(carry_out(self.ports.clone(), self.group.clone(), self.stream.clone(), command));
            }
            self.tell();
            if let Some(end) = self.end() {
                return end;
            }
            match self.wait(&mut under_way).await {
                Woken::Reply(reply) => self.machine.handle(self.ports.clock.now(), *reply),
                Woken::Time => {}
                Woken::Stop => {
                    self.stop = None;
                    self.machine.disable();
                }
            }
        }
    }

    fn tell(&mut self) {
        let events = self.machine.take_events();
        let refused = |event: &&Event| matches!(event, Event::CheckpointsFailed { .. });
        if self.stop.is_none() {
            self.refusals += u32::try_from(events.iter().filter(refused).count()).unwrap_or(u32::MAX);
        }
        if !events.is_empty() {
            (self.watch)(&self.machine, &events);
        }
    }

    fn end(&mut self) -> Option<Result<Ended, MappingError>> {
        if self.machine.has_ended() {
            self.machine.disable();
        }
        if self.refusals >= LAST_TRIES && self.machine.in_flight() == 0 {
            return Some(Err(MappingError::NotSaved { stream: self.stream.clone() }));
        }
        if !self.machine.is_quiet() {
            return None;
        }
        Some(match (self.machine.failure(), self.stop.is_none()) {
            (Some(failure), _) => Err(failure.clone()),
            (None, true) => Ok(Ended::Stopped),
            (None, false) => Ok(Ended::StreamEnded),
        })
    }

    /// Whatever comes first: a reply, the time to look again, or the end.
    async fn wait(&mut self, under_way: &mut FuturesUnordered<impl Future<Output = Reply>>) -> Woken {
        let reply = pin!(async {
            match under_way.next().await {
                Some(reply) => reply,
                None => pending().await,
            }
        });
        let clock = &self.ports.clock;
        let sleep = self.machine.wake().map_or_else(|| pending().boxed(), |wake| clock.sleep_until(wake));
        let stop = pin!(async {
            match &mut self.stop {
                Some(stop) => stop.await,
                None => pending().await,
            }
        });
        match select(reply, select(stop, sleep)).await {
            Either::Left((reply, _)) => Woken::Reply(Box::new(reply)),
            Either::Right((Either::Left(_), _)) => Woken::Stop,
            Either::Right((Either::Right(_), _)) => Woken::Time,
        }
    }
}

async fn carry_out(ports: Arc<Ports>, group: String, stream: String, command: Command) -> Reply {
    match command {
        Command::Load => {
            let loaded = ports.checkpoints.load(&group, &stream).await;
            Reply::Loaded(loaded.map_err(|error| error.to_string()))
        }
        Command::Save(checkpoints) => {
            let saved = ports.checkpoints.save(&group, &stream, &checkpoints).await;
            Reply::Saved(checkpoints, saved.err().map(|error| error.to_string()))
        }
        Command::Describe(request) => {
            let answer = ports.streams.describe(&request).await;
            Reply::Described(request, answer)
        }
        Command::Iterator { shard, position } => {
            let answer = ports.streams.iterator(&shard, &position).await;
            Reply::Iterator(shard, answer)
        }
        Command::Read { shard, iterator, limit } => {
            let answer = ports.streams.records(&iterator, limit).await;
            Reply::Records(shard, iterator, answer)
        }
        Command::Invoke { shard, lane, event } => Reply::Answered(shard, lane, ports.target.invoke(event).await),
        Command::Report { shard, lane, failure } => {
            let delivery = match &ports.destination {
                Some(destination) => destination.deliver(&failure),
                None => ready(Err("there is no destination".into())).boxed(),
            };
            let refused = delivery.await.err().map(|error| error.to_string());
            Reply::Reported(shard, lane, refused)
        }
    }
}
