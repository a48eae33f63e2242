//! Which attributes the keys of a table are, and of an index of it.

use aws_sdk_dynamodb::{
    Client,
    types::{KeySchemaElement, TableDescription},
};

use super::{Cursor, ScanError};
use crate::aws::AwsFailure;

/// The names of the key attributes of what a cursor stands in, each once.
pub(super) async fn of_table(client: &Client, cursor: &Cursor) -> Result<Vec<String>, ScanError> {
    let described = client.describe_table().table_name(&cursor.table).send().await;
    let described = described.map_err(|error| ScanError::of(AwsFailure::of(&error), cursor, 0))?;
    Ok(described.table.map(|table| key_names(&table, cursor.index())).unwrap_or_default())
}

/// The names of the key attributes of a table, and of an index of it, each once: for [`Read::keys`](super::Read::keys).
pub fn key_names(table: &TableDescription, index: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for key in keys(table, index) {
        if !names.contains(&key.attribute_name) {
            names.push(key.attribute_name.clone());
        }
    }
    names
}

/// Of an index that is not there it says nothing: the service will.
fn keys<'a>(table: &'a TableDescription, index: Option<&str>) -> Vec<&'a KeySchemaElement> {
    let global = table.global_secondary_indexes().iter().map(|index| (index.index_name(), index.key_schema()));
    let local = table.local_secondary_indexes().iter().map(|index| (index.index_name(), index.key_schema()));
    let of_index = global.chain(local).filter(|(name, _)| index.is_some() && *name == index);
    table.key_schema().iter().chain(of_index.flat_map(|(_, keys)| keys)).collect()
}
