//! Decodes DynamoDB JSON where it stands: a `serde::Deserializer` over an image.

mod access;
mod cursor;
mod item;
mod key;
mod tag;
mod value;
mod variant;

use std::str;

use serde::Deserialize;

use self::{
    cursor::Cursor,
    tag::Tag,
    value::{Known, Value},
};
use super::error::{DecodeError, DecodeReason};

type Result<T> = std::result::Result<T, DecodeError>;

/// Decodes an image, or any DynamoDB JSON of an item. Errors have the offset where they happened, and no path yet.
pub(super) fn from_json<'de, T: Deserialize<'de>>(json: &'de [u8]) -> Result<T> {
    let mut cursor = Cursor::new(checked(json)?);
    let value = T::deserialize(Value::new(&mut cursor, Known(Tag::M)))?;
    cursor.expect_end()?;
    Ok(value)
}

/// Reads an item without going through any Rust type.
pub(super) fn item_from_json(json: &[u8]) -> Result<serde_dynamo::Item> {
    let mut cursor = Cursor::new(checked(json)?);
    let item = item::read(&mut cursor)?;
    cursor.expect_end()?;
    Ok(item.into())
}

/// The image as text: every string that is cut from it later is valid because this was.
fn checked(json: &[u8]) -> Result<&str> {
    simdutf8::basic::from_utf8(json).map_err(|_| {
        let valid = str::from_utf8(json).map_or_else(|error| error.valid_up_to(), str::len);
        DecodeError::at(DecodeReason::InvalidUtf8, valid)
    })
}
