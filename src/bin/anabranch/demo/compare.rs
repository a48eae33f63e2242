//! Tables, item by item and attribute by attribute.

use std::collections::{BTreeMap, HashMap};

use anabranch::sink::table::{DEFAULT_VERSION_ATTRIBUTE, Item, item, text};
use aws_sdk_dynamodb::{Client, types::AttributeValue};

use crate::BoxError;

/// `PK` and `SK`.
pub(super) type Key = (String, String);
/// All items of a table.
pub(super) type Rows = BTreeMap<Key, HashMap<String, AttributeValue>>;

/// Reads a table whole.
pub(super) async fn rows(client: &Client, table: &str) -> Result<Rows, BoxError> {
    let mut pages = client.scan().table_name(table).consistent_read(true).into_paginator().send();
    let mut rows = Rows::new();
    while let Some(page) = pages.next().await {
        rows.extend(page?.items.unwrap_or_default().into_iter().map(|row| (key(&row), row)));
    }
    Ok(rows)
}

/// A line for each item in which a replica is not its table; its version attribute is its own business.
pub(super) fn differences(source: &Rows, mut replica: Rows) -> Vec<String> {
    replica.values_mut().for_each(|row| _ = row.remove(DEFAULT_VERSION_ATTRIBUTE));
    let named = |what: &str, (pk, sk): &Key| format!("{what}: {pk} / {sk}");
    let missing = source.keys().filter(|key| !replica.contains_key(*key)).map(|key| named("missing", key));
    let extra = replica.keys().filter(|key| !source.contains_key(*key)).map(|key| named("left behind", key));
    let other = source.iter().filter(|(key, row)| replica.get(*key).is_some_and(|copy| copy != *row));
    missing.chain(extra).chain(other.map(|(key, _)| named("different", key))).collect()
}

/// The key as the stream has it.
pub(super) fn key_item((pk, sk): &Key) -> Item {
    item([("PK", text(&**pk)), ("SK", text(&**sk))])
}

fn key(row: &HashMap<String, AttributeValue>) -> Key {
    let part = |name| row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    (part("PK"), part("SK"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[(&str, &str)]) -> Rows {
        let row = |(key, value): &(&str, &str)| {
            let value = HashMap::from([("value".to_owned(), AttributeValue::S((*value).to_owned()))]);
            ((String::from(*key), String::new()), value)
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn every_way_to_differ_is_named() {
        let (source, replica) =
            (table(&[("a", "1"), ("b", "1"), ("c", "1")]), table(&[("b", "1"), ("c", "2"), ("d", "1")]));
        assert_eq!(differences(&source, replica), ["missing: a / ", "left behind: d / ", "different: c / "]);
        assert!(differences(&source, source.clone()).is_empty());
    }
}
