//! One suite per port, which every adapter passes; run it against yours as well.
//!
//! A suite panics with a sentence that says which promise of the port did not hold.

mod dead_letter;
mod index;
mod ledger;
mod publisher;
mod table;
mod transact;

pub use dead_letter::dead_letter_sink;
pub use index::index;
pub use ledger::ledger;
pub use publisher::publisher;
pub use table::table;
pub use transact::transact_table;

/// Numbers that look random and are the same for the same seed (xorshift).
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 32) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}
