//! The speed of one worker.

use std::time::Duration;

use tokio::time::Instant;

use super::Bucket;

/// A page of 1 MB costs this much, read eventually consistently. The first page is taken to be one.
const FIRST_PAGE: f64 = 128.0;
/// A throttle halves the rate, at most once in this time: throttles come in swarms.
const CALM: Duration = Duration::from_secs(1);
/// The part of the budget that comes back with every calm second.
const STEP: f64 = 0.05;
/// The rate is never halved below this part of the budget.
const LEAST: f64 = 1.0 / 64.0;
/// How long a throttled worker waits at first; twice that the next time.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Keeps one worker to its share of the budget (additive increase, multiplicative decrease), or without a budget slows it down once it
/// is throttled.
#[derive(Debug)]
pub(in crate::scan) struct Pacer {
    bucket: Option<Bucket>,
    /// The rate to come back to; nothing while there is no limit.
    budget: Option<f64>,
    estimate: f64,
    spent: f64,
    began: Instant,
    /// When the rate last changed, down or up.
    changed: Instant,
    not_before: Instant,
    rounds: u32,
}

impl Pacer {
    /// A pacer with a share of so many units a second.
    pub(in crate::scan) fn new(share: Option<f64>, consistent: bool) -> Self {
        let now = Instant::now();
        Self {
            bucket: share.map(Bucket::new),
            budget: share,
            estimate: if consistent { 2.0 * FIRST_PAGE } else { FIRST_PAGE },
            spent: 0.0,
            began: now,
            changed: now - CALM,
            not_before: now,
            rounds: 0,
        }
    }

    /// When the next page may be asked for.
    pub(in crate::scan) fn ready_at(&self) -> Instant {
        self.bucket.as_ref().map_or(self.not_before, |bucket| bucket.ready_at().max(self.not_before))
    }

    /// Charges a page that is about to be asked for at what it will probably cost: if its answer is lost, it was read all the same.
    pub(in crate::scan) fn begin_page(&mut self) {
        self.recover();
        let estimate = self.estimate;
        self.charge(estimate);
    }

    /// Corrects the charge by what the page did cost.
    pub(in crate::scan) fn end_page(&mut self, units: Option<f64>, throttled: u32) {
        let units = units.unwrap_or(self.estimate);
        self.charge(units - self.estimate);
        self.estimate = units;
        self.rounds = 0;
        if throttled > 0 {
            self.slow_down();
        }
    }

    /// The page was refused: it cost nothing, and is to be asked for again after a pause. How many there were in a row is handed back.
    pub(in crate::scan) fn refused_page(&mut self) -> u32 {
        self.charge(-self.estimate);
        self.slow_down();
        self.not_before = Instant::now() + FIRST_PAUSE.saturating_mul(1 << self.rounds.min(10)).min(LONGEST_PAUSE);
        self.rounds += 1;
        self.rounds
    }

    fn charge(&mut self, units: f64) {
        self.spent += units;
        if let Some(bucket) = &mut self.bucket {
            bucket.charge(units);
        }
    }

    fn slow_down(&mut self) {
        let now = Instant::now();
        if now - self.changed < CALM {
            return;
        }
        self.changed = now;
        let measured = self.spent / (now - self.began).max(CALM).as_secs_f64();
        let budget = *self.budget.get_or_insert(measured.max(1.0));
        let bucket = self.bucket.get_or_insert_with(|| Bucket::new(budget));
        bucket.set_rate((bucket.rate() / 2.0).max(budget * LEAST));
    }

    /// Every calm second brings a part of the budget back.
    fn recover(&mut self) {
        let (Some(bucket), Some(budget)) = (&mut self.bucket, self.budget) else { return };
        let now = Instant::now();
        let calm = (now - self.changed).as_secs().min(64) as u32;
        if calm > 0 && bucket.rate() < budget {
            bucket.set_rate((bucket.rate() + budget * STEP * f64::from(calm)).min(budget));
            self.changed = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, sleep_until};

    use super::*;

    /// Reads pages of a cost for a time; the units that were consumed are handed back.
    async fn read(pacer: &mut Pacer, cost: f64, seconds: u64, throttled: impl Fn(u64) -> bool) -> f64 {
        let begin = Instant::now();
        let end = begin + Duration::from_secs(seconds);
        let mut consumed = 0.0;
        while pacer.ready_at() < end {
            sleep_until(pacer.ready_at()).await;
            pacer.begin_page();
            advance(Duration::from_millis(2)).await;
            if throttled(begin.elapsed().as_secs()) {
                pacer.refused_page();
            } else {
                pacer.end_page(Some(cost), 0);
                consumed += cost;
            }
        }
        consumed
    }

    #[tokio::test(start_paused = true)]
    async fn the_budget_is_kept_within_five_percent_and_a_page() {
        for (budget, cost) in [(100.0, 1.0), (100.0, 4.5), (12.5, 0.5), (1000.0, 128.0), (10.0, 128.0)] {
            let consumed = read(&mut Pacer::new(Some(budget), false), cost, 10, |_| false).await;
            let due = budget * 10.0;
            assert!(consumed <= due + cost, "{consumed} of {due}, more than a page of {cost} over");
            assert!(consumed >= due * 0.95 - cost, "{consumed} of {due}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_page_is_charged_before_it_is_known() {
        for (consistent, seconds) in [(false, 128), (true, 256)] {
            let mut pacer = Pacer::new(Some(1.0), consistent);
            assert_eq!(pacer.ready_at(), Instant::now());
            pacer.begin_page();
            assert_eq!(pacer.ready_at() - Instant::now(), Duration::from_secs(seconds));
            pacer.end_page(Some(2.0), 0);
            assert_eq!(pacer.ready_at() - Instant::now(), Duration::from_secs(2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn throttles_halve_the_rate_once_a_second_and_calm_brings_it_back() {
        let rate = |pacer: &Pacer| pacer.bucket.as_ref().unwrap().rate();
        let mut pacer = Pacer::new(Some(100.0), false);
        for _ in 0..5 {
            pacer.slow_down();
        }
        assert_eq!(rate(&pacer), 50.0);
        advance(CALM).await;
        pacer.slow_down();
        assert_eq!(rate(&pacer), 25.0);
        advance(CALM * 3).await;
        pacer.recover();
        assert_eq!(rate(&pacer), 40.0);
        advance(CALM * 60).await;
        pacer.recover();
        assert_eq!(rate(&pacer), 100.0);
        for _ in 0..20 {
            advance(CALM).await;
            pacer.slow_down();
        }
        assert_eq!(rate(&pacer), 100.0 / 64.0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_throttled_time_is_survived_and_the_rate_comes_back() {
        let mut pacer = Pacer::new(Some(100.0), false);
        let during = read(&mut pacer, 1.0, 10, |second| second % 2 == 1).await;
        assert!(during < 700.0, "{during}");
        let after = read(&mut pacer, 1.0, 60, |_| false).await;
        assert!((5_000.0..6_001.0).contains(&after), "{after}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_budget_a_throttle_makes_one_of_what_was_measured() {
        let mut pacer = Pacer::new(None, false);
        for _ in 0..100 {
            assert_eq!(pacer.ready_at().max(Instant::now()), Instant::now());
            pacer.begin_page();
            advance(Duration::from_millis(20)).await;
            pacer.end_page(Some(10.0), 0);
        }
        pacer.end_page(Some(10.0), 1);
        let rate = pacer.bucket.as_ref().unwrap().rate();
        assert!((240.0..260.0).contains(&rate), "half of 500 a second: {rate}");
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_and_end() {
        let mut pacer = Pacer::new(None, false);
        let mut pauses = Vec::new();
        for round in 1..=10 {
            pacer.begin_page();
            assert_eq!(pacer.refused_page(), round);
            pauses.push((pacer.not_before - Instant::now()).as_millis());
        }
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000]);
        pacer.end_page(None, 0);
        assert_eq!(pacer.refused_page(), 1);
    }
}
