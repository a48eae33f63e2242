//! How early to stop taking on work.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::handler::Deadline;

/// Time kept for dead letters and the answer after the last handler was cut off.
const ANSWER: Duration = Duration::from_millis(250);
/// Admission never ends later than this before handlers are cut off.
const LEAST_MARGIN: Duration = Duration::from_millis(50);

/// Measures how long records take, so that work is only started which can still be finished.
#[derive(Debug, Default)]
pub(super) struct Pace {
    slowest: AtomicU64,
}

/// The limits of an invocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// No record is started after this.
    pub(super) admission: Deadline,
    /// Handlers that still run are dropped at this.
    pub(super) cutoff: Deadline,
    /// The dead letter sink is waited for until this: what is left then is for the answer.
    pub(super) burial: Deadline,
}

impl Pace {
    /// Twice the slowest record seen lately is kept free, but never more than half of what is left.
    pub(super) fn limits(&self, deadline: Deadline) -> Limits {
        let Some(left) = deadline.remaining() else {
            return Limits { admission: Deadline::NEVER, cutoff: Deadline::NEVER, burial: Deadline::NEVER };
        };
        let answer = ANSWER.min(left / 4);
        let (cutoff, burial) = (deadline.minus(answer), deadline.minus(answer / 2));
        let slowest = Duration::from_micros(self.slowest.load(Ordering::Relaxed));
        let margin = (slowest * 2).max(LEAST_MARGIN).min(left / 2);
        Limits { admission: cutoff.minus(margin), cutoff, burial }
    }

    /// Takes note of the slowest record of a window; older, slower ones fade by an eighth each time.
    pub(super) fn observe(&self, slowest: Duration) {
        let micros = u64::try_from(slowest.as_micros()).unwrap_or(u64::MAX);
        let faded = |old: u64| Some(micros.max(old - old / 8));
        _ = self.slowest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, faded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission_left(pace: &Pace, total: Duration) -> Option<Duration> {
        pace.limits(Deadline::after(total)).admission.remaining()
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_measure_the_least_margin_is_kept() {
        let left = admission_left(&Pace::default(), Duration::from_secs(10));
        assert_eq!(left, Some(Duration::from_millis(9_700)));
    }

    #[tokio::test(start_paused = true)]
    async fn handlers_end_before_dead_letters_and_these_before_the_deadline() {
        for (total, cutoff, burial) in [(10_000, 9_750, 9_875), (400, 300, 350), (0, 0, 0)] {
            let limits = Pace::default().limits(Deadline::after(Duration::from_millis(total)));
            let left = [limits.cutoff, limits.burial].map(Deadline::remaining);
            assert_eq!(left, [cutoff, burial].map(|millis| Some(Duration::from_millis(millis))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn twice_the_slowest_record_is_kept() {
        let pace = Pace::default();
        pace.observe(Duration::from_secs(1));
        assert_eq!(admission_left(&pace, Duration::from_secs(10)), Some(Duration::from_millis(7_750)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_record_of_the_past_fades() {
        let pace = Pace::default();
        pace.observe(Duration::from_secs(60));
        (0..40).for_each(|_| pace.observe(Duration::ZERO));
        assert!(admission_left(&pace, Duration::from_secs(10)) > Some(Duration::from_secs(8)));
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_time_is_always_for_work() {
        let pace = Pace::default();
        pace.observe(Duration::from_secs(3600));
        assert!(admission_left(&pace, Duration::from_secs(8)) >= Some(Duration::from_secs(2)));
    }
}
