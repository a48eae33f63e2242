//! What came of the demo.

use anabranch::{
    dispatch::BatchReport,
    sink::dead_letter::DeadLetter,
    testing::embedded::{Embedded, PET_TRACKER, PET_TRACKER_REPLICA},
};
use serde_json::{Map, Value, json};

use super::{
    compare::{self, Rows},
    figures::Figures,
    observer::Observer,
    past::Past,
    script,
    search::Comparison,
    targets::Targets,
};
use crate::BoxError;

/// What the demo adds up over its batches.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) batches: usize,
    pub(super) applied: usize,
    pub(super) skipped: usize,
    pub(super) dead_lettered: usize,
    pub(super) redelivered: usize,
    partial_answers: usize,
    /// What a second worker made of a batch that the first was done with.
    pub(super) repeated: Option<BatchReport>,
}

impl Totals {
    pub(super) fn add(&mut self, report: &BatchReport) {
        self.batches += 1;
        self.applied += report.applied;
        self.skipped += report.skipped_total();
        self.dead_lettered += report.dead_lettered;
        self.redelivered += report.redelivered;
        self.partial_answers += usize::from(report.unfinished.is_some());
    }
}

/// What there is at the end, and whether it is as it should be.
pub(super) struct Outcome {
    pub(super) totals: Totals,
    changes: usize,
    pub(super) items: usize,
    /// Items that the replica has otherwise than the table.
    pub(super) differences: Vec<String>,
    /// As the views have them.
    pub(super) figures: Figures,
    pub(super) search: Comparison,
    pub(super) notifications: Vec<String>,
    pub(super) letters: Vec<DeadLetter>,
    /// The last act.
    past: Option<Past>,
    /// What has to hold, and whether it does.
    pub(super) checks: Vec<(&'static str, bool)>,
}

impl Outcome {
    /// Reads everything back.
    pub(super) async fn of(
        embedded: &Embedded,
        targets: &Targets,
        observer: &Observer,
        letters: Vec<DeadLetter>,
        totals: Totals,
        changes: usize,
    ) -> Result<Self, BoxError> {
        let client = embedded.dynamodb();
        let table = compare::rows(&client, PET_TRACKER).await?;
        let replica = compare::rows(&client, PET_TRACKER_REPLICA).await?;
        let mut outcome = Self {
            totals,
            changes,
            items: table.len(),
            differences: compare::differences(&table, replica),
            figures: Figures::read(&targets.views).await?,
            search: targets.indexes.compare(script::keys(), &findable(&table)).await?,
            notifications: targets.topic.texts(),
            letters,
            past: None,
            checks: Vec::new(),
        };
        outcome.checks = outcome.checked(&table, observer);
        Ok(outcome)
    }

    /// Adds the last act, and what has to hold of it.
    pub(super) fn add(&mut self, past: Past) {
        self.checks.extend(past.checks());
        self.past = Some(past);
    }

    pub(super) fn is_ok(&self) -> bool {
        self.checks.iter().all(|(_, held)| *held)
    }

    fn checked(&self, table: &Rows, observer: &Observer) -> Vec<(&'static str, bool)> {
        let Totals { applied, skipped, dead_lettered, partial_answers, redelivered, .. } = self.totals;
        let done = applied + skipped + dead_lettered;
        let poison = self.letters.iter().all(|letter| letter.reason.contains("weightKg"));
        let repeated = self.totals.repeated.as_ref().is_some_and(|report| report.read > 0 && report.applied == 0);
        vec![
            ("table and replica are equal", self.differences.is_empty() && self.items > 0),
            ("the views are what the table comes to", self.figures == Figures::of(table)),
            ("the indexes hold what the table does", self.search.differences.is_empty() && self.documents() > 0),
            ("the expected notifications were sent, each once", self.notifications_are_right()),
            ("every change is accounted for once", done == self.changes),
            ("the undecodable record, and only that, is a dead letter", self.letters.len() == 1 && poison),
            ("the failed record was delivered again", partial_answers >= 1 && redelivered >= 1),
            ("a batch that came twice changed nothing the second time", repeated),
            ("no item's changes came out of order", observer.in_order()),
        ]
    }

    fn notifications_are_right(&self) -> bool {
        let sorted = |mut texts: Vec<String>| {
            texts.sort_unstable();
            texts
        };
        sorted(self.notifications.clone()) == sorted(script::NEWS.map(str::to_owned).into())
    }

    pub(super) fn documents(&self) -> usize {
        self.search.documents.values().sum()
    }

    /// For machines.
    pub(super) fn summary(&self) -> Value {
        let checks: Map<_, _> = self.checks.iter().map(|(name, held)| ((*name).to_owned(), (*held).into())).collect();
        json!({
            "ok": self.is_ok(),
            "changes": self.changes,
            "batches": self.totals.batches,
            "applied": self.totals.applied,
            "skipped": self.totals.skipped,
            "dead_lettered": self.totals.dead_lettered,
            "redelivered": self.totals.redelivered,
            "items": self.items,
            "differences": self.differences.len(),
            "notifications": self.notifications.len(),
            "documents": self.documents(),
            "past": self.past.as_ref().map(Past::summary),
            "checks": checks,
        })
    }
}

/// What a search should find: all but the item that no index takes, since its mapping wants a number.
fn findable(table: &Rows) -> Rows {
    table.iter().filter(|((_, sort), _)| sort != script::POISON).map(|(key, row)| (key.clone(), row.clone())).collect()
}
