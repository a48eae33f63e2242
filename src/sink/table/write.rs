//! One row's new state, and what came of it.

use std::{collections::HashMap, fmt};

use tokio::time::Instant;

use super::{AttributeValue, Item};

/// What one row of a table is to become: other attributes, or nothing.
///
/// `Debug` names the attributes but shows no values, which are your users'.
#[derive(Clone, PartialEq)]
pub struct RowWrite {
    key: Item,
    row: Option<Item>,
}

impl RowWrite {
    /// The row named by `key` becomes `row`, which holds the key's attributes as well.
    pub fn put(key: Item, row: Item) -> Self {
        Self { key, row: Some(row) }
    }

    /// The row named by `key` goes.
    pub fn delete(key: Item) -> Self {
        Self { key, row: None }
    }

    /// The key's attributes, and no others.
    pub fn key(&self) -> &Item {
        &self.key
    }

    /// All attributes of the row, or none if it goes.
    pub fn row(&self) -> Option<&Item> {
        self.row.as_ref()
    }

    pub(super) fn row_mut(&mut self) -> Option<&mut Item> {
        self.row.as_mut()
    }

    pub(super) fn into_parts(self) -> (Item, Option<Item>) {
        (self.key, self.row)
    }
}

impl fmt::Debug for RowWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |item: &Item| item.keys().cloned().collect::<Vec<_>>();
        f.debug_struct("RowWrite").field("key", &names(&self.key)).field("row", &self.row.as_ref().map(names)).finish()
    }
}

/// What a guarded write came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Written {
    /// The row is now as it was to become.
    Applied,
    /// The stored row is of the same version or a later one, and stays.
    Stale,
}

/// How many writes may be on their way at a time, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests on their way at the same time; 0 counts as 1.
    pub concurrency: usize,
    /// When to give up on what is not done, if ever.
    pub until: Option<Instant>,
}

/// An item of these attributes.
pub fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    Item::from(HashMap::from(attributes))
}

/// A string attribute, the most common kind of key.
pub fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}
