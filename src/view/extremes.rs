//! Minimum, maximum and last: which candidate wins, also after the winner has left.
//!
//! Every candidate has an entry of its own, in a partition per row and attribute, in the order that decides. A row
//! remembers its winners. Only if a winner leaves is the next one looked up, and only the first few entries of the
//! partition are read for that.

use std::collections::{BTreeMap, HashMap};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    delta::{Candidates, Delta, Deltas},
    layout::{BEST, Layout, REVISION, VALUE},
    share::{Extreme, RowName},
};
use crate::sink::table::{
    Action, AttributeValue, Condition, Decimal, Item, Limits, Query, TableError, Transacts, Update, query, read_many,
    text,
};

/// What a row with extremes says of them before a change.
#[derive(Default)]
pub(super) struct State {
    revision: Option<AttributeValue>,
    /// For each attribute whether the lowest wins, and the winner's place.
    best: BTreeMap<String, (bool, String)>,
    /// The first entries of the attributes whose winner leaves.
    entries: HashMap<String, Vec<(String, AttributeValue)>>,
}

/// Reads the rows whose extremes change, and the entries that come next where a winner leaves.
pub(super) async fn states(
    table: &dyn Transacts,
    layout: &Layout,
    deltas: &Deltas,
    limits: Limits,
) -> Result<HashMap<RowName, State>, TableError> {
    let rows: Vec<_> = deltas.iter().filter(|(_, delta)| !delta.extremes.is_empty()).collect();
    let keys: Vec<_> = rows.iter().map(|(name, _)| layout.row_key(name)).collect();
    let found = read_many(table, &keys, limits).await?;
    let known = rows.iter().zip(found).map(|((name, _), row)| ((*name).clone(), State::of(row.as_ref())));
    let mut states: HashMap<RowName, State> = known.collect();
    let mut lookups = Vec::new();
    for (name, delta) in rows {
        for (attribute, candidates) in states[name].leaving(delta) {
            let descending = !states[name].lowest(attribute, candidates);
            let limit = u16::try_from(candidates.removed.len() + 1).unwrap_or(u16::MAX);
            let first = Query { partition: layout.candidates(name, attribute), descending, limit };
            lookups.push(lookup(table, layout, (name, attribute), first, limits));
        }
    }
    let found: Vec<_> = stream::iter(lookups).buffered(limits.concurrency.max(1)).try_collect().await?;
    for (name, attribute, entries) in found {
        states.entry(name).or_default().entries.insert(attribute, entries);
    }
    Ok(states)
}

/// The first entries of one attribute of one row: as many as it takes to find one that stays.
async fn lookup(
    table: &dyn Transacts,
    layout: &Layout,
    (name, attribute): (&RowName, &str),
    first: Query,
    limits: Limits,
) -> Result<(RowName, String, Vec<(String, AttributeValue)>), TableError> {
    let entries = query(table, first, limits.until).await?;
    let read = |entry: &Item| match entry.get(&layout.sort_key) {
        Some(AttributeValue::S(place)) => Some((place.clone(), entry.get(VALUE)?.clone())),
        _ => None,
    };
    Ok((name.clone(), attribute.to_owned(), entries.iter().filter_map(read).collect()))
}

/// The winners that a row names: for each attribute whether the lowest wins, and the place.
pub(super) fn winners(row: &Item) -> BTreeMap<String, (bool, String)> {
    let Some(AttributeValue::M(best)) = row.get(BEST) else { return BTreeMap::new() };
    let winner = |(name, value): (&String, &AttributeValue)| match value {
        AttributeValue::S(text) => Some((name.clone(), (text.starts_with('<'), text.get(1..)?.to_owned()))),
        _ => None,
    };
    best.iter().filter_map(winner).collect()
}

/// Who wins after a change.
enum Winner {
    /// Whoever won before.
    Stays,
    /// This place, with this value.
    Is(String, AttributeValue),
    /// Nobody: there are no candidates.
    Nobody,
}

impl State {
    fn of(row: Option<&Item>) -> Self {
        let Some(row) = row else { return Self::default() };
        Self { revision: row.get(REVISION).cloned(), best: winners(row), entries: HashMap::new() }
    }

    /// Whether the lowest candidate for an attribute wins from now on.
    fn lowest(&self, attribute: &str, candidates: &Candidates) -> bool {
        candidates.lowest(self.best.get(attribute).map(|(lowest, _)| *lowest))
    }

    /// The attributes whose winner leaves, is not known, or won by another rule.
    fn leaving<'d>(&self, delta: &'d Delta) -> Vec<(&'d String, &'d Candidates)> {
        let leaves = |(attribute, candidates): &(&String, &Candidates)| match self.best.get(*attribute) {
            None => !candidates.removed.is_empty(),
            Some((lowest, place)) => {
                *lowest != self.lowest(attribute, candidates) || candidates.removed.contains(place)
            }
        };
        delta.extremes.iter().filter(leaves).collect()
    }

    fn winner(&self, attribute: &str, candidates: &Candidates) -> Winner {
        let entries = self.entries.get(attribute);
        let found = entries.into_iter().flatten().map(|(place, value)| (place, Some(value)));
        let before = self.best.get(attribute).filter(|_| entries.is_none()).map(|(_, place)| (place, None));
        let stay = |place: &String| !candidates.removed.contains(place) && !candidates.added.contains_key(place);
        let others = found.chain(before).filter(|(place, _)| stay(place));
        let added = candidates.added.iter().map(|(place, Extreme { value, .. })| (place, Some(value)));
        let all = added.chain(others);
        let lowest = self.lowest(attribute, candidates);
        let first = if lowest { all.min_by_key(|(place, _)| *place) } else { all.max_by_key(|(place, _)| *place) };
        match first {
            None => Winner::Nobody,
            Some((place, Some(value))) => Winner::Is(place.clone(), value.clone()),
            Some((_, None)) => Winner::Stays,
        }
    }

    /// Adds to a row's update who wins now; it holds only while nobody else has decided that.
    pub(super) fn decide(&self, delta: &Delta, mut update: Update) -> (Update, Condition) {
        let mut best = self.best.clone();
        for (attribute, candidates) in &delta.extremes {
            match self.winner(attribute, candidates) {
                Winner::Stays => {}
                Winner::Is(place, value) => {
                    best.insert(attribute.clone(), (self.lowest(attribute, candidates), place));
                    update = update.set(attribute, value);
                }
                Winner::Nobody => {
                    best.remove(attribute);
                    update = update.remove(attribute);
                }
            }
        }
        let word = |(lowest, place)| text(format!("{}{place}", if lowest { '<' } else { '>' }));
        let best = best.into_iter().map(|(attribute, winner)| (attribute, word(winner)));
        let update = update.set(BEST, AttributeValue::M(best.collect())).add(REVISION, Decimal::ONE);
        (update, self.condition())
    }

    fn condition(&self) -> Condition {
        match &self.revision {
            None => Condition::Absent(REVISION.to_owned()),
            Some(revision) => Condition::Is(REVISION.to_owned(), revision.clone()),
        }
    }
}

impl Candidates {
    /// The entries of candidates that come and go.
    pub(super) fn actions(&self, layout: &Layout, name: &RowName, attribute: &str) -> Vec<Action> {
        let put = self.added.iter().map(|(place, extreme)| {
            let key = layout.candidate_key(name, attribute, place);
            let mut row = key.clone();
            row.extend(layout.marks());
            row.insert(VALUE.to_owned(), extreme.value.clone());
            Action::put(key, row)
        });
        let delete = self.removed.iter().map(|place| Action::delete(layout.candidate_key(name, attribute, place)));
        put.chain(delete).collect()
    }
}
