//! Reads one shard: iterators, pages, and the ways in which both are lost.

use std::time::Duration;

use super::{
    Event, Sequence, Settings, ShardId, StreamRecord, TrimPolicy,
    ports::{FaultKind, Position, RecordPage, StreamFault},
    time,
};
use crate::record::Timestamp;

const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// The wait before a shard is read that was said to have ended.
const REOPENING: Duration = Duration::from_secs(1);
/// So many empty pages in a row are the tip of the shard. One is none: pages may be empty although later data exists (ESM-58).
const TIP: u32 = 10;
/// A position that stood at the tip so recently has lost nothing, though its record is trimmed; an hour to be safe.
const SAFETY: Duration = Duration::from_secs(60 * 60);
/// Who asks seldom and goes away in between would never see so many pages: when nothing is known for so long, they are asked for
/// one behind the other.
const NEWS: Duration = Duration::from_secs(60 * 60);
/// A fault that some back ends report for no reason is believed when it comes this often in a row.
const PATIENCE: u32 = 2;

/// What the reader asks the stream for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    Iterator(Position),
    Records(String),
}

/// What comes of an answer.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) records: Vec<StreamRecord>,
    pub(super) events: Vec<Event>,
    /// Only a listing can tell if the shard has ended.
    pub(super) doubt: Option<Doubt>,
    /// The shard is closed, and there is nothing behind what was read.
    pub(super) over: bool,
    /// Records are missing, and the policy is to fail.
    pub(super) gap: bool,
}

/// Why it is doubtful whether a shard has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doubt {
    /// There is no next iterator; some back ends say so of live shards.
    NoIterator,
    /// The back end does not know the shard; some say so of live shards.
    Unknown,
}

#[derive(Debug)]
pub(super) struct Reader {
    shard: ShardId,
    /// Where to begin as long as nothing was read.
    start: Position,
    /// Records created before are not wanted.
    since: Option<Timestamp>,
    read_to: Option<Sequence>,
    iterator: Option<String>,
    busy: bool,
    at: Timestamp,
    failures: u32,
    /// Faults in a row that may be spurious.
    doubts: u32,
    /// The known position is of no use: read from the oldest record, and skip what was read already.
    from_horizon: bool,
    /// Nobody said yet whether records behind the last one that was read are missing: the oldest record will tell.
    lost: bool,
    empty_pages: u32,
    /// When it last stood at the tip; before it has read anything, when the shard was found.
    idle_at: Option<Timestamp>,
    /// When it last read a record or stood at the tip, if that is known.
    known_at: Option<Timestamp>,
    /// The listing says that no record will be added.
    closed: bool,
    ended: bool,
}

impl Reader {
    pub(super) fn new(shard: ShardId, start: Position, idle_at: Option<Timestamp>) -> Self {
        let read_to = if let Position::After(sequence) = &start { Some(sequence.clone()) } else { None };
        let since = if let Position::Since(time) = &start { Some(*time) } else { None };
        Self {
            shard,
            start,
            since,
            read_to,
            iterator: None,
            busy: false,
            at: Timestamp::from_nanos(i64::MIN),
            failures: 0,
            doubts: 0,
            from_horizon: false,
            lost: false,
            empty_pages: 0,
            idle_at,
            known_at: idle_at,
            closed: false,
            ended: false,
        }
    }

    /// Begins behind the newest record. If the iterator is lost before anything was read, "since then" is the position.
    pub(super) fn latest(shard: ShardId, now: Timestamp) -> Self {
        Self { since: Some(now), ..Self::new(shard, Position::Latest, Some(now)) }
    }

    pub(super) fn since(&self) -> Option<Timestamp> {
        self.since
    }

    pub(super) fn idle_at(&self) -> Option<Timestamp> {
        self.idle_at
    }

    pub(super) fn read_to(&self) -> Option<&Sequence> {
        self.read_to.as_ref()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    /// When there is something to ask for, as long as there is room.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        (!self.busy && !self.ended).then_some(self.at)
    }

    /// Asks now, whatever was planned.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        self.at = self.at.min(now);
    }

    pub(super) fn ask(&mut self, now: Timestamp) -> Option<Ask> {
        if self.busy || self.ended || now < self.at {
            return None;
        }
        self.busy = true;
        Some(match self.iterator.take() {
            Some(iterator) => Ask::Records(iterator),
            None => Ask::Iterator(self.position()),
        })
    }

    fn position(&self) -> Position {
        match &self.read_to {
            _ if self.from_horizon => Position::TrimHorizon,
            Some(last) => Position::After(last.clone()),
            None => self.start.clone(),
        }
    }

    /// The listing says that the shard has not ended, whatever the reader was told.
    pub(super) fn reopen(&mut self, now: Timestamp, doubt: Doubt) {
        self.ended = false;
        self.iterator = None;
        if doubt == Doubt::Unknown {
            self.from_horizon = true;
            self.lost = self.read_to.is_some();
            self.empty_pages = 0;
        }
        self.doubts = 0;
        self.at = time::after(now, REOPENING);
    }

    /// The listing says that the shard is closed. What was added between the last page and that is still to be read.
    pub(super) fn close(&mut self, now: Timestamp) {
        (self.ended, self.closed) = (false, true);
        self.iterator = None;
        self.at = now;
    }

    /// There is nothing more to be read.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    pub(super) fn iterator(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        answer: Result<String, StreamFault>,
    ) -> Taken {
        self.busy = false;
        match answer {
            Ok(iterator) => {
                if let (Position::Latest, Some(since)) = (&self.start, self.since) {
                    self.start = Position::Since(since);
                }
                self.iterator = Some(iterator);
                self.failures = 0;
                self.look_back(now, settings)
            }
            Err(fault) => self.no_iterator(now, settings, fault),
        }
    }

    fn no_iterator(&mut self, now: Timestamp, settings: &Settings, fault: StreamFault) -> Taken {
        let known = !matches!(self.position(), Position::TrimHorizon | Position::Latest);
        match (fault.kind, &self.position()) {
            (FaultKind::Invalid | FaultKind::Trimmed, Position::Since(_)) => {
                // This back end has no AT_TIMESTAMP, or has trimmed that time: the filter by time does the work.
                self.from_horizon = true;
                Taken::default()
            }
            (FaultKind::Trimmed | FaultKind::Invalid, _) if known => self.trimmed(now, settings),
            (FaultKind::NotFound, _) => self.unknown(now, settings, fault),
            _ => self.failed(now, fault),
        }
    }

    /// The position is beyond the trim horizon, and what came behind it may be, too.
    fn trimmed(&mut self, now: Timestamp, settings: &Settings) -> Taken {
        self.from_horizon = true;
        self.lost = false;
        if self.idle_at.is_some_and(|tip| is_safe(settings, tip, now)) {
            return Taken::default();
        }
        self.missing(settings)
    }

    /// The oldest record behind a lost position tells: if the last one that was read is still there, so is all behind it; if it is not,
    /// others may be gone with it. Where there are no records at all, it takes as many pages to believe it as at the tip (ESM-58).
    fn look_for_gap(&mut self, now: Timestamp, settings: &Settings, page: &RecordPage) -> Taken {
        let nothing = self.empty_pages + 1 >= TIP || (self.closed && page.next.is_none());
        match page.records.first() {
            _ if !self.lost => Taken::default(),
            Some(oldest) if self.read_to.as_ref().is_some_and(|read_to| oldest.sequence() <= read_to) => {
                self.lost = false;
                Taken::default()
            }
            None if !nothing => Taken::default(),
            _ => self.trimmed(now, settings),
        }
    }

    /// Behind no record, the oldest one is where reading begins, and only the time tells whether there were older ones.
    fn look_back(&mut self, now: Timestamp, settings: &Settings) -> Taken {
        if self.read_to.is_some() || self.idle_at.is_none_or(|tip| is_safe(settings, tip, now)) {
            return Taken::default();
        }
        if settings.trimmed == TrimPolicy::Continue {
            self.idle_at = Some(now);
        }
        self.missing(settings)
    }

    fn missing(&self, settings: &Settings) -> Taken {
        let gap = Event::Gap { shard: self.shard.clone(), after: self.read_to.clone() };
        Taken { events: vec![gap], gap: settings.trimmed == TrimPolicy::Fail, ..Taken::default() }
    }

    /// No such shard, says the back end. If the listing still has it, it is read from its oldest record.
    fn unknown(&mut self, now: Timestamp, settings: &Settings, fault: StreamFault) -> Taken {
        self.doubts += 1;
        if self.doubts <= PATIENCE {
            return self.failed(now, fault);
        }
        self.ended = true;
        // No listing is asked about a shard that is closed.
        let missing = if self.closed && self.lost { self.trimmed(now, settings) } else { Taken::default() };
        let mut events = vec![Event::PositionLost { shard: self.shard.clone(), reason: fault.message }];
        events.extend(missing.events);
        Taken { events, doubt: (!missing.gap).then_some(Doubt::Unknown), gap: missing.gap, ..Taken::default() }
    }

    fn failed(&mut self, now: Timestamp, fault: StreamFault) -> Taken {
        self.failures += 1;
        let wait = backoff(self.failures);
        self.at = time::after(now, wait);
        let event = Event::ReadFailed { shard: Some(self.shard.clone()), reason: fault.to_string(), wait };
        Taken { events: vec![event], ..Taken::default() }
    }

    pub(super) fn records(
        &mut self,
        now: Timestamp,
        settings: &Settings,
        used: &str,
        answer: Result<RecordPage, StreamFault>,
    ) -> Taken {
        self.busy = false;
        match answer {
            Ok(page) => self.page(now, settings, page),
            Err(fault) => self.no_page(now, settings, used, fault),
        }
    }

    fn page(&mut self, now: Timestamp, settings: &Settings, page: RecordPage) -> Taken {
        (self.failures, self.doubts) = (0, 0);
        let Taken { events, gap, .. } = self.look_for_gap(now, settings, &page);
        if gap {
            // Nothing of the page is taken: the position stays before the gap.
            return Taken { events, gap, ..Taken::default() };
        }
        let got_some = !page.records.is_empty();
        let records: Vec<_> = page.records.into_iter().filter(|record| self.is_new(record)).collect();
        if let Some(last) = records.last() {
            self.read_to = Some(last.sequence().clone());
            self.from_horizon = false;
            // It was the tip of an earlier position.
            self.idle_at = None;
        }
        self.iterator = page.next;
        self.note_tip(now, got_some);
        self.at = if got_some || self.is_overdue(now) { now } else { time::after(now, settings.poll_interval) };
        let last = self.iterator.is_none();
        // Records that are not wanted are no news, or the page would be read again for ever.
        let over = last && self.closed && records.is_empty();
        // Whether a page without a successor is the last one, the listing tells.
        let doubt = (last && !self.closed).then_some(Doubt::NoIterator);
        self.ended = over || doubt.is_some();
        Taken { records, events, doubt, over, gap }
    }

    fn note_tip(&mut self, now: Timestamp, got_some: bool) {
        self.empty_pages = if got_some { 0 } else { self.empty_pages + 1 };
        let at_tip = self.empty_pages >= TIP;
        if at_tip {
            self.idle_at = Some(now);
        }
        if at_tip || got_some {
            self.known_at = Some(now);
        }
    }

    /// Whether it is time to know if this is the tip. A position of which nobody knows in time is taken for lost.
    fn is_overdue(&self, now: Timestamp) -> bool {
        self.known_at.is_none_or(|known_at| time::between(known_at, now) >= NEWS)
    }

    /// Not read before, and not created before the time that is wanted.
    fn is_new(&self, record: &StreamRecord) -> bool {
        if let Some(read_to) = &self.read_to {
            return record.sequence() > read_to;
        }
        let since = self.since.filter(|_| self.from_horizon).map(time::second);
        since.is_none_or(|since| record.created_at().is_none_or(|created| created >= since))
    }

    fn no_page(&mut self, now: Timestamp, settings: &Settings, used: &str, fault: StreamFault) -> Taken {
        match fault.kind {
            FaultKind::Expired => {
                Taken { events: vec![Event::IteratorExpired { shard: self.shard.clone() }], ..Taken::default() }
            }
            // Fetching the iterator again tells whether it is true; not if that works every time.
            FaultKind::Trimmed if self.doubts < PATIENCE => {
                self.doubts += 1;
                self.failed(now, fault)
            }
            FaultKind::Trimmed => {
                self.doubts = 0;
                self.trimmed(now, settings)
            }
            FaultKind::NotFound => self.unknown(now, settings, fault),
            FaultKind::Invalid => self.failed(now, fault),
            FaultKind::Throttled | FaultKind::Other => {
                self.iterator = Some(used.to_owned());
                self.failed(now, fault)
            }
        }
    }
}

/// Whether nothing can have been trimmed that came behind the tip at this time.
pub(super) fn is_safe(settings: &Settings, tip: Timestamp, now: Timestamp) -> bool {
    time::between(tip, now) < settings.retention.saturating_sub(SAFETY)
}

/// The wait after so many failures in a row.
pub(super) fn backoff(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(LONGEST_WAIT)
}
