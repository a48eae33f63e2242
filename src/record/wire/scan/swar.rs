//! Eight bytes at a time in an ordinary register, for every processor.

use super::special_in_tail;

const LOW_BITS: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The offset of the first quote or backslash at or after `at`.
#[inline]
pub(in crate::record::wire) fn special(bytes: &[u8], at: usize) -> Option<usize> {
    let mut here = at;
    while let Some(block) = bytes.get(here..).and_then(<[u8]>::first_chunk::<8>) {
        let block = u64::from_le_bytes(*block);
        let found = zeros(block ^ (LOW_BITS * u64::from(b'"'))) | zeros(block ^ (LOW_BITS * u64::from(b'\\')));
        if found != 0 {
            return Some(here + found.trailing_zeros() as usize / 8);
        }
        here += 8;
    }
    special_in_tail(bytes, here)
}

/// Marks the zero bytes of a word by their high bit. Bytes above the first zero may be marked wrongly, so only
/// the lowest mark counts.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(LOW_BITS) & !word & HIGH_BITS
}
