//! Which shards there are: listings, page by page, and the children of shards that end.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{Describe, ShardId, ShardInfo, ShardPage, StreamFault, ports::FaultKind, reader::backoff, time};
use crate::record::Timestamp;

/// After a shard has ended, its children are looked for so often in short intervals: they may be listed late.
const HURRIES: u32 = 5;
const HURRY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Discovery {
    at: Timestamp,
    busy: bool,
    interval: Duration,
    round: Option<Round>,
    /// Listings begun.
    pub(super) begun: u64,
    /// Shards whose children are to be asked for.
    ended: VecDeque<ShardId>,
    /// Whether the back end answers with the children of a shard, as far as is known.
    knows_children: bool,
    failures: u32,
    hurries: u32,
}

#[derive(Debug, Default)]
struct Round {
    from: Option<String>,
    listing: Listing,
}

/// All shards of a stream, at about one time.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// Which listing it is, from 1.
    pub(super) number: u64,
    pub(super) shards: BTreeMap<ShardId, ShardInfo>,
    pub(super) disabled: bool,
}

/// What an answer told.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Shards to take note of, new or not.
    pub(super) shards: Vec<ShardInfo>,
    /// The listing, if this was its last page.
    pub(super) listing: Option<Listing>,
    /// A shard that has children, and so has ended.
    pub(super) parent: Option<ShardId>,
    /// The stream does not exist.
    pub(super) gone: bool,
    /// What went wrong, and when it is tried again.
    pub(super) failed: Option<(StreamFault, Duration)>,
}

impl Listing {
    pub(super) fn has_children(&self, shard: &ShardId) -> bool {
        self.shards.values().any(|info| info.parent.as_ref() == Some(shard))
    }
}

impl Discovery {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            at: Timestamp::from_nanos(i64::MIN),
            busy: false,
            interval,
            round: None,
            begun: 0,
            ended: VecDeque::new(),
            knows_children: true,
            failures: 0,
            hurries: 0,
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.busy
    }

    pub(super) fn wake(&self) -> Option<Timestamp> {
        (!self.busy).then_some(self.at)
    }

    /// A shard is said to have ended: its children are wanted soon.
    pub(super) fn shard_ended(&mut self, shard: &ShardId, now: Timestamp) {
        self.hurries = HURRIES;
        match self.knows_children {
            true => {
                self.ended.push_back(shard.clone());
                self.at = self.at.min(now);
            }
            false => self.list_soon(now),
        }
    }

    /// Lists now, whatever was planned.
    pub(super) fn hurry(&mut self, now: Timestamp) {
        self.at = self.at.min(now);
    }

    fn list_soon(&mut self, now: Timestamp) {
        if self.failures == 0 {
            self.at = self.at.min(now);
        }
    }

    pub(super) fn ask(&mut self, now: Timestamp) -> Option<Describe> {
        if self.busy || now < self.at {
            return None;
        }
        self.busy = true;
        // A listing that is open comes to its end first.
        let ended = if self.round.is_none() { self.ended.pop_front() } else { None };
        if ended.is_some() {
            return Some(Describe { from: None, children_of: ended });
        }
        let round = self.round.get_or_insert_with(|| {
            self.begun += 1;
            Round { from: None, listing: Listing { number: self.begun, ..Listing::default() } }
        });
        Some(Describe { from: round.from.clone(), children_of: None })
    }

    pub(super) fn answer(
        &mut self,
        now: Timestamp,
        request: &Describe,
        answer: Result<ShardPage, StreamFault>,
    ) -> Found {
        self.busy = false;
        match (&request.children_of, answer) {
            (Some(parent), answer) => self.children(now, parent, answer),
            (None, Ok(page)) => self.page(now, page),
            (None, Err(fault)) => self.failed(now, fault),
        }
    }

    /// Whatever the answer, a full listing follows: it tells whether a shard without children has really ended.
    fn children(&mut self, now: Timestamp, parent: &ShardId, answer: Result<ShardPage, StreamFault>) -> Found {
        self.at = now;
        match answer {
            Ok(page) if page.shards.iter().all(|shard| shard.parent.as_ref() == Some(parent)) => {
                let found = (!page.shards.is_empty()).then(|| parent.clone());
                Found { shards: page.shards, parent: found, ..Found::default() }
            }
            Ok(_) => {
                self.knows_children = false;
                Found::default()
            }
            Err(fault) => {
                self.knows_children = fault.kind != FaultKind::Invalid;
                Found::default()
            }
        }
    }

    fn page(&mut self, now: Timestamp, page: ShardPage) -> Found {
        self.failures = 0;
        let mut round = self.round.take().unwrap_or_default();
        round.listing.disabled = page.disabled;
        round.listing.shards.extend(page.shards.iter().map(|shard| (shard.id.clone(), shard.clone())));
        if page.next.is_some() {
            self.round = Some(Round { from: page.next, ..round });
            self.at = now;
            return Found { shards: page.shards, ..Found::default() };
        }
        let hurry = self.hurries > 0;
        self.hurries = self.hurries.saturating_sub(1);
        let wait = if hurry { HURRY.min(self.interval) } else { self.interval };
        self.at = if self.ended.is_empty() { time::after(now, wait) } else { now };
        Found { shards: page.shards, listing: Some(round.listing), ..Found::default() }
    }

    /// The same page again, later; what is known of shards stays known.
    fn failed(&mut self, now: Timestamp, fault: StreamFault) -> Found {
        self.failures += 1;
        let gone = fault.kind == FaultKind::NotFound;
        let wait = if gone { self.interval } else { backoff(self.failures) };
        self.at = time::after(now, wait);
        if gone || fault.kind == FaultKind::Invalid {
            // A page that cannot be continued: from the first one again.
            self.round = None;
        }
        Found { gone, failed: Some((fault, wait)), ..Found::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_children_of_a_shard_that_ends_during_a_listing_are_asked_for_after_it() {
        let now = Timestamp::from_nanos(0);
        let mut discovery = Discovery::new(Duration::from_secs(60));
        let first = discovery.ask(now).expect("the first page");
        let page = ShardPage { next: Some("more".to_owned()), ..ShardPage::default() };
        discovery.answer(now, &first, Ok(page));
        let ended: ShardId = "ended".into();
        discovery.shard_ended(&ended, now);
        let second = discovery.ask(now).expect("the second page");
        assert_eq!(second, Describe { from: Some("more".to_owned()), children_of: None });
        discovery.answer(now, &second, Ok(ShardPage::default()));
        assert_eq!(discovery.ask(now), Some(Describe { from: None, children_of: Some(ended) }));
    }
}
