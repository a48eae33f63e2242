//! Histories by the ten thousand, each made of a seed and nothing else.
//!
//! A failure prints its seed, and `ANABRANCH_SEED=<seed>` with the test's name plays that one alone.

#![allow(dead_code, reason = "each test uses its own part of the support code")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestCaseResult, TestRng, TestRunner},
};

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

/// Plays so many histories of a strategy. The first that fails is made as small as it will go.
pub(crate) fn each_history<S: Strategy>(
    histories: u64,
    strategy: impl Fn() -> S + Sync,
    play: impl Fn(S::Value) -> TestCaseResult + Sync,
) {
    each_seed(histories, |seed| {
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::XorShift, &spread(seed)));
        let tree = strategy().new_tree(&mut runner).expect("a history");
        if let Err(error) = runner.run_one(tree, &play) {
            panic!("{error}");
        }
    });
}

/// Seeds that follow each other, far apart: SplitMix64, twice.
fn spread(seed: u64) -> [u8; 16] {
    let mixed = |seed: u64| {
        let mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    let low = mixed(seed);
    (u128::from(mixed(low)) << 64 | u128::from(low)).to_le_bytes()
}

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
