//! What changes in the rows of a view: new shares minus old ones, cancelled before anything is written.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ViewError,
    layout::place,
    share::{Extreme, RowName, Share, Shares},
};
use crate::sink::table::{Decimal, Item};

/// What changes in one row.
#[derive(Clone, Default)]
pub(super) struct Delta {
    pub(super) amounts: BTreeMap<String, Decimal>,
    /// Items more, or fewer.
    pub(super) items: i64,
    pub(super) extremes: BTreeMap<String, Candidates>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) projected: Option<Projected>,
}

/// What changes among the candidates for one attribute, by their places in its order.
#[derive(Clone, Default)]
pub(super) struct Candidates {
    /// Whether the lowest won where those that leave came from; see [`lowest`](Self::lowest()).
    lowest: bool,
    /// New ones, and those that stand for something else now.
    pub(super) added: BTreeMap<String, Extreme>,
    pub(super) removed: BTreeSet<String>,
}

impl Candidates {
    /// Whether the lowest wins: as new ones say, else as it was decided before. Those that leave know only how it once was.
    pub(super) fn lowest(&self, before: Option<bool>) -> bool {
        self.added.values().next().map(|extreme| extreme.lowest).or(before).unwrap_or(self.lowest)
    }
}

/// What becomes of a projected row.
#[derive(Clone)]
pub(super) enum Projected {
    Put { attributes: Item, owner: String },
    Delete { owner: String },
}

pub(super) type Deltas = BTreeMap<RowName, Delta>;

/// What changes when an item has `new` shares instead of `old` ones.
pub(super) fn between(old: &Shares, new: &Shares, source: &str, projects: bool) -> Result<Deltas, ViewError> {
    let nothing = Share::default();
    let mut deltas = Deltas::new();
    for name in old.keys().chain(new.keys()) {
        if deltas.contains_key(name) {
            continue;
        }
        let (before, after) = (old.get(name), new.get(name));
        let mut delta = Delta::of(before.unwrap_or(&nothing), after.unwrap_or(&nothing), source)?;
        delta.items = i64::from(after.is_some()) - i64::from(before.is_some());
        delta.projected = projects.then(|| projected(after, source));
        deltas.insert(name.clone(), delta);
    }
    deltas.retain(|_, delta| !delta.is_nothing());
    Ok(deltas)
}

fn projected(after: Option<&Share>, source: &str) -> Projected {
    let owner = source.to_owned();
    match after.and_then(|share| share.projected.clone()) {
        Some(attributes) => Projected::Put { attributes, owner },
        None => Projected::Delete { owner },
    }
}

impl Delta {
    fn of(before: &Share, after: &Share, source: &str) -> Result<Self, ViewError> {
        before.check_uses(after)?;
        let mut delta = Self { amounts: after.amounts.clone(), labels: after.labels.clone(), ..Self::default() };
        for (name, amount) in &before.amounts {
            let sum = delta.amounts.entry(name.clone()).or_default();
            *sum = sum.minus(*amount).ok_or_else(|| ViewError::Inexact { name: name.clone() })?;
        }
        delta.amounts.retain(|_, amount| !amount.is_zero());
        for (mark, extreme) in &after.marks {
            if before.marks.get(mark) != Some(extreme) {
                delta.candidates(&mark.name, extreme).added.insert(place(mark, source), extreme.clone());
            }
        }
        for (mark, extreme) in &before.marks {
            if !after.marks.contains_key(mark) {
                delta.candidates(&mark.name, extreme).removed.insert(place(mark, source));
            }
        }
        Ok(delta)
    }

    fn candidates(&mut self, name: &str, extreme: &Extreme) -> &mut Candidates {
        let candidates = self.extremes.entry(name.to_owned()).or_default();
        candidates.lowest = extreme.lowest;
        candidates
    }

    fn is_nothing(&self) -> bool {
        self.amounts.is_empty() && self.items == 0 && self.extremes.is_empty() && self.projected.is_none()
    }

    /// How many rows of a transaction it takes: the row, and an entry for each candidate.
    pub(super) fn actions(&self) -> usize {
        let entries = self.extremes.values().map(|candidates| candidates.added.len() + candidates.removed.len());
        1 + entries.sum::<usize>()
    }

    /// This change and another item's, as one; none if they cannot be.
    pub(super) fn merged(&self, other: &Self) -> Option<Self> {
        if self.projected.is_some() || other.projected.is_some() {
            return None;
        }
        let mut merged = self.clone();
        for (name, amount) in &other.amounts {
            let sum = merged.amounts.entry(name.clone()).or_default();
            *sum = sum.plus(*amount)?;
        }
        merged.amounts.retain(|_, amount| !amount.is_zero());
        merged.items += other.items;
        merged.labels.extend(other.labels.clone());
        for (name, candidates) in &other.extremes {
            let all = merged.extremes.entry(name.clone()).or_default();
            all.lowest |= candidates.lowest;
            all.added.extend(candidates.added.clone());
            all.removed.extend(candidates.removed.iter().cloned());
        }
        Some(merged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        sink::table::text,
        view::{Contribution, layout::Layout, share::contributed},
    };

    fn shares(contributions: Vec<Contribution>) -> Shares {
        contributed(&Layout::new("v"), "i", contributions).unwrap()
    }

    fn deltas(old: Vec<Contribution>, new: Vec<Contribution>) -> Vec<Delta> {
        between(&shares(old), &shares(new), "i", false).unwrap().into_values().collect()
    }

    fn row(sort: &str) -> Contribution {
        Contribution::to("p", sort)
    }

    #[test]
    fn what_stays_is_cancelled() {
        let same = || vec![row("s").sum("sum", 5).max("most", 5)];
        assert!(deltas(same(), same()).is_empty());
        let grown = deltas(vec![row("s").sum("sum", 5).count("n")], vec![row("s").sum("sum", 7).count("n")]);
        assert_eq!(grown[0].amounts, BTreeMap::from([("sum".to_owned(), 2.into())]));
        assert_eq!(grown[0].items, 0);
    }

    #[test]
    fn a_move_takes_from_one_row_and_gives_to_another() {
        let moved = deltas(vec![row("a").count("n")], vec![row("b").count("n")]);
        let changes: Vec<_> = moved.iter().map(|delta| (delta.items, delta.amounts["n"])).collect();
        assert_eq!(changes, [(-1, Decimal::from(-1)), (1, 1.into())]);
    }

    #[test]
    fn a_candidate_that_stands_for_something_else_is_added_and_not_removed() {
        let last = |value| vec![row("s").last("last", "1", text(value))];
        let changed = deltas(last("a"), last("b"));
        let candidates = &changed[0].extremes["last"];
        assert_eq!((candidates.added.len(), candidates.removed.len()), (1, 0));
    }

    #[test]
    fn changes_of_two_items_merge_into_one() {
        let one = deltas(vec![], vec![row("s").sum("sum", 5)]);
        let other = deltas(vec![row("s").sum("sum", 5).max("most", 1)], vec![]);
        let merged = one[0].merged(&other[0]).unwrap();
        assert!(merged.amounts.is_empty() && merged.items == 0);
        assert_eq!(merged.actions(), 2);
        let huge = deltas(vec![], vec![row("s").sum("sum", "1E60".parse::<Decimal>().unwrap())]);
        assert!(one[0].merged(&huge[0]).is_none(), "not exactly");
    }
}
