//! Replicas against the table that they copy, whatever goes wrong on the way: tens of thousands of random histories.
//!
//! A history is made of a seed and nothing else. A failure prints its seed, and `ANABRANCH_SEED=<seed>` plays that one alone.

mod histories;
mod play;
#[path = "../support/seeds.rs"]
mod seeds;
mod staged;
mod two_way;

pub(crate) use seeds::each_seed;

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
