//! Sets of small numbers: one word where that is enough, many otherwise.

/// A set of numbers below a bound that is known when the first set is made.
pub(super) trait Marks: Clone + PartialEq {
    /// No numbers, with room for those below `bound`.
    fn none(bound: usize) -> Self;
    fn set(&mut self, number: usize);
    fn has(&self, number: usize) -> bool;
    /// Adds those numbers of `other` that are in `among`.
    fn add(&mut self, other: &Self, among: &Self);
    fn remove(&mut self, other: &Self);
    fn is_empty(&self) -> bool;
    /// Whether all numbers of `needed` that are in `among` are in here.
    fn covers(&self, needed: &Self, among: &Self) -> bool;
}

impl Marks for u64 {
    fn none(_: usize) -> Self {
        0
    }

    fn set(&mut self, number: usize) {
        *self |= 1 << number;
    }

    #[inline(always)]
    fn has(&self, number: usize) -> bool {
        *self >> number & 1 != 0
    }

    #[inline(always)]
    fn add(&mut self, other: &Self, among: &Self) {
        *self |= other & among;
    }

    #[inline(always)]
    fn remove(&mut self, other: &Self) {
        *self &= !other;
    }

    #[inline(always)]
    fn is_empty(&self) -> bool {
        *self == 0
    }

    #[inline(always)]
    fn covers(&self, needed: &Self, among: &Self) -> bool {
        needed & among & !self == 0
    }
}

impl Marks for Box<[u64]> {
    fn none(bound: usize) -> Self {
        vec![0; bound.div_ceil(64)].into()
    }

    fn set(&mut self, number: usize) {
        self[number / 64] |= 1 << (number % 64);
    }

    fn has(&self, number: usize) -> bool {
        self[number / 64] >> (number % 64) & 1 != 0
    }

    fn add(&mut self, other: &Self, among: &Self) {
        for ((word, other), among) in self.iter_mut().zip(other).zip(among) {
            *word |= other & among;
        }
    }

    fn remove(&mut self, other: &Self) {
        for (word, other) in self.iter_mut().zip(other) {
            *word &= !other;
        }
    }

    fn is_empty(&self) -> bool {
        self.iter().all(|word| *word == 0)
    }

    fn covers(&self, needed: &Self, among: &Self) -> bool {
        self.iter().zip(needed).zip(among).all(|((word, needed), among)| needed & among & !word == 0)
    }
}
