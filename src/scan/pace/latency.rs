//! Whether the time that is left is enough for another page.

use std::time::Duration;

use tokio::time::Instant;

/// So many times the slowest page must fit into the time that is left.
const MARGIN: u32 = 2;
/// A page is taken to need at least this, and the first, of which nothing is known, no more.
const LEAST: Duration = Duration::from_millis(250);

/// The slowest page so far, to stop in time rather than be stopped in the middle of one.
///
/// A fixed reserve is either wasted or too short: a page is 20 ms here and 8 s there.
///
/// ```
/// use std::time::Duration;
///
/// use anabranch::scan::Slowest;
/// use tokio::time::Instant;
///
/// let mut slowest = Slowest::default();
/// slowest.observe(Duration::from_secs(8));
/// assert!(!slowest.fits_before(Instant::now() + Duration::from_secs(15)));
/// assert!(slowest.fits_before(Instant::now() + Duration::from_secs(17)));
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Slowest(Duration);

impl Slowest {
    /// Takes note of how long a page took, from the request to the end of its handling.
    pub fn observe(&mut self, page: Duration) {
        self.0 = self.0.max(page);
    }

    /// The time to keep free for another page: twice the slowest, and 250 ms at least.
    pub fn reserve(&self) -> Duration {
        (self.0 * MARGIN).max(LEAST)
    }

    /// Whether another page may be begun now.
    pub fn fits_before(&self, until: Instant) -> bool {
        self.fits_between(Instant::now(), until)
    }

    /// Whether another page may be begun at `begin`.
    pub(crate) fn fits_between(&self, begin: Instant, until: Instant) -> bool {
        begin + self.reserve() <= until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_slowest_page_decides() {
        let until = |millis| Instant::now() + Duration::from_millis(millis);
        let mut slowest = Slowest::default();
        assert!(slowest.fits_before(until(250)) && !slowest.fits_before(until(249)));
        slowest.observe(Duration::from_secs(3));
        slowest.observe(Duration::from_secs(1));
        assert!(slowest.fits_before(until(6000)) && !slowest.fits_before(until(5999)));
    }
}
