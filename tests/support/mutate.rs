//! Small damage to inputs, the same in every run.

/// Bytes that matter to a JSON reader, and some that do not.
pub(crate) const BYTES: &[u8] = b"{}[]\",:\\ \n0N9e-.SBMLu\x00\x7f\x80\xc3\xff";

/// A small source of decisions (xorshift).
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound.max(1)
    }

    /// A short range of a payload.
    fn range(&mut self, length: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        let most = [2, 20, 300][self.below(3)];
        start..(start + 1 + self.below(most)).min(length)
    }
}

/// Changes a payload in up to five places: bytes, words, and pieces of itself and of another.
pub(crate) fn mutate(payload: &mut Vec<u8>, other: &[u8], words: &[&str], chance: &mut Chance) {
    for _ in 0..=chance.below(4) {
        let at = chance.below(payload.len());
        let range = chance.range(payload.len());
        match chance.below(8) {
            0 if !payload.is_empty() => payload[at] = BYTES[chance.below(BYTES.len())],
            1 => payload.insert(at, BYTES[chance.below(BYTES.len())]),
            2 => drop(payload.drain(range)),
            3 => drop(payload.splice(at..at, words[chance.below(words.len())].bytes())),
            4 => drop(payload.splice(at..at, payload[range].to_vec())),
            5 => drop(payload.splice(range, other[chance.range(other.len())].to_vec())),
            6 if !payload.is_empty() => payload[at] ^= 1 << chance.below(8),
            _ if chance.below(8) == 0 => payload.truncate(at),
            _ => {}
        }
    }
}
