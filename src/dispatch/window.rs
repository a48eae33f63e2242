//! The records that are being worked on: a window that moves over the batch.

use super::lanes::Lanes;
use crate::{
    handler::{DEFAULT_WINDOW, Entry, Failure, Held, Memory, Outcome, Skip, Verdict, merge},
    record::{RawRecord, Split, UnreadableRecord},
    router::{Routing, Table},
};

/// Lanes held for every route: nothing may overtake a record that no route wants.
const EVERY_ROUTE: u64 = u64::MAX;

/// What is known of one record of the window.
#[derive(Debug)]
pub(super) struct Slot {
    /// The lane of its item; of no meaning where no route ever wanted it.
    lane: u64,
    /// The routes that have not answered.
    pub(super) open: Routing,
    /// The routes that rejected it: nothing behind it in its lane may reach them before it is buried.
    pub(super) rejected_by: u64,
    /// What the routes that answered made of it.
    pub(super) verdict: Option<Verdict>,
    /// The route behind the verdict, where it is a failure.
    pub(super) blamed: Option<u8>,
    /// A route that took the record and gave no verdict.
    pub(super) unanswered: Option<u8>,
}

/// The entries of one route, and the lanes that it must not go on with.
#[derive(Debug, Default)]
pub(super) struct Lot {
    pub(super) entries: Vec<Entry>,
    pub(super) held: Held,
    pub(super) memory: Memory,
    pub(super) next: usize,
}

/// A window over the batch: its vectors are used again and again.
pub(super) struct Window {
    pub(super) records: Vec<RawRecord>,
    pub(super) slots: Vec<Slot>,
    pub(super) lots: Vec<Lot>,
    capacity: usize,
    /// What was read but does not belong into the present window.
    ahead: Option<Result<RawRecord, UnreadableRecord>>,
    /// Where each lane begins, if there is more than one route.
    lanes: Lanes,
    last: Option<usize>,
}

impl Window {
    pub(super) fn new(table: &Table) -> Self {
        let capacity = table.handlers().map(|handler| handler.window()).max().unwrap_or(DEFAULT_WINDOW).max(1);
        Self {
            records: Vec::with_capacity(capacity.min(DEFAULT_WINDOW)),
            slots: Vec::with_capacity(capacity.min(DEFAULT_WINDOW)),
            lots: table.handlers().map(|_| Lot::default()).collect(),
            capacity,
            ahead: None,
            lanes: Lanes::default(),
            last: None,
        }
    }

    /// Fills the window up, unless there are records that were held back: those come first, on their own.
    ///
    /// It ends early before a record that cannot be read, since nobody knows whose item it is about, and where an
    /// item changes its routes, so that two handlers never work on one item's changes side by side.
    pub(super) fn fill(&mut self, split: &mut Split, table: &Table) {
        self.enter_held();
        if !self.records.is_empty() {
            return;
        }
        while self.records.len() < self.capacity {
            // Taken only if it is there: a record that moves through an option moves once more.
            match if self.ahead.is_some() { self.ahead.take() } else { split.next() } {
                Some(Ok(raw)) => {
                    if let Some(raw) = self.enter(raw, table) {
                        self.ahead = Some(Ok(raw));
                        return;
                    }
                }
                unreadable @ Some(Err(_)) => {
                    self.ahead = unreadable;
                    return;
                }
                None => return,
            }
        }
    }

    /// The unreadable records that come next, one behind the other, once everything before them is done with: so many at the most.
    pub(super) fn unreadable(&mut self, split: &mut Split, most: usize) -> Vec<UnreadableRecord> {
        let mut unreadable = Vec::new();
        while self.records.is_empty() && unreadable.len() < most {
            match self.ahead.take().or_else(|| if unreadable.is_empty() { None } else { split.next() }) {
                Some(Err(record)) => unreadable.push(record),
                other => {
                    self.ahead = other;
                    break;
                }
            }
        }
        unreadable
    }

    fn enter(&mut self, raw: RawRecord, table: &Table) -> Option<RawRecord> {
        let slot = match table.routing(&raw) {
            Ok(open) if open == Routing::default() => Slot::ignored(),
            Ok(open) => {
                let lane = raw.lane();
                if self.lots.len() > 1 && self.routed_otherwise(lane, open) {
                    return Some(raw);
                }
                self.listed(Slot::open(lane, open))
            }
            Err(unrouted) => self.listed(Slot::unrouted(raw.lane(), Failure::reject(unrouted))),
        };
        self.last = Some(raw.position());
        self.records.push(raw);
        self.slots.push(slot);
        None
    }

    /// Whether an earlier record of the lane goes to other routes; if there is none, this one is the lane's first.
    fn routed_otherwise(&mut self, lane: u64, open: Routing) -> bool {
        let Self { lanes, slots, .. } = self;
        let first = lanes.first(lane, slots.len(), |index| slots[index].lane);
        slots.get(first).is_some_and(|slot| slot.open != open)
    }

    /// Puts the next record on the lists of its open routes.
    fn listed(&mut self, slot: Slot) -> Slot {
        list(&mut self.lots, self.slots.len(), &slot);
        slot
    }

    fn enter_held(&mut self) {
        self.lanes.clear();
        for lot in &mut self.lots {
            lot.entries.clear();
            lot.held.clear();
            lot.next = 0;
        }
        for (index, slot) in self.slots.iter().enumerate() {
            list(&mut self.lots, index, slot);
        }
    }

    /// The index in the batch of the last record that was entered.
    pub(super) fn last_position(&self) -> Option<usize> {
        self.last
    }

    /// Keeps only the records that were held back.
    pub(super) fn keep(&mut self, held: &[usize]) {
        for lot in &mut self.lots {
            lot.memory.follow(|index| held.binary_search(&index).ok());
        }
        if held.is_empty() {
            self.records.clear();
            self.slots.clear();
            return;
        }
        let mut kept = 0..self.records.len();
        self.records.retain(|_| kept.next().is_some_and(|index| held.contains(&index)));
        let mut kept = 0..self.slots.len();
        self.slots.retain(|_| kept.next().is_some_and(|index| held.contains(&index)));
    }

    /// Whether every open route of a record holds its lane back, for the sake of a reject before it.
    pub(super) fn is_held(&self, index: usize) -> bool {
        let Slot { lane, open, .. } = &self.slots[index];
        open.facets().all(|(route, _)| self.lots[route].held.holds(*lane, index))
    }
}

/// Puts a record on the lists of its open routes; keeps its lane from those that rejected it.
fn list(lots: &mut [Lot], index: usize, slot: &Slot) {
    for (route, facet) in slot.open.facets() {
        lots[route].entries.push(Entry::new(index, slot.lane, facet));
    }
    if slot.rejected_by == 0 {
        return;
    }
    for (route, lot) in lots.iter_mut().enumerate() {
        if slot.rejected_by & (1 << route) != 0 {
            lot.held.hold(slot.lane, index);
        }
    }
}

impl Slot {
    fn open(lane: u64, open: Routing) -> Self {
        Self { lane, open, rejected_by: 0, verdict: None, blamed: None, unanswered: None }
    }

    fn ignored() -> Self {
        Self { verdict: Some(Ok(Outcome::Skipped(Skip::Ignored))), ..Self::open(0, Routing::default()) }
    }

    fn unrouted(lane: u64, failure: Failure) -> Self {
        Self { verdict: Some(Err(failure)), rejected_by: EVERY_ROUTE, ..Self::open(lane, Routing::default()) }
    }

    /// What became of the record, if every route is done with it and none failed.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        match &self.verdict {
            Some(Ok(outcome)) if self.open == Routing::default() => Some(*outcome),
            _ => None,
        }
    }

    /// Takes over what a route made of the record.
    pub(super) fn answer(&mut self, route: u8, verdict: Verdict) {
        self.open.remove(route.into());
        if let Err(failure) = &verdict {
            self.rejected_by |= 1 << route;
            let first = !matches!(self.verdict, Some(Err(_)));
            if first || !failure.is_reject() {
                self.blamed = Some(route);
            }
        }
        self.verdict = Some(match self.verdict.take() {
            None => verdict,
            Some(before) => merge(before, verdict),
        });
    }
}
