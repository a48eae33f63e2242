//! Records out of files.

use std::{fs, io::Read, path::Path};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::BoxError;

/// An event as Lambda delivers it.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

/// The records of a file, or of the standard input for `-`, each as its JSON.
///
/// The file holds an event as Lambda delivers it, a list of records, or one record.
pub(super) fn records(path: &Path) -> Result<Vec<String>, BoxError> {
    let text = read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let records = match serde_json::from_str::<Event<'_>>(&text) {
        Ok(event) => event.records,
        Err(_) if text.trim_start().starts_with('[') => json(path, &text)?,
        Err(_) => vec![json(path, &text)?],
    };
    Ok(records.into_iter().map(|record| record.get().to_owned()).collect())
}

fn json<'a, T: Deserialize<'a>>(path: &Path, text: &'a str) -> Result<T, BoxError> {
    Ok(serde_json::from_str(text).map_err(|error| format!("{}: {error}", path.display()))?)
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() != "-" {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}
