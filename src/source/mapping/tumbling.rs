//! Tumbling windows: state that travels from invocation to invocation.

use std::time::Duration;

use bytes::Bytes;

use super::{WindowState, time};
use crate::record::{Timestamp, TumblingWindow};

/// More state than this ends its window early (ESM-54).
const STATE_LIMIT: usize = 1024 * 1024;

const NANOS: i64 = 1_000_000_000;

/// The windows of one shard: at most one is open.
#[derive(Debug)]
pub(super) struct Tumbling {
    seconds: i64,
    open: Option<WindowState>,
}

impl Tumbling {
    pub(super) fn new(length: Duration, open: Option<WindowState>) -> Self {
        Self { seconds: i64::try_from(length.as_secs()).unwrap_or(i64::MAX).max(1), open }
    }

    pub(super) fn open(&self) -> Option<&WindowState> {
        self.open.as_ref()
    }

    /// The beginning of the window that a time belongs to.
    fn start(&self, time: Timestamp) -> i64 {
        time.as_secs().div_euclid(self.seconds).saturating_mul(self.seconds)
    }

    /// Whether two records may be in one batch. A record that comes late belongs to the window that is open.
    pub(super) fn is_later(&self, first: Timestamp, then: Timestamp) -> bool {
        self.start(then) > self.start(first)
    }

    /// Whether a record of this time closes the open window.
    pub(super) fn is_over_at(&self, time: Timestamp) -> bool {
        self.open.as_ref().is_some_and(|open| self.start(time) > open.start)
    }

    /// When the open window ends.
    pub(super) fn end(&self) -> Option<Timestamp> {
        let open = self.open.as_ref()?;
        Some(Timestamp::from_nanos(open.start.saturating_add(self.seconds).saturating_mul(NANOS)))
    }

    pub(super) fn is_oversize(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.state.len() > STATE_LIMIT)
    }

    /// Opens the window of a batch whose first record has this time, unless it is open.
    pub(super) fn enter(&mut self, first: Timestamp) {
        let start = self.start(first);
        self.open.get_or_insert_with(|| WindowState { start, state: "{}".to_owned() });
    }

    pub(super) fn set_state(&mut self, state: String) {
        if let Some(open) = &mut self.open {
            open.state = state;
        }
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// What an event of the open window carries besides its records.
    pub(super) fn window(&self, shard: &str, stream: &str, last: Option<Final>) -> TumblingWindow {
        let open = self.open.as_ref();
        let start = open.map_or(0, |open| open.start);
        let written = |seconds: i64| time::in_seconds(Timestamp::from_nanos(seconds.saturating_mul(NANOS)));
        TumblingWindow {
            start: written(start),
            end: written(start.saturating_add(self.seconds)),
            state: open.map_or_else(|| Bytes::from_static(b"{}"), |open| open.state.clone().into()),
            shard_id: Some(shard.to_owned()),
            source_arn: Some(stream.to_owned()),
            is_final: last.is_some(),
            is_terminated_early: last.is_some_and(|last| last.early),
        }
    }
}

/// The last invocation of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Final {
    /// Whether it comes because the state has grown too large.
    pub(super) early: bool,
}
