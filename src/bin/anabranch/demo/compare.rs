//! Two tables, item by item and attribute by attribute.

use std::collections::{BTreeMap, HashMap};

use anabranch::sink::table::DEFAULT_VERSION_ATTRIBUTE;
use aws_sdk_dynamodb::{Client, types::AttributeValue};

use crate::BoxError;

type Row = HashMap<String, AttributeValue>;

/// Where two tables differ.
pub(super) struct Comparison {
    /// Items of the source.
    pub(super) items: usize,
    /// A line for each item that differs.
    pub(super) differences: Vec<String>,
}

impl Comparison {
    /// Compares a table with its replica; the replica's version attribute is its own business.
    pub(super) async fn of(client: &Client, table: &str, replica: &str) -> Result<Self, BoxError> {
        let (source, mut target) = (rows(client, table).await?, rows(client, replica).await?);
        target.values_mut().for_each(|row| _ = row.remove(DEFAULT_VERSION_ATTRIBUTE));
        let missing =
            source.iter().filter(|(key, _)| !target.contains_key(*key)).map(|(key, _)| format!("missing: {key}"));
        let extra = target.keys().filter(|key| !source.contains_key(*key)).map(|key| format!("left behind: {key}"));
        let other = source.iter().filter(|(key, row)| target.get(*key).is_some_and(|copy| copy != *row));
        let other = other.map(|(key, _)| format!("different: {key}"));
        Ok(Self { items: source.len(), differences: missing.chain(extra).chain(other).collect() })
    }

    pub(super) fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.items > 0
    }
}

async fn rows(client: &Client, table: &str) -> Result<BTreeMap<String, Row>, BoxError> {
    let mut pages = client.scan().table_name(table).consistent_read(true).into_paginator().send();
    let mut rows = BTreeMap::new();
    while let Some(page) = pages.next().await {
        rows.extend(page?.items.unwrap_or_default().into_iter().map(|row| (key(&row), row)));
    }
    Ok(rows)
}

fn key(row: &Row) -> String {
    let part = |name| row.get(name).and_then(|value| value.as_s().ok()).map_or("", String::as_str);
    format!("{} / {}", part("PK"), part("SK"))
}
