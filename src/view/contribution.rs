//! What an item adds to the rows of a view: the words of the user's function.

use super::share::{Extreme, Mark, Part};
use crate::sink::table::{AttributeValue, Decimal, Item};

/// What one item contributes to one row of an aggregate.
///
/// ```
/// use anabranch::{sink::table::text, view::Contribution};
///
/// # let (pet, day, minutes, kind, timestamp) = ("PET#mia", "2026-11-21", 30_u32, "WALK", "2026-11-21T08:00:00Z");
/// let daily = Contribution::to(pet, format!("SUMMARY#{day}"))
///     .count("activities")
///     .sum("minutes", minutes)
///     .max("longest", minutes)
///     .last("lastActivity", timestamp, text(kind));
/// ```
///
/// An attribute is used in one way only: two of these under one name, or a name of the view's own (its keys, its entity
/// type, `anabranch..`), reject the record. Several contributions of one item to the same row add up.
#[derive(Clone)]
pub struct Contribution {
    pub(super) partition: String,
    pub(super) sort: String,
    pub(super) part: Part,
}

impl Contribution {
    /// A contribution to the row with these keys: by itself it makes the row count one item more.
    pub fn to(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into(), part: Part::default() }
    }

    /// Counts the item in attribute `name`.
    #[must_use]
    pub fn count(self, name: impl Into<String>) -> Self {
        self.sum(name, Decimal::ONE)
    }

    /// Adds an amount to attribute `name`: an integer, or a [`Decimal`] for exact fractions.
    #[must_use]
    pub fn sum(mut self, name: impl Into<String>, amount: impl Into<Decimal>) -> Self {
        self.part.sums.push((name.into(), amount.into()));
        self
    }

    /// Takes part in an average: a sum in attribute `{name}Sum` and a count in `{name}Count`, which
    /// [`ViewRow::average`](super::ViewRow::average) divides.
    #[must_use]
    pub fn average(self, name: &str, amount: impl Into<Decimal>) -> Self {
        self.sum(format!("{name}Sum"), amount).count(format!("{name}Count"))
    }

    /// Takes part in the minimum that attribute `name` holds.
    #[must_use]
    pub fn min(self, name: impl Into<String>, amount: impl Into<Decimal>) -> Self {
        let amount = amount.into();
        self.mark(name, amount.sortable(), true, AttributeValue::N(amount.to_string()))
    }

    /// Takes part in the maximum that attribute `name` holds.
    #[must_use]
    pub fn max(self, name: impl Into<String>, amount: impl Into<Decimal>) -> Self {
        let amount = amount.into();
        self.mark(name, amount.sortable(), false, AttributeValue::N(amount.to_string()))
    }

    /// Takes part in being the last: attribute `name` holds the value of the item whose `order` sorts last as a string, for
    /// example an ISO time. Of equal ones the item whose key sorts last decides.
    #[must_use]
    pub fn last(self, name: impl Into<String>, order: impl Into<String>, value: AttributeValue) -> Self {
        self.mark(name, order.into(), false, value)
    }

    /// Sets attribute `name` of the row to a text that follows from the row's keys, for example the key of an index. All
    /// contributions to a row give the same.
    #[must_use]
    pub fn label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.part.labels.insert(name.into(), value.into());
        self
    }

    fn mark(mut self, name: impl Into<String>, order: String, lowest: bool, value: AttributeValue) -> Self {
        self.part.marks.insert(Mark { name: name.into(), order }, Extreme { lowest, value });
        self
    }
}

/// One row of a projection: an item in another shape, under other keys.
///
/// ```
/// use anabranch::{sink::table::text, view::Row};
///
/// let by_species = Row::at("SPECIES#cat", "PET#mia").set("name", text("Mia"));
/// ```
#[derive(Clone)]
pub struct Row {
    pub(super) partition: String,
    pub(super) sort: String,
    pub(super) attributes: Item,
}

impl Row {
    /// A row under these keys, with no other attributes yet.
    pub fn at(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self { partition: partition.into(), sort: sort.into(), attributes: Item::default() }
    }

    /// Sets one attribute.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.attributes.insert(name.into(), value);
        self
    }

    /// Sets all attributes of an item. Key attributes that the view's table has are replaced by those of the row.
    #[must_use]
    pub fn with(mut self, attributes: Item) -> Self {
        self.attributes.extend(attributes.into_inner());
        self
    }
}
