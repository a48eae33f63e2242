//! What one item has in the rows of a view.

use std::collections::BTreeMap;

use super::{Contribution, Row, ViewError, layout::Layout};
use crate::sink::table::{AttributeValue, Decimal, Item, item, item_size};

/// As many rows and entries as one item may have: moved to as many others, they fit into one transaction with its ledger.
pub(super) const MAX_ROWS: usize = 49;
/// A hundred entries with values of this size, keys and all, are less than the 1 MB of a query's page.
const MAX_VALUE: usize = 4 * 1024;

/// The keys of a row of the view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowName {
    pub(super) partition: String,
    pub(super) sort: String,
}

/// What one item contributes to one row, as its function says it.
#[derive(Clone, Default)]
pub(super) struct Part {
    pub(super) sums: Vec<(String, Decimal)>,
    pub(super) marks: BTreeMap<Mark, Extreme>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Something that stands in the order of an attribute's candidates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) name: String,
    pub(super) order: String,
}

/// What a candidate stands for, and whether the lowest or the highest wins.
#[derive(Clone, PartialEq)]
pub(super) struct Extreme {
    pub(super) lowest: bool,
    pub(super) value: AttributeValue,
}

/// What one item has in one row. Labels and projected attributes are not kept in the ledger.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Share {
    pub(super) amounts: BTreeMap<String, Decimal>,
    pub(super) marks: BTreeMap<Mark, Extreme>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) projected: Option<Item>,
}

impl Share {
    /// What adds up and what wins are not exchanged for one another under one name: the one would be added to the other.
    pub(super) fn check_uses(&self, after: &Self) -> Result<(), ViewError> {
        let mixed = |one: &Self, other: &Self| {
            let mut names = other.marks.keys().map(|mark| &mark.name).chain(other.labels.keys());
            names.find(|name| one.amounts.contains_key(*name)).cloned()
        };
        match mixed(self, after).or_else(|| mixed(after, self)) {
            Some(name) => Err(ViewError::Reused { name }),
            None => Ok(()),
        }
    }
}

/// What one item has in all rows.
pub(super) type Shares = BTreeMap<RowName, Share>;

/// The shares that contributions come to.
pub(super) fn contributed(
    layout: &Layout,
    source: &str,
    contributions: Vec<Contribution>,
) -> Result<Shares, ViewError> {
    let mut shares = Shares::new();
    for Contribution { partition, sort, part } in contributions {
        let share = shares.entry(layout.row_name(partition, sort, source)).or_default();
        for (name, amount) in part.sums {
            let sum = share.amounts.entry(name.clone()).or_default();
            *sum = sum.plus(amount).ok_or(ViewError::Inexact { name })?;
        }
        share.marks.extend(part.marks);
        share.labels.extend(part.labels);
    }
    shares.values().try_for_each(|share| check_names(layout, share).and_then(|()| check_values(share)))?;
    bounded(shares)
}

/// The shares that projected rows come to. Of two under the same keys the last counts.
pub(super) fn projected(layout: &Layout, rows: Vec<Row>) -> Result<Shares, ViewError> {
    let shares = rows.into_iter().map(|Row { partition, sort, attributes }| {
        let name = RowName { partition, sort };
        let reserved = attributes.keys().find(|name| layout.is_marked(name));
        match reserved {
            Some(name) => Err(ViewError::Attribute { name: name.clone() }),
            None => Ok((name, Share { projected: Some(attributes), ..Share::default() })),
        }
    });
    bounded(shares.collect::<Result<_, _>>()?)
}

fn bounded(shares: Shares) -> Result<Shares, ViewError> {
    let rows = shares.values().map(|share| 1 + share.marks.len()).sum();
    if rows > MAX_ROWS { Err(ViewError::TooManyRows { rows, limit: MAX_ROWS }) } else { Ok(shares) }
}

/// The entries that a transaction may have to look at fit into one page of a query.
fn check_values(share: &Share) -> Result<(), ViewError> {
    for (mark, extreme) in &share.marks {
        let bytes = item_size(&item([(&mark.name, extreme.value.clone())]));
        if bytes > MAX_VALUE {
            return Err(ViewError::LargeValue { name: mark.name.clone(), bytes, limit: MAX_VALUE });
        }
    }
    Ok(())
}

/// An attribute of a row is used in one way.
fn check_names(layout: &Layout, share: &Share) -> Result<(), ViewError> {
    let mut uses: BTreeMap<&str, u8> = BTreeMap::new();
    let amounts = share.amounts.keys().map(|name| (name, 0));
    let marks = share.marks.iter().map(|(mark, extreme)| (&mark.name, if extreme.lowest { 1 } else { 2 }));
    let labels = share.labels.keys().map(|name| (name, 3));
    for (name, usage) in amounts.chain(marks).chain(labels) {
        if *uses.entry(name).or_insert(usage) != usage || layout.is_own(name) {
            return Err(ViewError::Attribute { name: name.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::table::text;

    fn shares(contributions: Vec<Contribution>) -> Result<Shares, ViewError> {
        contributed(&Layout::new("v"), "source", contributions)
    }

    #[test]
    fn contributions_to_one_row_add_up() {
        let row = || Contribution::to("p", "s").sum("sum", 2).min("least", 5);
        let shares = shares(vec![row(), row().average("mean", 4), Contribution::to("p", "t")]).unwrap();
        assert_eq!(shares.len(), 2);
        let share = shares.values().next().unwrap();
        assert_eq!(share.amounts["sum"], 4.into());
        assert_eq!((share.amounts["meanSum"], share.amounts["meanCount"]), (4.into(), 1.into()));
        assert_eq!(share.marks.len(), 1);
    }

    #[test]
    fn a_name_has_one_use() {
        let row = || Contribution::to("p", "s");
        let wrong = [
            row().sum("x", 1).max("x", 1),
            row().min("x", 1).max("x", 2),
            row().label("x", "l").count("x"),
            row().count("PK"),
            row().count("anabranchItems"),
        ];
        for (at, contribution) in wrong.into_iter().enumerate() {
            assert!(matches!(shares(vec![contribution]), Err(ViewError::Attribute { .. })), "{at}");
        }
        assert!(shares(vec![row().last("x", "1", text("a")).last("x", "2", text("b"))]).is_ok());
    }

    #[test]
    fn last_values_are_bounded() {
        let last = |bytes| shares(vec![Contribution::to("p", "s").last("x", "1", text("v".repeat(bytes)))]);
        assert!(last(4_000).is_ok());
        assert!(matches!(last(5_000), Err(ViewError::LargeValue { bytes: 5_001, .. })));
    }

    #[test]
    fn rows_and_entries_of_an_item_are_bounded() {
        let rows = |count| (0..count).map(|sort| Contribution::to("p", format!("{sort}")).max("x", 1)).collect();
        assert!(shares(rows(24)).is_ok());
        assert!(matches!(shares(rows(25)), Err(ViewError::TooManyRows { rows: 50, limit: 49 })));
    }
}
