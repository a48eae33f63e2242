//! One batch on its way through the dispatcher.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::time::Instant;
use tracing::Instrument;

use super::{
    BatchReport, Cause, DispatchError, Shared, Unfinished,
    meter::{Answers, Meter},
    pace::Limits,
    spans,
    window::{Lot, Slot, Window},
};
use crate::{
    handler::{Context, Erased, Failure, Halt, Outcome, Share, State},
    record::{Split, UnreadableRecord},
    sink::dead_letter::DeadLetter,
};

/// Letters that are sent together at the most: as many as a queue takes in a few requests side by side.
const MOST_LETTERS: usize = 40;

/// What is left of a record once its window was handled.
enum Fate {
    Done,
    Rejected,
    Held,
    Unfinished(Cause),
}

/// One batch on its way through the dispatcher.
pub(super) struct Run<'r> {
    shared: &'r Shared,
    context: &'r Context,
    limits: Limits,
    split: Split,
    window: Window,
    meter: Meter,
    report: BatchReport,
    /// Records that are done with (none: buried) behind one that was held back, by position.
    ahead: Vec<(usize, Option<Outcome>)>,
    /// The longest time that the dead letter sink took.
    slowest_burial: Duration,
    /// How many letters it is sent together. One at first: however slow it is, a delivery gets on by one.
    letters: usize,
    /// The first unfinished record, if it has no sequence number.
    nameless: Option<DispatchError>,
}

impl<'r> Run<'r> {
    pub(super) fn new(shared: &'r Shared, context: &'r Context, split: Split) -> Self {
        Self {
            shared,
            context,
            limits: shared.pace.limits(context.deadline),
            split,
            window: Window::new(&shared.table),
            meter: Meter::new(shared.table.handlers().len()),
            report: BatchReport::default(),
            ahead: Vec::new(),
            slowest_burial: Duration::ZERO,
            letters: 1,
            nameless: None,
        }
    }

    /// Handles the batch to its end, or to the first record that stays unfinished.
    pub(super) async fn finish(mut self) -> Result<BatchReport, DispatchError> {
        self.work().await;
        let (shared, context) = (self.shared, self.context);
        let (meter, ended) = self.ended();
        meter.emit(&shared.table, context, ended.as_ref());
        ended
    }

    async fn work(&mut self) {
        while self.report.unfinished.is_none() && self.nameless.is_none() {
            self.fill();
            if !self.window.records.is_empty() {
                self.handle().await;
                self.settle().await;
            } else if !self.bury_unreadable().await {
                self.report.complete = true;
                break;
            }
        }
    }

    fn fill(&mut self) {
        let (began, held) = (Instant::now(), self.window.records.len());
        self.window.fill(&mut self.split, &self.shared.table);
        self.meter.read(&self.window.records[held..], began);
        spans::range(&self.window.records);
    }

    /// What became of the batch.
    fn ended(self) -> (Meter, Result<BatchReport, DispatchError>) {
        let Self { meter, nameless, split, mut report, .. } = self;
        if let Some(error) = nameless {
            return (meter, Err(error));
        }
        match split.finish() {
            Ok(window) => report.window = window,
            Err(error) if report.complete => return (meter, Err(error.into())),
            // What stands behind an unfinished record is delivered again, readable or not.
            Err(_) => report.window = None,
        }
        (meter, Ok(report.balanced()))
    }

    /// Lets every route work on its part of the window, up to the cutoff.
    async fn handle(&mut self) {
        let halt = Halt::new(self.limits.admission, self.shared.dead_letters.is_some());
        let Window { records, lots, .. } = &mut self.window;
        let mut work = Vec::with_capacity(lots.len());
        for (route, (handler, Lot { entries, held, memory, next })) in
            self.shared.table.handlers().zip(lots).enumerate()
        {
            if !entries.is_empty() {
                let span = spans::handler(self.shared.table.name(route), self.context, records, entries);
                let share = Share { window: records, entries, held, memory, halt: &halt, context: self.context, next };
                work.push(guarded(handler, share).instrument(span));
            }
        }
        let began = Instant::now();
        within(self.limits.cutoff.instant(), join_all(work)).await;
        self.shared.pace.observe(halt.slowest());
        let taken = self.collect();
        self.meter.handled(&halt, taken, began);
    }

    /// Takes over the answers; gives how many records were taken by handlers.
    fn collect(&mut self) -> usize {
        let mut taken = 0;
        for (route, lot) in (0_u8..).zip(&mut self.window.lots) {
            let mut answers = Answers::default();
            taken += lot.entries.len();
            for entry in lot.entries.drain(..) {
                let slot = &mut self.window.slots[entry.index as usize];
                match entry.state {
                    State::Settled(verdict) => {
                        answers.count(&verdict);
                        slot.answer(route, verdict);
                    }
                    State::Taken(_) => slot.unanswered = Some(route),
                    State::Waiting => taken -= 1,
                }
            }
            self.meter.answered(route.into(), answers);
        }
        taken
    }

    /// Counts what is done with, buries what was rejected, and keeps what was held back for the next window.
    async fn settle(&mut self) {
        let fates = self.fates();
        let first_held = fates.held.first().copied().unwrap_or(usize::MAX);
        let end = fates.end.map(|(at, cause)| if first_held < at { (first_held, Cause::Held) } else { (at, cause) });
        let limit = end.as_ref().map_or(usize::MAX, |(at, _)| *at);
        let rejected: Vec<_> = fates.rejected.iter().copied().filter(|index| *index < limit).collect();
        self.meter.rejected(rejected.len());
        let end = match self.bury(&rejected).await {
            Some((at, _)) if first_held < at => Some((first_held, Cause::Held)),
            Some(unburied) => Some(unburied),
            None => end,
        };
        let first_open = end.as_ref().map(|(at, _)| *at).or(fates.held.first().copied());
        self.count(&fates.rejected, first_open);
        match end {
            Some((index, cause)) => self.stop(index, cause),
            None => self.window.keep(&fates.held),
        }
    }

    /// Counts what is done with, up to the first record that is not; what lies behind it may yet be delivered again.
    fn count(&mut self, buried: &[usize], first_open: Option<usize>) {
        let position = |index: usize| self.window.records[index].position();
        let first_open = first_open.map_or(usize::MAX, position);
        let last = self.window.last_position();
        self.report.read = self.report.read.max(last.map_or(0, |position| position + 1));
        let outcomes =
            self.window.slots.iter().enumerate().filter_map(|(index, slot)| Some((index, Some(slot.outcome()?))));
        let outcomes = outcomes.chain(buried.iter().map(|index| (*index, None)));
        let earlier = std::mem::take(&mut self.ahead).into_iter();
        for (position, outcome) in earlier.chain(outcomes.map(|(index, outcome)| (position(index), outcome))) {
            match position < first_open {
                true => self.report.count(outcome),
                false => self.ahead.push((position, outcome)),
            }
        }
    }

    /// What became of each record, up to the first that is unfinished.
    fn fates(&self) -> Fates {
        let mut fates = Fates::default();
        for (index, slot) in self.window.slots.iter().enumerate() {
            match self.fate(index, slot) {
                Fate::Done => {}
                Fate::Rejected => fates.rejected.push(index),
                Fate::Held => fates.held.push(index),
                Fate::Unfinished(cause) => {
                    fates.end = Some((index, cause));
                    break;
                }
            }
        }
        fates
    }

    fn fate(&self, index: usize, slot: &Slot) -> Fate {
        if let Some(route) = slot.unanswered {
            return Fate::Unfinished(Cause::Unanswered { route: self.name(route.into()) });
        }
        match &slot.verdict {
            Some(Err(Failure::Retry(_))) => Fate::Unfinished(self.retry(slot)),
            _ if slot.open.all() != 0 && self.window.is_held(index) => Fate::Held,
            Some(Err(Failure::Reject(_))) if slot.open.all() == 0 => Fate::Rejected,
            Some(Ok(_)) if slot.open.all() == 0 => Fate::Done,
            _ => Fate::Unfinished(self.not_started(slot)),
        }
    }

    fn not_started(&self, slot: &Slot) -> Cause {
        match slot.open.facets().next() {
            Some((route, _)) if !self.limits.admission.passed() => Cause::Unanswered { route: self.name(route) },
            _ => Cause::Deadline,
        }
    }

    fn retry(&self, slot: &Slot) -> Cause {
        Cause::Retry { route: self.blamed(slot), reason: reason(slot) }
    }

    fn blamed(&self, slot: &Slot) -> String {
        slot.blamed.map_or_else(|| "router".to_owned(), |route| self.name(route.into()))
    }

    fn name(&self, route: usize) -> String {
        self.shared.table.name(route).to_owned()
    }

    /// Sends rejected records to the dead letter sink; the first that it did not take, or that there is no time for, stays
    /// unfinished.
    async fn bury(&mut self, rejected: &[usize]) -> Option<(usize, Cause)> {
        let mut rest = rejected;
        while let Some(first) = rest.first() {
            // The first are worth the attempt, however late.
            if rest.len() < rejected.len() && self.is_too_slow_to_bury() {
                return Some((*first, Cause::Deadline));
            }
            let (some, others) = rest.split_at(rest.len().min(self.letters));
            let letters: Vec<_> = some.iter().map(|index| self.letter(*index)).collect();
            let answers = self.send_some(&letters).await;
            let failed =
                answers.into_iter().zip(some).find_map(|(answer, index)| answer.err().map(|sink| (*index, sink)));
            if let Some((index, sink)) = failed {
                return Some((index, Cause::NotBuried { reason: reason(&self.window.slots[index]), sink }));
            }
            rest = others;
        }
        None
    }

    /// [`send`](Self::send); the next time they may be more.
    async fn send_some(&mut self, letters: &[DeadLetter]) -> Vec<Result<(), String>> {
        let began = Instant::now();
        let answers = self.send(letters).await;
        self.slowest_burial = self.slowest_burial.max(began.elapsed());
        self.letters = MOST_LETTERS.min(self.letters * 2);
        answers
    }

    /// One answer per letter: taken, or why not.
    async fn send(&self, letters: &[DeadLetter]) -> Vec<Result<(), String>> {
        for letter in letters {
            let (sequence_number, reason) = (letter.sequence_number.as_deref(), letter.reason.as_str());
            tracing::warn!(sequence_number, reason, "record rejected");
        }
        let Some(sink) = &self.shared.dead_letters else {
            return letters.iter().map(|_| Err("no dead letter sink is configured".to_owned())).collect();
        };
        let sending = AssertUnwindSafe(sink.send(letters)).catch_unwind();
        let answers = match within(self.limits.burial.instant(), sending).await {
            Some(Ok(answers)) => answers.into_iter().map(|answer| answer.map_err(|error| error.to_string())).collect(),
            Some(Err(_)) => vec![Err("the dead letter sink panicked".to_owned())],
            None => vec![Err("the dead letter sink did not answer before the deadline".to_owned())],
        };
        // A sink that gives too few answers has not acknowledged the rest.
        let missing = std::iter::repeat_with(|| Err("the dead letter sink gave no answer".to_owned()));
        answers.into_iter().chain(missing).take(letters.len()).collect()
    }

    fn letter(&self, index: usize) -> DeadLetter {
        let (raw, slot) = (&self.window.records[index], &self.window.slots[index]);
        let reason = format!("{}: {}", self.blamed(slot), reason(slot));
        let mut letter = DeadLetter::new(raw.json_bytes(), reason, self.context.function.clone(), SystemTime::now())
            .with_sequence_number(raw.sequence_number());
        letter.event_id = raw.event_id().map(str::to_owned);
        letter.source_arn = raw.source_arn().map(str::to_owned);
        letter
    }

    /// Records that nobody can read are dead letters as they stand; everything before them is done with. Answers whether
    /// there were any.
    async fn bury_unreadable(&mut self) -> bool {
        let unreadable = self.window.unreadable(&mut self.split, self.letters);
        let (Some(first), Some(last)) = (unreadable.first(), unreadable.last()) else { return false };
        self.report.read = last.position() + 1;
        // One without a sequence number cannot be the checkpoint: it is worth the attempt, however late.
        if let Some(number) = first.sequence_number()
            && self.is_late_to_bury()
        {
            self.unfinished(first.position(), Some(number.to_owned()), Cause::Deadline);
            return true;
        }
        let letters: Vec<_> = unreadable.iter().map(|record| self.letter_as_it_stands(record)).collect();
        self.meter.rejected(letters.len());
        let answers = self.send_some(&letters).await;
        for ((record, letter), answer) in unreadable.iter().zip(letters).zip(answers) {
            match answer {
                Ok(()) => self.report.count(None),
                Err(sink) => {
                    let cause = Cause::NotBuried { reason: letter.reason, sink };
                    self.unfinished(record.position(), letter.sequence_number, cause);
                    break;
                }
            }
        }
        true
    }

    /// Whether no unreadable records may be buried any more: after admission, or if the sink would need longer than there is time.
    fn is_late_to_bury(&self) -> bool {
        self.limits.admission.passed() || self.is_too_slow_to_bury()
    }

    fn is_too_slow_to_bury(&self) -> bool {
        self.limits.burial.minus(self.slowest_burial * 2).passed()
    }

    fn letter_as_it_stands(&self, unreadable: &UnreadableRecord) -> DeadLetter {
        let (reason, function) = (unreadable.error().to_string(), self.context.function.clone());
        let mut letter = DeadLetter::new(unreadable.json().clone(), reason, function, SystemTime::now());
        letter.sequence_number = unreadable.sequence_number().map(str::to_owned);
        letter
    }

    fn stop(&mut self, index: usize, cause: Cause) {
        let raw = &self.window.records[index];
        let (position, sequence_number) = (raw.position(), raw.sequence_number().to_owned());
        self.unfinished(position, Some(sequence_number), cause);
    }

    fn unfinished(&mut self, position: usize, sequence_number: Option<String>, cause: Cause) {
        tracing::warn!(position, sequence_number, cause = cause.as_str(), detail = %cause, "record unfinished");
        match sequence_number {
            Some(sequence_number) => {
                self.report.unfinished = Some(Unfinished { position, sequence_number, cause });
            }
            None => self.nameless = Some(DispatchError::NoSequenceNumber { position, reason: cause.to_string() }),
        }
    }
}

/// What became of the records of a window, up to the first unfinished one.
#[derive(Default)]
struct Fates {
    rejected: Vec<usize>,
    held: Vec<usize>,
    end: Option<(usize, Cause)>,
}

/// A handler at work. Its panic leaves its verdicts as they are: the records without one are unfinished.
fn guarded<'a>(handler: &'a dyn Erased, share: Share<'a>) -> BoxFuture<'a, ()> {
    AssertUnwindSafe(handler.run(share)).catch_unwind().map(drop).boxed()
}

fn reason(slot: &Slot) -> String {
    match &slot.verdict {
        Some(Err(failure)) => failure.reason(),
        _ => String::new(),
    }
}

/// The output of `work`, or none if the instant comes first.
async fn within<F: Future>(end: Option<Instant>, work: F) -> Option<F::Output> {
    match end {
        Some(end) => tokio::time::timeout_at(end, work).await.ok(),
        None => Some(work.await),
    }
}
