//! How far a scan has come.

use super::Page;

/// How far a scan has come, by what was handed out.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Progress {
    /// Pages.
    pub pages: u64,
    /// Items that passed the filter: handed out, or counted.
    pub items: u64,
    /// Items that were read and paid for.
    pub scanned: u64,
    /// Items that did not decode.
    pub bad_items: u64,
    /// Read units, as far as the service said.
    pub units: f64,
    /// Bytes of pages.
    pub bytes: u64,
    /// How often a page was throttled before it came.
    pub throttled: u64,
    /// Segments that were read to their end.
    pub segments_done: u32,
    /// Segments that were to be read.
    pub segments: u32,
}

impl Progress {
    pub(super) fn count(&mut self, page: &Page) {
        self.pages += 1;
        self.items += page.count();
        self.scanned += page.scanned();
        self.units += page.units().unwrap_or_default();
        self.bytes += page.bytes() as u64;
        self.throttled += u64::from(page.throttled());
        self.segments_done += u32::from(page.cursor().is_none());
    }
}
