//! What a batch comes to in numbers. The chapter on [metrics](crate::metric) says what each of them is.

use std::time::{Duration, SystemTime};

use metrics::{Unit, counter, histogram};
use tokio::time::Instant;

use super::{BatchReport, Cause, DispatchError};
use crate::{
    handler::{Context, DECODES_PER_SAMPLE, Halt, Outcome, Skip, Verdict},
    record::{EventName, RawRecord},
    router::Table,
};

/// Counts along the way of a batch.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    /// Inserts, modifies and removes.
    kinds: [u64; 3],
    /// What the handlers of each route answered.
    routes: Vec<Answers>,
    rejected: usize,
    /// How old the first change was when the batch came.
    lag: Option<Duration>,
    reading: Duration,
    handling: Duration,
    decoding: Duration,
}

/// What the handlers of a route answered.
#[derive(Debug, Default)]
pub(super) struct Answers {
    applied: u64,
    skipped: u64,
    failed: u64,
}

impl Meter {
    pub(super) fn new(routes: usize) -> Self {
        Self {
            started: Instant::now(),
            kinds: [0; 3],
            routes: std::iter::repeat_with(Answers::default).take(routes).collect(),
            rejected: 0,
            lag: None,
            reading: Duration::ZERO,
            handling: Duration::ZERO,
            decoding: Duration::ZERO,
        }
    }

    /// Records that were read and routed since `began`.
    pub(super) fn read(&mut self, fresh: &[RawRecord], began: Instant) {
        self.reading += began.elapsed();
        for raw in fresh {
            self.kinds[kind(raw.event_name())] += 1;
        }
        if let Some(created) = fresh.first().filter(|raw| raw.position() == 0).and_then(RawRecord::created_at) {
            // A clock that is ahead of ours has made a change that is not old at all.
            self.lag = Some(SystemTime::now().duration_since(created.into()).unwrap_or_default());
        }
    }

    pub(super) fn rejected(&mut self, records: usize) {
        self.rejected += records;
    }

    pub(super) fn answered(&mut self, route: usize, answers: Answers) {
        let Answers { applied, skipped, failed } = &mut self.routes[route];
        *applied += answers.applied;
        *skipped += answers.skipped;
        *failed += answers.failed;
    }

    /// A window of which handlers, since `began`, have taken so many records.
    pub(super) fn handled(&mut self, halt: &Halt, taken: usize, began: Instant) {
        let timed = taken.div_ceil(DECODES_PER_SAMPLE).max(1);
        let decoding = halt.decoding().mul_f64(taken as f64 / timed as f64);
        self.handling += began.elapsed().saturating_sub(decoding);
        self.decoding += decoding;
    }

    /// Hands everything to the recorder of metrics, if there is one.
    pub(super) fn emit(&self, table: &Table, context: &Context, report: Result<&BatchReport, &DispatchError>) {
        match report {
            Ok(report) => count(report, self.rejected),
            Err(_) => refused(),
        }
        for (name, records) in ["Inserts", "Modifies", "Removes"].into_iter().zip(self.kinds) {
            counter!(name).increment(records);
        }
        for (route, answers) in self.routes.iter().enumerate() {
            answers.emit(table.name(route));
        }
        self.times(context);
    }

    fn times(&self, context: &Context) {
        macro_rules! millis {
            ($($name:literal: $time:expr, $description:literal;)+) => {
                $(if let Some(time) = $time {
                    let millis = time.as_secs_f64() * 1_000.0;
                    histogram!(unit: Unit::Milliseconds, description: $description, $name).record(millis);
                })+
            };
        }
        millis! {
            "BatchTime": Some(self.started.elapsed()), "from the first byte to the answer";
            "ReadTime": Some(self.reading), "finding records and their routes";
            "DecodeTime": Some(self.decoding), "decoding images, estimated from a sample of the records";
            "HandlerTime": Some(self.handling), "in handlers, without decoding";
            "IteratorLag": self.lag, "since the first change of the batch was made";
            "RemainingTime": context.deadline.remaining(), "left until the deadline when the batch was done";
        }
    }
}

impl Answers {
    #[inline]
    pub(super) fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Ok(Outcome::Applied) => self.applied += 1,
            Ok(Outcome::Skipped(_)) => self.skipped += 1,
            Err(_) => self.failed += 1,
        }
    }

    fn emit(&self, entity: &str) {
        let counts = [("EntityApplied", self.applied), ("EntitySkipped", self.skipped), ("EntityFailed", self.failed)];
        for (name, records) in counts.into_iter().filter(|(_, records)| *records > 0) {
            counter!(name, "Entity" => entity.to_owned()).increment(records);
        }
    }
}

/// A batch that failed as a whole.
pub(super) fn refused() {
    counter!("BatchesFailed").increment(1);
}

/// What every batch is counted by, also where it is zero: alarms want to see that.
fn count(report: &BatchReport, rejected: usize) {
    let unfinished = report.unfinished.as_ref();
    let flag = u64::from;
    counter!("RecordsRead").increment(report.read as u64);
    counter!("RecordsApplied").increment(report.applied as u64);
    counter!("RecordsSkipped").increment(report.skipped_total() as u64);
    counter!("RecordsRejected").increment(rejected as u64);
    counter!("RecordsRedelivered").increment(report.redelivered as u64);
    counter!("DeadLetters").increment(report.dead_lettered as u64);
    counter!("PrefixReached").increment(unfinished.map_or(report.read, |it| it.position) as u64);
    counter!("BatchesUnfinished").increment(flag(unfinished.is_some()));
    counter!("BatchesBlocked").increment(flag(unfinished.is_some_and(|it| it.position == 0)));
    counter!("BatchesOutOfTime").increment(flag(unfinished.is_some_and(|it| it.cause == Cause::Deadline)));
    for (skip, records) in &report.skipped {
        counter!(skipped(*skip)).increment(*records as u64);
    }
}

fn skipped(skip: Skip) -> &'static str {
    match skip {
        Skip::Filtered => "SkippedFiltered",
        Skip::Stale => "SkippedStale",
        Skip::Duplicate => "SkippedDuplicate",
        Skip::Snapshot => "SkippedSnapshot",
        Skip::Ignored => "SkippedIgnored",
    }
}

fn kind(name: EventName) -> usize {
    match name {
        EventName::Insert => 0,
        EventName::Modify => 1,
        EventName::Remove => 2,
    }
}
