//! A token bucket that is paid after the fact.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// So much may be saved up while nothing is asked for.
const SAVED: Duration = Duration::from_secs(1);

/// A token bucket for costs that are known only when it is too late: wait until it is out of debt, do the work, then
/// [`charge`](Self::charge) what it cost.
///
/// Over any time the sum of the charges is at most rate × (time + 1 s) and one charge more.
///
/// ```
/// use anabranch::scan::Bucket;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # tokio::time::pause();
/// let mut bucket = Bucket::new(100.0);
/// let begun = tokio::time::Instant::now();
/// for _ in 0..10 {
///     bucket.ready().await;
///     bucket.charge(50.0);
/// }
/// assert!(begun.elapsed().as_millis().abs_diff(4_500) < 10);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Bucket {
    rate: f64,
    /// What was saved, or is owed, at the time of `at`.
    level: f64,
    at: Instant,
}

impl Bucket {
    /// An empty bucket that fills with so many units a second: a positive, finite number, or as near to one as it can be.
    pub fn new(rate: f64) -> Self {
        Self { rate: sane(rate), level: 0.0, at: Instant::now() }
    }

    /// How many units a second it fills with.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// Changes the rate from now on. Debts stay.
    pub fn set_rate(&mut self, rate: f64) {
        self.fill();
        self.rate = sane(rate);
    }

    /// Takes so many units out, or with a negative number puts them back.
    pub fn charge(&mut self, units: f64) {
        self.fill();
        self.level -= units;
    }

    /// When its debts are paid: now, if there are none.
    pub fn ready_at(&self) -> Instant {
        let debt = (-self.level / self.rate).max(0.0);
        // Longer than a year is never.
        let debt = Duration::from_secs_f64(debt.min(31_536_000.0));
        (self.at + debt).max(Instant::now())
    }

    /// Waits until its debts are paid.
    pub async fn ready(&self) {
        let at = self.ready_at();
        if at > Instant::now() {
            sleep_until(at).await;
        }
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let earned = self.rate * now.duration_since(self.at).as_secs_f64();
        self.level = (self.level + earned).min(self.rate * SAVED.as_secs_f64());
        self.at = now;
    }
}

fn sane(rate: f64) -> f64 {
    if rate.is_nan() { f64::MIN_POSITIVE } else { rate.clamp(1e-6, 1e12) }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    async fn spent(bucket: &mut Bucket, cost: f64, time: Duration) -> f64 {
        let end = Instant::now() + time;
        let mut spent = 0.0;
        while bucket.ready_at() < end {
            bucket.ready().await;
            bucket.charge(cost);
            spent += cost;
        }
        spent
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_is_kept_but_for_one_charge() {
        for cost in [0.5, 7.0, 128.0, 400.0] {
            let spent = spent(&mut Bucket::new(100.0), cost, Duration::from_secs(10)).await;
            assert!((spent - 1000.0).abs() <= cost, "{cost}: {spent}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_a_second_is_saved() {
        let mut bucket = Bucket::new(100.0);
        advance(Duration::from_secs(3600)).await;
        assert_eq!(spent(&mut bucket, 10.0, Duration::from_secs(1)).await, 200.0);
    }

    #[tokio::test(start_paused = true)]
    async fn debts_outlive_a_change_of_the_rate() {
        let mut bucket = Bucket::new(100.0);
        bucket.charge(100.0);
        bucket.set_rate(50.0);
        assert_eq!(bucket.ready_at() - Instant::now(), Duration::from_secs(2));
        bucket.charge(-100.0);
        assert_eq!(bucket.ready_at(), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn rates_that_are_none_are_very_slow_or_very_fast() {
        const YEAR: f64 = 365.0 * 86_400.0;
        for (rate, units, seconds) in [
            (0.0, 1.0, 1e6),
            (-5.0, 1.0, 1e6),
            (f64::NAN, 1.0, YEAR),
            (f64::INFINITY, 1e12, 1.0),
            (f64::MAX, 1e12, 1.0),
        ] {
            let mut bucket = Bucket::new(rate);
            bucket.charge(units);
            assert_eq!((bucket.ready_at() - Instant::now()).as_secs_f64(), seconds, "{rate}");
        }
    }
}
