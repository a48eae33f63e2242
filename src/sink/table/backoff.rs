//! How long to wait before another try.

use std::{collections::hash_map::RandomState, hash::BuildHasher, time::Duration};

/// How long to wait at most before the first repetition; twice that before the next.
pub(super) const FIRST_WAIT: Duration = Duration::from_millis(50);
/// The longest wait.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// How often to try if there is no deadline to end it.
pub(crate) const MAX_ROUNDS: u32 = 12;

/// A random wait between nothing and a limit that doubles with each round, from 50 ms to 2 s: many writers that failed
/// together do not come back together ("full jitter").
pub(crate) fn wait_after(round: u32) -> Duration {
    let longest = FIRST_WAIT.saturating_mul(1 << (round - 1).min(16)).min(LONGEST_WAIT);
    let random = RandomState::new().hash_one(round);
    longest.mul_f64(random as f64 / u64::MAX as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        for round in 1..40 {
            assert!(wait_after(round) <= LONGEST_WAIT);
        }
        assert!((0..20).all(|_| wait_after(1) <= FIRST_WAIT));
        let waits: std::collections::HashSet<_> = (0..20).map(|_| wait_after(6)).collect();
        assert!(waits.len() > 1, "random");
    }
}
