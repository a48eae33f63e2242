//! One record of a window in the hands of a route, and what is held back behind it.

use tokio::time::Instant;

use super::Verdict;
use crate::record::Facet;

/// One record of a window, for one route.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Its index in the window, which is far shorter: a payload has at most 10,000 records.
    pub(crate) index: u32,
    pub(crate) lane: u64,
    pub(crate) facet: Facet,
    pub(crate) state: State,
}

impl Entry {
    pub(crate) fn new(index: usize, lane: u64, facet: Facet) -> Self {
        Self { index: index as u32, lane, facet, state: State::Waiting }
    }

    pub(super) fn fresh(&self) -> Self {
        Self::new(self.index(), self.lane, self.facet)
    }

    pub(super) fn index(&self) -> usize {
        self.index as usize
    }
}

/// What is known of an entry.
#[derive(Debug)]
pub(crate) enum State {
    /// Not given to the handler yet.
    Waiting,
    /// Given to the handler, which has not answered; since when, if there is a deadline to keep.
    Taken(Option<Instant>),
    /// Answered.
    Settled(Verdict),
}

/// Records that failed, by lane and index: nothing behind one of them in its lane may overtake it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Vec<(u64, usize)>);

impl Held {
    pub(crate) fn hold(&mut self, lane: u64, index: usize) {
        self.0.push((lane, index));
    }

    pub(crate) fn holds(&self, lane: u64, index: usize) -> bool {
        self.0.iter().any(|(held, from)| *held == lane && *from < index)
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
