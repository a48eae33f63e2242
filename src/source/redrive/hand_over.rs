//! Hands records to a function and reads its answers.

use bytes::Bytes;

use super::{Batch, lost::Part};
use crate::{
    pattern::FilterCriteria,
    record::wire::EventWriter,
    source::mapping::{PAYLOAD_LIMIT, Sequence, Settings, Target, policy::Verdict, verdict},
};

/// What an event has around its records, rounded up.
const ENVELOPE: usize = 1024;

/// Hands records to a function again.
pub struct Redrive {
    function: Box<dyn Target>,
    settings: Settings,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redriven {
    /// Records that the function handled.
    pub handled: usize,
    /// Records that the filter declined.
    pub declined: usize,
    /// Invocations.
    pub invocations: usize,
    /// Where it stopped, if it did: this record and those behind it are not handled.
    pub unfinished: Option<Unfinished>,
}

/// The first record that is not handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its sequence number.
    pub sequence: Sequence,
    /// What the function says, in a few words.
    pub reason: String,
}

impl Redrive {
    /// Hands records to this function: at most 100 at a time.
    pub fn new(function: impl Target) -> Self {
        let mut settings = Settings::new("redrive");
        settings.report_item_failures = true;
        Self { function: Box::new(function), settings }
    }

    /// At most so many records in an invocation: 1 to 10,000.
    #[must_use]
    pub fn batch_size(mut self, records: usize) -> Self {
        self.settings.batch_size = records.clamp(1, 10_000);
        self
    }

    /// Only what these patterns want, as the mapping had it. What cannot be read is never declined.
    #[must_use]
    pub fn filter(mut self, criteria: FilterCriteria) -> Self {
        self.settings.filter_criteria = criteria;
        self
    }

    /// The records that would be handed over.
    pub fn wanted<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a Sequence> {
        self.parts(batch).map(|part| &part.sequence)
    }

    /// Hands the records over, in order, until all are handled or one is not.
    ///
    /// The function's answer is read as with `ReportBatchItemFailures`: what comes before the earliest record that it names is handled. From there
    /// it is invoked again as long as that brings it on.
    pub async fn hand_over(&self, batch: &Batch) -> Redriven {
        let wanted: Vec<&Part> = self.parts(batch).collect();
        let mut report = Redriven { declined: batch.len() - wanted.len(), ..Redriven::default() };
        while report.handled < wanted.len() && report.unfinished.is_none() {
            let rest = &wanted[report.handled..];
            self.invoke(&rest[..self.fitting(rest)], &mut report).await;
        }
        report
    }

    fn parts<'a>(&'a self, batch: &'a Batch) -> impl Iterator<Item = &'a Part> {
        let wants = |part: &&Part| {
            let raw = part.record.as_ref().and_then(|record| record.raw());
            raw.is_none_or(|raw| self.settings.filter_criteria.matches(raw))
        };
        batch.records.iter().filter(wants)
    }

    /// How many of the records fit into one event: at least one.
    fn fitting(&self, records: &[&Part]) -> usize {
        let sizes = records.iter().take(self.settings.batch_size).scan(ENVELOPE, |bytes, part| {
            *bytes += part.json.len() + 1;
            Some(*bytes)
        });
        sizes.take_while(|bytes| *bytes <= PAYLOAD_LIMIT).count().max(1)
    }

    async fn invoke(&self, records: &[&Part], report: &mut Redriven) {
        report.invocations += 1;
        let answer = self.function.invoke(event(records)).await;
        let sequences: Vec<&Sequence> = records.iter().map(|part| &part.sequence).collect();
        let reading = verdict::read(&self.settings, &sequences, &answer);
        let done = match reading.verdict {
            Verdict::Success => records.len(),
            Verdict::Partial(done) => done,
            Verdict::Failure | Verdict::NotRun => 0,
        };
        report.handled += done;
        if done == 0 {
            let reason = reading.reason.unwrap_or_default();
            report.unfinished = Some(Unfinished { sequence: sequences[0].clone(), reason });
        }
    }
}

fn event(records: &[&Part]) -> Bytes {
    let mut event = EventWriter::new();
    records.iter().for_each(|part| event.push_json(&part.json));
    event.finish()
}
