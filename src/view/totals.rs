//! The rows of an aggregate, computed from the items alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    View, ViewError, ViewRow,
    layout::{self, OWNER},
    share::{RowName, Share},
    verify::Held,
};
use crate::{
    record::FromImage,
    sink::table::{Decimal, Difference, Item, fingerprint, text},
};

/// So many rows are compared at a time.
const ROWS_AT_A_TIME: usize = 400;

/// Rows of an aggregate as they should be, by their keys: as many as the view has, some 500 bytes each.
#[derive(Default)]
pub(crate) struct Totals {
    rows: BTreeMap<RowName, ViewRow>,
    /// Whether only the rows that are there already count.
    closed: bool,
}

/// A row that is not what its items come to.
pub(crate) struct Doubt {
    name: RowName,
    pub(crate) difference: Difference,
    /// What tells whether the row, and what it should be, are still as they were.
    pub(crate) state: ([u8; 32], ViewRow),
}

impl Totals {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Empty rows of these names, and room for no others.
    pub(crate) fn of<'d>(doubts: impl IntoIterator<Item = &'d Doubt>) -> Self {
        Self { rows: doubts.into_iter().map(|doubt| (doubt.name.clone(), ViewRow::default())).collect(), closed: true }
    }

    fn add(&mut self, name: RowName, share: &Share, source: &str) -> Result<(), ViewError> {
        let row = match self.closed {
            true => self.rows.get_mut(&name),
            false => Some(self.rows.entry(name).or_default()),
        };
        let Some(row) = row else { return Ok(()) };
        row.items = row.items.plus(Decimal::ONE).ok_or(ViewError::Inexact { name: "items".to_owned() })?;
        for (name, amount) in &share.amounts {
            let sum = row.numbers.entry(name.clone()).or_default();
            *sum = sum.plus(*amount).ok_or_else(|| ViewError::Inexact { name: name.clone() })?;
        }
        for (mark, extreme) in &share.marks {
            row.candidate(&mark.name, extreme.lowest, &layout::place(mark, source), &extreme.value);
        }
        row.values.extend(share.labels.iter().map(|(name, label)| (name.clone(), text(label.clone()))));
        Ok(())
    }
}

impl<T: FromImage> View<T> {
    /// Adds what an item has in the view; of none, or of one that cannot be read, what the ledger says.
    pub(crate) fn add_up(
        &self,
        totals: &mut Totals,
        key: &Item,
        item: Option<Item>,
        held: &Held,
    ) -> Result<(), ViewError> {
        let shares = item.and_then(|item| self.shares_of(Some(key), Some(item)).ok());
        let shares = shares.map_or_else(|| self.shares_held(held), Ok)?;
        let source = layout::source(key);
        shares.iter().try_for_each(|(name, share)| totals.add(self.engine.layout.whole(name), share, &source))
    }

    /// Whether an item can be read as what the view is made of.
    pub(crate) fn is_readable(&self, key: &Item, item: &Item) -> bool {
        self.shares_of(Some(key), Some(item.clone())).is_ok()
    }

    /// The rows that are not what they should be.
    pub(crate) async fn doubts(&self, totals: &Totals) -> Result<Vec<Doubt>, ViewError> {
        let (mut doubts, mut rows) = (Vec::new(), totals.rows.iter());
        loop {
            let some: Vec<_> = rows.by_ref().take(ROWS_AT_A_TIME).collect();
            if some.is_empty() {
                return Ok(doubts);
            }
            doubts.extend(self.doubts_among(&some).await?);
        }
    }

    async fn doubts_among(&self, rows: &[(&RowName, &ViewRow)]) -> Result<Vec<Doubt>, ViewError> {
        let reader = self.reader();
        let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
        let mut doubts = Vec::new();
        for ((name, expected), shards) in rows.iter().zip(reader.shards(&names).await?) {
            let state = fingerprint(shards.iter().map(Option::as_ref));
            let found = reader.sum(shards.into_iter().flatten())?;
            let difference = rows_differ((!expected.items.is_zero()).then_some(expected), found.as_ref());
            let state = (state, (*expected).clone());
            doubts.extend(difference.map(|difference| Doubt { name: (*name).clone(), difference, state }));
        }
        Ok(doubts)
    }

    /// A doubt about a row of the view's table that no item has anything in.
    pub(crate) async fn doubt_of_row(&self, totals: &Totals, row: &Item) -> Result<Option<Doubt>, ViewError> {
        let name = self.engine.layout.row_of_view(row).filter(|_| !row.contains_key(OWNER));
        let name = name.map(|name| self.engine.layout.whole(&name)).filter(|name| !totals.rows.contains_key(name));
        match name {
            Some(name) => Ok(self.doubts_among(&[(&name, &ViewRow::default())]).await?.pop()),
            None => Ok(None),
        }
    }

    /// The keys of a row in doubt.
    pub(crate) fn key_of_doubt(&self, doubt: &Doubt) -> Item {
        self.engine.layout.row_key(&doubt.name)
    }
}

impl Doubt {
    /// Whether two doubts are about one row.
    pub(crate) fn is_about(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

fn rows_differ(expected: Option<&ViewRow>, found: Option<&ViewRow>) -> Option<Difference> {
    let (expected, found) = match (expected, found) {
        (None, None) => return None,
        (Some(_), None) => return Some(Difference::Missing),
        (None, Some(_)) => return Some(Difference::Extra),
        (Some(expected), Some(found)) => (expected, found),
    };
    let numbers = expected.numbers.keys().chain(found.numbers.keys());
    let numbers = numbers.filter(|name| expected.number(name) != found.number(name));
    let values = expected.values.keys().chain(found.values.keys());
    let values = values.filter(|name| expected.value(name) != found.value(name));
    let items = (expected.items != found.items).then_some(layout::ITEMS.to_owned());
    let names: BTreeSet<_> = numbers.chain(values).cloned().chain(items).collect();
    (!names.is_empty()).then(|| Difference::Different { attributes: names.into_iter().collect() })
}
