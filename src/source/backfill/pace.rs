//! What a worker owes to the rates of its history, from segment to segment and from slice to slice.

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep_until};

use super::{Portion, Rates};
use crate::{handler::Deadline, scan::Bucket};

/// What was taken ahead of the rates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Owed {
    units: f64,
    rows: f64,
}

impl Owed {
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// Keeps one worker to the rates: each portion is charged when it has come, and the next one waits until it is paid for.
#[derive(Debug)]
pub(super) struct Pace {
    units: Option<Bucket>,
    rows: Option<Bucket>,
}

impl Pace {
    pub(super) fn new(Rates { units, rows }: Rates) -> Self {
        Self { units: units.map(Bucket::new), rows: rows.map(Bucket::new) }
    }

    pub(super) fn charge<P>(&mut self, portion: &Portion<P>) {
        let rows = portion.sink_units.unwrap_or(portion.records as f64);
        self.owe(Owed { units: portion.units.unwrap_or_default(), rows });
    }

    /// Takes a debt over.
    pub(super) fn owe(&mut self, owed: Owed) {
        self.units.iter_mut().for_each(|bucket| bucket.charge(owed.units));
        self.rows.iter_mut().for_each(|bucket| bucket.charge(owed.rows));
    }

    /// What is owed now.
    pub(super) fn owed(&self) -> Owed {
        Owed { units: debt(self.units.as_ref()), rows: debt(self.rows.as_ref()) }
    }

    /// When all is paid: now, if nothing is owed.
    pub(super) fn ready_at(&self) -> Instant {
        let buckets = self.units.iter().chain(&self.rows);
        buckets.map(Bucket::ready_at).max().unwrap_or_else(Instant::now)
    }

    /// Waits until all is paid.
    pub(super) async fn ready(&self) {
        let at = self.ready_at();
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }

    /// Waits until all is paid, or until the deadline; whether all is.
    pub(super) async fn ready_before(&self, deadline: Deadline) -> bool {
        deadline.before(self.ready()).await.is_some()
    }
}

fn debt(bucket: Option<&Bucket>) -> f64 {
    bucket.map_or(0.0, |bucket| (bucket.ready_at() - Instant::now()).as_secs_f64() * bucket.rate())
}
