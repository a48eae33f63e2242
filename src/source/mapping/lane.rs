//! One lane of a shard: records in order, one batch at a time.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;

use super::{
    Condition, Event, FailureRecord, LastResponse, Metrics, Next, RecordRange, Sequence, Settings, ShardId,
    StreamRecord,
    failure::random_uuid,
    policy::{self, Decision, Facts, Verdict},
    ports::Answer,
    progress::Progress,
    settings::PAYLOAD_LIMIT,
    time,
    tumbling::{Final, Tumbling},
    verdict::{self, Reading},
};
use crate::record::{Timestamp, TumblingWindow, wire::EventWriter};

/// What an event has around its records, rounded up.
const ENVELOPE: usize = 1024;

/// What surrounds a lane: its shard, its mapping, and now.
pub(super) struct Around<'a> {
    pub(super) now: Timestamp,
    pub(super) settings: &'a Settings,
    pub(super) stream: &'a str,
    pub(super) shard: &'a ShardId,
    /// Whether no record will follow.
    pub(super) ended: bool,
    pub(super) progress: &'a mut Progress,
    pub(super) metrics: &'a mut Metrics,
    pub(super) events: &'a mut Vec<Event>,
}

/// What a lane wants to have done.
#[derive(Debug)]
pub(super) enum Act {
    Invoke(Bytes),
    Report(Box<FailureRecord>),
}

/// A record, and its place in the shard's progress.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) record: StreamRecord,
    pub(super) index: u64,
    /// When it was created, or read if it does not say.
    pub(super) born: Timestamp,
}

/// A batch with an identity: a budget of its own.
#[derive(Debug)]
struct Piece {
    entries: Vec<Entry>,
    last: Option<Final>,
    attempts: u32,
    not_run: u32,
    not_before: Timestamp,
    answer: Option<LastAnswer>,
}

#[derive(Debug, Clone)]
struct LastAnswer {
    request_id: Option<String>,
    version: Option<String>,
    raised: bool,
}

#[derive(Debug)]
enum Busy {
    Invoking,
    /// The destination is being told of this.
    Reporting(Piece),
}

#[derive(Debug)]
pub(super) struct Lane {
    number: usize,
    queue: VecDeque<Entry>,
    queued_bytes: usize,
    /// Parts of one batch; the last is the next one.
    pieces: Vec<Piece>,
    /// What was given up on, and the destination is to be told of. Until it was, nothing of it is done with.
    report: Option<(Box<FailureRecord>, Piece)>,
    busy: Option<Busy>,
    window_from: Option<Timestamp>,
    last_done: Option<Timestamp>,
    tumbling: Option<Tumbling>,
}

impl Piece {
    fn new(entries: Vec<Entry>) -> Self {
        let not_before = Timestamp::from_nanos(i64::MIN);
        Self { entries, last: None, attempts: 0, not_run: 0, not_before, answer: None }
    }

    fn closing(early: bool) -> Self {
        Self { last: Some(Final { early }), ..Self::new(Vec::new()) }
    }

    fn sequences(&self) -> Vec<&Sequence> {
        self.entries.iter().map(|entry| entry.record.sequence()).collect()
    }
}

impl Lane {
    pub(super) fn new(number: usize, tumbling: Option<Tumbling>) -> Self {
        Self {
            number,
            queue: VecDeque::new(),
            queued_bytes: 0,
            pieces: Vec::new(),
            report: None,
            busy: None,
            window_from: None,
            last_done: None,
            tumbling,
        }
    }

    pub(super) fn push(&mut self, entry: Entry, now: Timestamp, window: Duration) {
        if self.queue.is_empty() && self.pieces.is_empty() {
            // A window that began when the last batch was done goes on; one that has passed without records does not.
            let running = self.last_done.filter(|done| time::after(*done, window) > now);
            self.window_from = Some(running.unwrap_or(now));
        }
        self.queued_bytes += entry.record.json().len() + 1;
        self.queue.push_back(entry);
    }

    /// Records that wait to be put into a batch.
    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy.is_some()
    }

    /// Whether nothing is left to do: no records, and after the shard's end no open window.
    pub(super) fn is_done(&self) -> bool {
        let idle = self.queue.is_empty() && self.pieces.is_empty() && self.report.is_none() && self.busy.is_none();
        idle && self.window().is_none()
    }

    /// The tumbling window that is open.
    pub(super) fn window(&self) -> Option<&super::WindowState> {
        self.tumbling.as_ref()?.open()
    }

    /// Forgets what is not finished: it is read again.
    pub(super) fn release(&mut self) {
        self.queue.clear();
        self.queued_bytes = 0;
        self.pieces.clear();
        self.report = None;
        self.window_from = None;
    }

    /// What is to be done now, if anything is.
    pub(super) fn poll(&mut self, around: &mut Around<'_>) -> Option<Act> {
        if self.busy.is_some() {
            return None;
        }
        self.close_window(around);
        if self.pieces.is_empty() && self.report.is_none() {
            self.form(around);
        }
        self.cut_expired(around);
        if let Some((failure, piece)) = self.report.take() {
            self.busy = Some(Busy::Reporting(piece));
            return Some(Act::Report(failure));
        }
        self.invoke(around)
    }

    /// When to ask again although nothing was answered.
    pub(super) fn wake(&self, settings: &Settings) -> Option<Timestamp> {
        if self.busy.is_some() {
            return None;
        }
        if let Some(piece) = self.pieces.last() {
            return Some(piece.not_before);
        }
        let batch = self.window_from.filter(|_| !self.queue.is_empty());
        let batch = batch.map(|from| time::after(from, settings.batching_window));
        let close = settings.idle_window_close.filter(|_| self.queue.is_empty());
        let close = close.and_then(|wait| Some(time::after(self.tumbling.as_ref()?.end()?, wait)));
        batch.into_iter().chain(close).min()
    }

    /// Puts the last invocation of a window before everything else, where it is due (ESM-52 to 55).
    fn close_window(&mut self, around: &Around<'_>) {
        let Some(tumbling) = &self.tumbling else { return };
        let is_closing = self.pieces.last().is_some_and(|piece| piece.last.is_some());
        if tumbling.open().is_none() || is_closing || self.report.is_some() {
            return;
        }
        let over = match self.queue.front() {
            Some(next) => tumbling.is_over_at(next.born),
            None => around.ended || self.is_idle_over(tumbling, around),
        };
        let early = tumbling.is_oversize();
        if early || (over && self.pieces.is_empty()) {
            self.pieces.push(Piece::closing(early));
        }
    }

    fn is_idle_over(&self, tumbling: &Tumbling, around: &Around<'_>) -> bool {
        let close = around.settings.idle_window_close;
        close.zip(tumbling.end()).is_some_and(|(wait, end)| time::after(end, wait) <= around.now)
    }

    /// Makes a batch of what is queued, if it is time.
    fn form(&mut self, around: &Around<'_>) {
        let count = self.batch_length(around.settings.batch_size);
        let whole = count == around.settings.batch_size || count < self.queue.len() || around.ended;
        let from = self.window_from.unwrap_or(around.now);
        if count == 0 || !(whole || time::after(from, around.settings.batching_window) <= around.now) {
            return;
        }
        let entries: Vec<_> = self.queue.drain(..count).collect();
        self.queued_bytes -= entries.iter().map(|entry| entry.record.json().len() + 1).sum::<usize>();
        self.pieces.push(Piece::new(entries));
    }

    /// How many of the queued records fit into one batch: by number, by bytes (ESM-27), by tumbling window.
    fn batch_length(&self, most: usize) -> usize {
        let mut bytes = ENVELOPE + self.window().map_or(0, |open| open.state.len());
        let mut count = 0;
        for entry in self.queue.iter().take(most) {
            bytes += entry.record.json().len() + 1;
            let later = self.tumbling.as_ref().is_some_and(|it| it.is_later(self.queue[0].born, entry.born));
            if count > 0 && (bytes > PAYLOAD_LIMIT || later) {
                break;
            }
            count += 1;
        }
        count
    }

    /// Gives up on the records at the head of the next batch that are too old (ESM-43).
    fn cut_expired(&mut self, around: &mut Around<'_>) {
        let Some(piece) = self.pieces.last() else { return };
        if around.now < piece.not_before || self.report.is_some() {
            return;
        }
        let lifetime = around.settings.lifetime();
        let is_old = |entry: &&Entry| time::between(entry.born, around.now) > lifetime;
        let old = piece.entries.iter().take_while(is_old).count();
        if old == 0 {
            return;
        }
        let mut expired = self.pieces.pop().expect("there is a piece");
        let fresh = expired.entries.split_off(old);
        if !fresh.is_empty() {
            self.pieces.push(Piece::new(fresh));
        }
        self.discard(expired, Condition::RecordAgeExceeded, around);
    }

    fn invoke(&mut self, around: &mut Around<'_>) -> Option<Act> {
        let piece = self.pieces.last().filter(|piece| around.now >= piece.not_before)?;
        let (attempt, records) = (piece.attempts + 1, piece.entries.len());
        if let (Some(tumbling), Some(first)) = (&mut self.tumbling, piece.entries.first()) {
            tumbling.enter(first.born);
        }
        let payload = self.payload(self.pieces.last()?, around);
        around.metrics.invocations += 1;
        around.metrics.retries += u64::from(attempt > 1);
        let shard = around.shard.clone();
        around.events.push(Event::Invoked { shard, lane: self.number, records, attempt });
        self.busy = Some(Busy::Invoking);
        Some(Act::Invoke(payload))
    }

    fn payload(&self, piece: &Piece, around: &Around<'_>) -> Bytes {
        let mut event = EventWriter::new();
        for entry in &piece.entries {
            event.push_json(entry.record.json());
        }
        match self.around_records(piece.last, around) {
            Some(window) => event.finish_in(&window),
            None => event.finish(),
        }
    }

    fn around_records(&self, last: Option<Final>, around: &Around<'_>) -> Option<TumblingWindow> {
        self.tumbling.as_ref().map(|tumbling| tumbling.window(around.shard, around.stream, last))
    }

    /// Takes the function's answer.
    pub(super) fn answered(&mut self, answer: &Answer, around: &mut Around<'_>) {
        self.busy = None;
        let Some(mut piece) = self.pieces.pop() else { return };
        let reading = verdict::read(around.settings, &piece.sequences(), answer);
        piece.note(answer, &reading);
        self.take_state(&reading);
        let facts = Facts { records: piece.entries.len(), attempts: piece.attempts, not_run: piece.not_run };
        let decision = policy::decide(around.settings, facts, &reading.verdict);
        tell(&piece, reading, &decision, around);
        self.apply(piece, decision, around);
    }

    fn take_state(&mut self, reading: &Reading) {
        if let (Some(tumbling), Some(state)) = (&mut self.tumbling, &reading.state) {
            tumbling.set_state(state.clone());
        }
    }

    fn apply(&mut self, mut piece: Piece, decision: Decision, around: &mut Around<'_>) {
        match decision {
            Decision::Done => self.handled(piece, around),
            Decision::Advance(done) => {
                let rest = piece.entries.split_off(done);
                self.pieces.push(Piece::new(rest));
                self.handled(piece, around);
            }
            Decision::Split(first) => {
                let rest = piece.entries.split_off(first);
                self.pieces.push(Piece::new(rest));
                self.pieces.push(Piece::new(piece.entries));
            }
            Decision::Retry(wait) => {
                piece.not_before = time::after(around.now, wait);
                self.pieces.push(piece);
            }
            Decision::Exhausted => self.discard(piece, Condition::RetryAttemptsExhausted, around),
        }
    }

    fn handled(&mut self, piece: Piece, around: &mut Around<'_>) {
        let records = piece.entries.len();
        around.metrics.invoked += records as u64;
        if let Some(last) = piece.entries.last() {
            let age = time::between(last.born, around.now);
            around.events.push(Event::Handled { shard: around.shard.clone(), records, age });
        }
        self.finish(&piece.entries, piece.last, around);
    }

    fn discard(&mut self, piece: Piece, condition: Condition, around: &mut Around<'_>) {
        let records = piece.entries.len();
        around.metrics.discarded += records as u64;
        if condition == Condition::RetryAttemptsExhausted {
            around.metrics.invoked += records as u64;
            around.metrics.failed_invoke += records as u64;
        }
        around.events.push(Event::Discarded { shard: around.shard.clone(), records, condition });
        if !around.settings.failure_destination {
            return self.finish(&piece.entries, piece.last, around);
        }
        let failure = self.failure(&piece, condition, around);
        self.report = Some((Box::new(failure), piece));
    }

    /// Takes the destination's answer: either way the shard goes on (ESM-46).
    pub(super) fn reported(&mut self, refused: Option<String>, around: &mut Around<'_>) {
        let Some(Busy::Reporting(piece)) = self.busy.take() else { return };
        let records = piece.entries.len() as u64;
        match &refused {
            None => around.metrics.delivered_on_failure += records,
            Some(_) => {
                around.metrics.destination_failures += 1;
                around.metrics.dropped += records;
            }
        }
        around.events.push(Event::Reported { shard: around.shard.clone(), refused });
        self.finish(&piece.entries, piece.last, around);
    }

    fn finish(&mut self, entries: &[Entry], last: Option<Final>, around: &mut Around<'_>) {
        entries.iter().for_each(|entry| around.progress.done(entry.index));
        if last.is_some() {
            self.end_window();
        }
        if self.pieces.is_empty() {
            self.last_done = Some(around.now);
            self.window_from = self.last_done;
        }
    }

    fn end_window(&mut self) {
        if let Some(tumbling) = &mut self.tumbling {
            tumbling.close();
        }
    }

    fn failure(&self, piece: &Piece, condition: Condition, around: &Around<'_>) -> FailureRecord {
        let answer = piece.answer.clone();
        let expired = condition == Condition::RecordAgeExceeded;
        FailureRecord {
            condition,
            request_id: answer.as_ref().and_then(|it| it.request_id.clone()).unwrap_or_else(random_uuid),
            function_arn: around.settings.function_arn.clone(),
            invoke_count: piece.attempts + u32::from(expired),
            response: answer.filter(|_| !expired).map(LastAnswer::response),
            time: around.now,
            shard: around.shard.clone(),
            stream_arn: around.stream.to_owned(),
            records: range(&piece.entries),
            window: piece.last.and_then(|last| self.around_records(Some(last), around)),
            payload: self.payload(piece, around),
            mapping: around.settings.uuid.clone(),
        }
    }
}

impl Piece {
    fn note(&mut self, answer: &Answer, reading: &Reading) {
        if reading.verdict == Verdict::NotRun {
            self.not_run += 1;
            return;
        }
        self.attempts += 1;
        self.not_run = 0;
        let (request_id, version) = (answer.request_id.clone(), answer.version.clone());
        self.answer = Some(LastAnswer { request_id, version, raised: reading.raised });
    }
}

impl LastAnswer {
    fn response(self) -> LastResponse {
        LastResponse {
            status_code: 200,
            executed_version: self.version.unwrap_or_else(|| "$LATEST".to_owned()),
            function_error: self.raised.then_some("Unhandled"),
        }
    }
}

fn range(entries: &[Entry]) -> Option<RecordRange> {
    let (first, last) = (entries.first()?, entries.last()?);
    Some(RecordRange {
        first: first.record.sequence().clone(),
        last: last.record.sequence().clone(),
        first_at: first.born,
        last_at: last.born,
        count: entries.len(),
    })
}

/// Tells about a failure.
fn tell(piece: &Piece, reading: Reading, decision: &Decision, around: &mut Around<'_>) {
    let Some(reason) = reading.reason else { return };
    let next = match decision {
        Decision::Done => return,
        Decision::Advance(_) => Next::Remainder,
        Decision::Split(first) => Next::Split { first: *first },
        Decision::Retry(wait) => Next::Retry { wait: *wait },
        Decision::Exhausted => Next::Discard,
    };
    let records = piece.entries.len();
    around.events.push(Event::Failed { shard: around.shard.clone(), records, reason, next });
}
