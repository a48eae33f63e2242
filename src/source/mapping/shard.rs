//! One shard: its reader, its lanes, and how far it is done with.

use bytes::Bytes;

use super::{
    Checkpoint, Event, FailureRecord, Metrics, Sequence, Settings, ShardId, StreamRecord,
    lane::{Act, Around, Entry, Lane},
    ports::{Answer, Position, RecordPage, StreamFault, WindowState},
    progress::Progress,
    reader::{Ask, Doubt, Reader, Taken},
    settings::PAYLOAD_LIMIT,
    tumbling::Tumbling,
};
use crate::record::Timestamp;

/// The most records that one page may hold; the API refuses more.
const PAGE: usize = 1000;

/// What a shard wants to have done.
#[derive(Debug)]
pub(super) enum Wish {
    Iterator(Position),
    Read { iterator: String, limit: usize },
    Invoke { lane: usize, payload: Bytes },
    Report { lane: usize, failure: Box<FailureRecord> },
}

/// What surrounds a shard: its mapping, and now.
pub(super) struct World<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) stream: &'a str,
    pub(super) metrics: &'a mut Metrics,
    pub(super) events: &'a mut Vec<Event>,
}

/// Whether the shard has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody said so.
    No,
    /// The reader was told so; the listing has to confirm it.
    Doubtful(Doubt),
    /// The listing says so; the reader looks whether there is a record that it has not seen.
    Closed,
    /// It has, and was read to its end.
    Confirmed,
}

#[derive(Debug)]
pub(super) struct Shard {
    id: ShardId,
    reader: Reader,
    lanes: Vec<Lane>,
    progress: Progress,
    pub(super) end: End,
    /// What was saved last; none as long as nothing was.
    saved: Option<Mark>,
    /// Nothing is read before there is a checkpoint: the starting position has to be kept.
    held: bool,
    next_lane: usize,
    /// When the reader last stood at the tip with nothing before it undone; without a position, when the shard was found.
    idle_at: Option<Timestamp>,
}

/// What makes a checkpoint differ from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    sequence: Option<Sequence>,
    finished: bool,
    window: Option<WindowState>,
    beginning: Option<i64>,
    /// Idle positions are saved once in an hour.
    idle_hour: Option<i64>,
}

impl Shard {
    /// A shard that is read from its oldest record.
    pub(super) fn from_horizon(id: ShardId, settings: &Settings, found: Timestamp) -> Self {
        let reader = Reader::new(id.clone(), Position::TrimHorizon, Some(found));
        Self::new(id, reader, Progress::default(), settings, None)
    }

    /// A shard of which only what is new is wanted. It waits until that is kept.
    pub(super) fn from_latest(id: ShardId, settings: &Settings, now: Timestamp) -> Self {
        let reader = Reader::latest(id.clone(), now);
        Self { held: true, ..Self::new(id, reader, Progress::default(), settings, None) }
    }

    /// A shard of which only what was created since then is wanted.
    pub(super) fn since(id: ShardId, settings: &Settings, time: Timestamp) -> Self {
        let reader = Reader::new(id.clone(), Position::Since(time), Some(time));
        Self::new(id, reader, Progress::default(), settings, None)
    }

    /// A shard that goes on where it was left.
    pub(super) fn from_checkpoint(checkpoint: Checkpoint, settings: &Settings) -> Self {
        let idle_at = checkpoint.idle_at();
        let Checkpoint { shard, sequence, since, window, beginning, .. } = checkpoint;
        let position = match (&sequence, since) {
            (Some(sequence), _) => Position::After(sequence.clone()),
            (None, Some(since)) => Position::Since(Timestamp::from_nanos(since)),
            (None, None) => Position::TrimHorizon,
        };
        let reader = Reader::new(shard.clone(), position, idle_at);
        let shard = Self::new(shard, reader, Progress::behind(sequence), settings, window);
        Self { saved: Some(shard.mark(false, beginning)), ..shard }
    }

    fn new(id: ShardId, reader: Reader, progress: Progress, settings: &Settings, window: Option<WindowState>) -> Self {
        let lane = |number| {
            let open = window.clone().filter(|_| number == 0);
            Lane::new(number, settings.tumbling_window.map(|length| Tumbling::new(length, open)))
        };
        let lanes = (0..settings.parallelization_factor.max(1)).map(lane).collect();
        let idle_at = reader.idle_at();
        Self { id, reader, lanes, progress, end: End::No, saved: None, held: false, next_lane: 0, idle_at }
    }

    pub(super) fn id(&self) -> &ShardId {
        &self.id
    }

    pub(super) fn position(&self) -> Position {
        match (self.progress.position(), self.reader.since()) {
            (Some(sequence), _) => Position::After(sequence.clone()),
            (None, Some(since)) => Position::Since(since),
            (None, None) => Position::TrimHorizon,
        }
    }

    /// The last record that was read, and when the reader last stood at the tip.
    pub(super) fn reached(&self) -> (Option<Sequence>, Option<Timestamp>) {
        (self.reader.read_to().cloned(), self.reader.idle_at())
    }

    /// Whether it lost its position, and nothing told since if records are missing.
    pub(super) fn is_lost(&self) -> bool {
        self.reader.is_lost()
    }

    /// Calls that were not answered.
    pub(super) fn in_flight(&self) -> usize {
        usize::from(self.reader.is_busy()) + self.lanes.iter().filter(|lane| lane.is_busy()).count()
    }

    /// What is to be done now, if anything is.
    pub(super) fn poll(&mut self, world: &mut World<'_>) -> Option<Wish> {
        if self.held {
            return None;
        }
        self.lane_wish(world).or_else(|| self.reader_wish(world.now, world.settings))
    }

    /// The lanes take turns, so that none waits for another.
    fn lane_wish(&mut self, world: &mut World<'_>) -> Option<Wish> {
        for _ in 0..self.lanes.len() {
            let lane = self.next_lane;
            self.next_lane = (lane + 1) % self.lanes.len();
            let (lanes, mut around) = self.around(world);
            match lanes[lane].poll(&mut around) {
                Some(Act::Invoke(payload)) => return Some(Wish::Invoke { lane, payload }),
                Some(Act::Report(failure)) => return Some(Wish::Report { lane, failure }),
                None => {}
            }
        }
        None
    }

    fn around<'a>(&'a mut self, world: &'a mut World<'_>) -> (&'a mut [Lane], Around<'a>) {
        let around = Around {
            now: world.now,
            settings: world.settings,
            stream: world.stream,
            shard: &self.id,
            ended: self.end == End::Confirmed,
            progress: &mut self.progress,
            metrics: world.metrics,
            events: world.events,
        };
        (&mut self.lanes, around)
    }

    fn reader_wish(&mut self, now: Timestamp, settings: &Settings) -> Option<Wish> {
        let limit = self.room(settings);
        if limit == 0 {
            return None;
        }
        Some(match self.reader.ask(now)? {
            Ask::Iterator(position) => Wish::Iterator(position),
            Ask::Records(iterator) => Wish::Read { iterator, limit },
        })
    }

    /// How many more records are wanted: a page, until a batch for every lane waits while another is worked on.
    fn room(&self, settings: &Settings) -> usize {
        let queued: usize = self.lanes.iter().map(Lane::queued).sum();
        let bytes: usize = self.lanes.iter().map(Lane::queued_bytes).sum();
        let full = queued >= settings.batch_size * self.lanes.len() || bytes >= PAYLOAD_LIMIT * self.lanes.len();
        if full { 0 } else { PAGE }
    }

    /// Reads now, whatever was planned.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        self.reader.hurry(now);
    }

    /// When to ask again although nothing was answered.
    pub(super) fn wake(&self, settings: &Settings) -> Option<Timestamp> {
        if self.held {
            return None;
        }
        let reader = self.reader.wake().filter(|_| self.room(settings) > 0);
        self.lanes.iter().filter_map(|lane| lane.wake(settings)).chain(reader).min()
    }

    pub(super) fn iterator(&mut self, answer: Result<String, StreamFault>, world: &mut World<'_>) -> bool {
        let taken = self.reader.iterator(world.now, world.settings, answer);
        self.take(taken, world)
    }

    pub(super) fn records(
        &mut self,
        used: &str,
        answer: Result<RecordPage, StreamFault>,
        world: &mut World<'_>,
    ) -> bool {
        let taken = self.reader.records(world.now, world.settings, used, answer);
        self.take(taken, world)
    }

    /// Takes what the reader got; answers whether records are missing and the policy is to fail.
    fn take(&mut self, taken: Taken, world: &mut World<'_>) -> bool {
        world.events.extend(taken.events);
        let before = self.progress.position().cloned();
        for record in taken.records {
            self.enter(record, world);
        }
        self.note_idle(before.as_ref());
        match (taken.doubt, self.end) {
            (Some(doubt), End::No) => self.end = End::Doubtful(doubt),
            // It was closed, and is not there any more.
            (Some(_), End::Closed) => self.end = End::Confirmed,
            _ if taken.over => self.end = End::Confirmed,
            _ => {}
        }
        taken.gap
    }

    /// What the filter declines is done with at once (ESM-25).
    fn enter(&mut self, record: StreamRecord, world: &mut World<'_>) {
        world.metrics.polled += 1;
        if record.raw().is_some_and(|raw| !world.settings.filter_criteria.matches(raw)) {
            world.metrics.filtered_out += 1;
            self.progress.pass(record.sequence());
            return;
        }
        let index = self.progress.enter(record.sequence());
        let lane = record.lane(self.lanes.len());
        let born = record.created_at().unwrap_or(world.now);
        self.lanes[lane].push(Entry { record, index, born }, world.now, world.settings.batching_window);
    }

    pub(super) fn answered(&mut self, lane: usize, answer: &Answer, world: &mut World<'_>) {
        let before = self.progress.position().cloned();
        let (lanes, mut around) = self.around(world);
        lanes[lane].answered(answer, &mut around);
        self.note_idle(before.as_ref());
    }

    pub(super) fn reported(&mut self, lane: usize, refused: Option<String>, world: &mut World<'_>) {
        let before = self.progress.position().cloned();
        let (lanes, mut around) = self.around(world);
        lanes[lane].reported(refused, &mut around);
        self.note_idle(before.as_ref());
    }

    /// The tip is a position only if nothing before it is undone, and says nothing of a position that came later.
    fn note_idle(&mut self, before: Option<&Sequence>) {
        if self.progress.is_clear() {
            self.idle_at = self.reader.idle_at();
        } else if self.progress.position() != before {
            self.idle_at = None;
        }
    }

    /// The listing has the shard as open although the reader was told that it has ended.
    pub(super) fn reopen(&mut self, now: Timestamp, doubt: Doubt) {
        self.end = End::No;
        self.reader.reopen(now, doubt);
    }

    /// The listing says that the shard takes no more records.
    pub(super) fn close(&mut self, now: Timestamp) {
        if self.end != End::Confirmed {
            self.end = End::Closed;
            self.reader.close(now);
        }
    }

    pub(super) fn confirm_end(&mut self) {
        self.reader.end();
        self.end = End::Confirmed;
    }

    /// Whether it was read to its end and all of it is done with.
    pub(super) fn is_finished(&self) -> bool {
        self.end == End::Confirmed && self.progress.is_clear() && self.lanes.iter().all(Lane::is_done)
    }

    /// Forgets what is read and not finished, and begins again at the position that is done with.
    pub(super) fn release(&mut self) {
        self.lanes.iter_mut().for_each(Lane::release);
        if self.end != End::Confirmed || !self.progress.is_clear() {
            self.end = End::No;
            let reader = Reader::new(self.id.clone(), self.position(), self.idle_at);
            self.reader = reader;
            self.progress = Progress::behind(self.progress.position().cloned());
        }
    }

    /// The checkpoint to save, if it is another than the last one.
    pub(super) fn unsaved(&self, now: Timestamp, beginning: Option<i64>) -> Option<Checkpoint> {
        let mark = self.mark(self.is_finished(), beginning);
        if self.saved.as_ref() == Some(&mark) {
            return None;
        }
        let since = self.reader.since().filter(|_| mark.sequence.is_none());
        Some(Checkpoint {
            shard: self.id.clone(),
            sequence: mark.sequence,
            finished: mark.finished,
            since: since.map(Timestamp::as_nanos),
            idle_at: self.idle_at.map(Timestamp::as_nanos),
            window: mark.window,
            beginning: mark.beginning,
            updated_at: now.as_nanos(),
        })
    }

    pub(super) fn saved(&mut self, checkpoint: Checkpoint) {
        self.held = false;
        self.saved = Some(Mark {
            sequence: checkpoint.sequence,
            finished: checkpoint.finished,
            window: checkpoint.window,
            beginning: checkpoint.beginning,
            idle_hour: checkpoint.idle_at.map(hour),
        });
    }

    fn mark(&self, finished: bool, beginning: Option<i64>) -> Mark {
        Mark {
            sequence: self.progress.position().cloned(),
            finished,
            window: self.lanes[0].window().cloned(),
            beginning,
            idle_hour: self.idle_at.map(Timestamp::as_nanos).map(hour),
        }
    }
}

fn hour(nanos: i64) -> i64 {
    nanos.div_euclid(3_600_000_000_000)
}
