//! Reading a view: shards summed, averages divided.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use super::{
    ViewError,
    extremes::winners,
    layout::{ITEMS, Layout, MARKER},
    share::RowName,
};
use crate::sink::table::{AttributeValue, Decimal, Item, Limits, Transacts, read_many, text};

/// Reads rows of an aggregate, whatever the number of shards; made by [`View::reader`](super::View::reader).
#[derive(Clone)]
pub struct ViewReader {
    pub(super) table: Arc<dyn Transacts>,
    pub(super) layout: Layout,
}

impl ViewReader {
    /// The row with these keys, or none if no item contributes to it. All shards are read consistently, in one request as
    /// long as there are fewer than 100.
    ///
    /// # Errors
    /// What the table says, or that the shards cannot be summed exactly.
    pub async fn read(&self, partition: &str, sort: &str) -> Result<Option<ViewRow>, ViewError> {
        let name = RowName { partition: partition.to_owned(), sort: sort.to_owned() };
        self.sum(self.shards(&[&name]).await?.into_iter().flatten().flatten())
    }

    /// All shards of rows as they are.
    pub(super) async fn shards(&self, rows: &[&RowName]) -> Result<Vec<Vec<Option<Item>>>, ViewError> {
        let shards: Vec<_> = rows.iter().map(|row| self.layout.shard_names(&row.partition, &row.sort)).collect();
        let keys: Vec<_> = shards.iter().flatten().map(|name| self.layout.row_key(name)).collect();
        let mut found = read_many(&*self.table, &keys, Limits { concurrency: 4, until: None }).await?.into_iter();
        // Under a key that the view has not used for long there may be something else.
        let marker = text(self.layout.view.clone());
        let is_own = |row: &Item| row.get(MARKER) == Some(&marker);
        let mut own = || found.next().flatten().filter(is_own);
        Ok(shards.iter().map(|shards| shards.iter().map(|_| own()).collect()).collect())
    }

    /// What rows come to that were read in another way, for example by a query of an index: all shards of one row.
    ///
    /// # Errors
    /// They cannot be summed exactly.
    pub fn sum(&self, shards: impl IntoIterator<Item = Item>) -> Result<Option<ViewRow>, ViewError> {
        let mut row = ViewRow::default();
        for shard in shards {
            self.add(&mut row, &shard)?;
        }
        Ok((!row.items.is_zero()).then_some(row))
    }

    fn add(&self, row: &mut ViewRow, shard: &Item) -> Result<(), ViewError> {
        let winners = winners(shard);
        for (name, value) in shard.iter() {
            match (winners.get(name), value) {
                (Some((lowest, place)), _) => row.candidate(name, *lowest, place, value),
                (None, AttributeValue::N(number)) if name == ITEMS || !self.layout.is_own(name) => {
                    let inexact = || ViewError::Inexact { name: name.clone() };
                    let number: Decimal = number.parse().map_err(|_| inexact())?;
                    let sum = if name == ITEMS { &mut row.items } else { row.numbers.entry(name.clone()).or_default() };
                    *sum = sum.plus(number).ok_or_else(inexact)?;
                }
                (None, _) if !self.layout.is_own(name) => _ = row.values.insert(name.clone(), value.clone()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A row of an aggregate, all shards together.
#[derive(Clone, Default, PartialEq)]
pub struct ViewRow {
    pub(super) items: Decimal,
    pub(super) numbers: BTreeMap<String, Decimal>,
    pub(super) values: BTreeMap<String, AttributeValue>,
    places: BTreeMap<String, String>,
}

impl ViewRow {
    /// How many items contribute to it.
    pub fn items(&self) -> Decimal {
        self.items
    }

    /// A sum or a count; 0 if nothing was added.
    pub fn number(&self, name: &str) -> Decimal {
        self.numbers.get(name).copied().unwrap_or_default()
    }

    /// All sums and counts.
    pub fn numbers(&self) -> &BTreeMap<String, Decimal> {
        &self.numbers
    }

    /// A minimum, a maximum, a last value or a label.
    pub fn value(&self, name: &str) -> Option<&AttributeValue> {
        self.values.get(name)
    }

    /// An average, rounded to `places` digits behind the point; none of nothing.
    pub fn average(&self, name: &str, places: u32) -> Option<Decimal> {
        self.number(&format!("{name}Sum")).divided_by(self.number(&format!("{name}Count")), places)
    }

    pub(super) fn candidate(&mut self, name: &str, lowest: bool, place: &str, value: &AttributeValue) {
        let wins = match self.places.entry(name.to_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(place.to_owned());
                true
            }
            Entry::Occupied(mut entry) => {
                let best = entry.get().as_str();
                let wins = if lowest { place < best } else { place > best };
                if wins {
                    entry.insert(place.to_owned());
                }
                wins
            }
        };
        if wins {
            self.values.insert(name.to_owned(), value.clone());
        }
    }
}
