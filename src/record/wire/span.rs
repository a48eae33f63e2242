//! Where something stands in a buffer.

use std::ops::Range;

/// A range of bytes in a payload of at most 4 GiB; the empty default means "absent".
///
/// No value can start and end at offset 0: a payload and a record both begin with a brace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// From `start` to `end`, which fit: [`split`](super::split()) refuses payloads of 4 GiB and more.
    #[inline(always)]
    pub(super) fn new(start: usize, end: usize) -> Self {
        Self { start: start as u32, end: end as u32 }
    }

    /// Whether there is anything at all.
    pub(super) fn is_absent(self) -> bool {
        self.end == 0
    }

    /// Nothing if absent.
    pub(super) fn present(self) -> Option<Self> {
        (!self.is_absent()).then_some(self)
    }

    pub(super) fn start(self) -> usize {
        self.start as usize
    }

    pub(super) fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// The same place in a buffer that begins at `base` of this one.
    pub(super) fn rebased(self, base: usize) -> Self {
        if self.is_absent() { self } else { Self::new(self.start as usize - base, self.end as usize - base) }
    }
}
