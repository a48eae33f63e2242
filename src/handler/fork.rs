//! The same records in the hands of several handlers: a table of verdicts for each, and what one said while another waits.

use std::collections::BTreeMap;

use super::{
    Verdict,
    entry::{Entry, Held, State},
};

/// What two handlers side by side have said of a record that one of them has to wait for.
#[derive(Debug)]
pub(crate) struct Said {
    pub(super) left: Side,
    pub(super) right: Side,
}

#[derive(Debug)]
pub(super) enum Side {
    Answered(Verdict),
    /// Still to be asked; where it is two handlers itself, one of them may have answered.
    Open(Option<Box<Said>>),
}

impl Said {
    pub(super) fn of(left: Side, right: Side) -> Option<Box<Self>> {
        let nothing = matches!((&left, &right), (Side::Open(None), Side::Open(None)));
        (!nothing).then(|| Box::new(Self { left, right }))
    }
}

impl Side {
    pub(super) fn of(state: State, said: Option<Box<Said>>) -> Self {
        match state {
            State::Settled(verdict) => Self::Answered(verdict),
            State::Waiting | State::Taken(_) => Self::Open(said),
        }
    }
}

/// What one of two handlers has said of records that the other has yet to be asked about, by index in the window.
///
/// Hardly any record is in such a state, so this stands beside the entries: each of them is moved and dropped.
#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeMap<usize, Box<Said>>);

impl Memory {
    pub(super) fn keep(&mut self, index: usize, said: Option<Box<Said>>) {
        if let Some(said) = said {
            self.0.insert(index, said);
        }
    }

    pub(super) fn recall(&mut self, index: usize) -> Option<Box<Said>> {
        self.0.remove(&index)
    }

    /// Follows records to their places in the next window; what is said of one that has none is forgotten.
    pub(crate) fn follow(&mut self, place: impl Fn(usize) -> Option<usize>) {
        let said = std::mem::take(&mut self.0).into_iter();
        self.0 = said.filter_map(|(index, said)| Some((place(index)?, said))).collect();
    }
}

/// A second table of verdicts for the same records.
#[derive(Default)]
pub(crate) struct Fork {
    /// The places of its entries in the batch that it was taken from.
    pub(super) origins: Vec<usize>,
    pub(super) entries: Vec<Entry>,
    pub(super) held: Held,
    pub(super) memory: Memory,
    pub(super) next: usize,
}

/// What became of a record of a fork.
pub(crate) struct Answer {
    pub(crate) state: State,
    /// What one of two handlers said of it, where it is still waiting.
    pub(crate) said: Option<Box<Said>>,
}

impl Fork {
    /// What became of each record, in stream order.
    pub(crate) fn into_answers(self) -> impl Iterator<Item = Answer> {
        let Self { entries, mut memory, .. } = self;
        entries.into_iter().map(move |entry| Answer { said: memory.recall(entry.index()), state: entry.state })
    }

    /// Takes over what was said of a record in an earlier window.
    pub(super) fn recall(&mut self, at: usize, side: Side) {
        let entry = &mut self.entries[at];
        match side {
            Side::Open(said) => self.memory.keep(entry.index(), said),
            Side::Answered(verdict) => {
                if verdict.is_err() {
                    self.held.hold(entry.lane, entry.index());
                }
                entry.state = State::Settled(verdict);
            }
        }
    }
}
