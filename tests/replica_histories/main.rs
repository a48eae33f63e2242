//! Replicas against the table that they copy, whatever goes wrong on the way: tens of thousands of random histories.
//!
//! A history is made of a seed and nothing else. A failure prints its seed, and `ANABRANCH_SEED=<seed>` plays that one alone.

mod histories;
mod play;
mod staged;
mod two_way;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Random numbers: SplitMix64.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// True in `percent` of a hundred cases.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Plays so many histories on all processors, or the one that `ANABRANCH_SEED` names. Each run has other seeds.
pub(crate) fn each_seed(histories: u64, play: impl Fn(u64) + Sync) {
    if let Ok(seed) = std::env::var("ANABRANCH_SEED") {
        return play(seed.parse().expect("a number"));
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time after 1970");
    let first = now.as_nanos() as u64;
    println!("seeds {first} to {}", first.wrapping_add(histories));
    let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for worker in 0..workers {
            let play = &play;
            scope.spawn(move || {
                for seed in (worker..histories).step_by(workers as usize).map(|n| first.wrapping_add(n)) {
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| play(seed))) {
                        eprintln!("replay this history with ANABRANCH_SEED={seed}");
                        resume_unwind(panic);
                    }
                }
            });
        }
    });
}
