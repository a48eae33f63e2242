//! Decodes DynamoDB JSON where it stands: a `serde::Deserializer` over an image.

mod access;
mod cursor;
mod item;
mod key;
mod tag;
mod value;
mod variant;

use std::{borrow::Cow, str};

use serde::Deserialize;

use self::{
    cursor::Cursor,
    tag::Tag,
    value::{Known, Value},
};
use super::{
    error::{DecodeError, DecodeReason},
    members::Members,
    scan::string_length,
    skip::value_of,
    text::unescape,
};

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

/// The text of one attribute of an item, of type `S` or `N`, without decoding the others.
pub(super) fn attribute_text<'a>(json: &'a [u8], name: &str) -> Result<Option<Cow<'a, str>>> {
    if let Some(text) = plain_text(json, name) {
        return Ok(Some(Cow::Borrowed(text)));
    }
    let broken = |at| DecodeError::at(DecodeReason::Syntax { expected: "an object of attributes" }, at);
    let mut members = Members::of(json, 0);
    while let Some((found, at)) = members.next_key().map_err(broken)? {
        if found == name {
            return tagged_text(json, at).map(Some);
        }
        members.skip_value().map_err(broken)?;
    }
    Ok(None)
}

/// The same in compact text without escapes, as Lambda writes it; nothing if it is not, or not there.
fn plain_text<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let needs_escapes = |byte: &u8| matches!(byte, b'"' | b'\\' | ..b' ');
    if name.as_bytes().iter().any(needs_escapes) {
        return None;
    }
    let [b'{', b'"', b'S' | b'N', b'"', b':', b'"', content @ ..] = value_of(json, name.as_bytes())? else {
        return None;
    };
    let length = string_length(content).filter(|length| !length.escaped)?.bytes;
    content[length..].starts_with(b"\"}").then(|| str::from_utf8(&content[..length]).ok())?
}

/// The text of an attribute value that begins at `at`.
fn tagged_text(json: &[u8], at: usize) -> Result<Cow<'_, str>> {
    let wrong = || {
        DecodeError::at(
            DecodeReason::WrongType { expected: "an attribute of type S or N".to_owned(), found: "another type" },
            at,
        )
    };
    if json.get(at) != Some(&b'{') {
        return Err(wrong());
    }
    match Members::of(json, at).next_key() {
        Ok(Some((tag, payload))) if matches!(&*tag, "S" | "N") && json.get(payload) == Some(&b'"') => {
            let content = &json[payload + 1..];
            let raw = &content[..string_length(content).ok_or_else(wrong)?.bytes];
            let raw = str::from_utf8(raw).map_err(|_| DecodeError::at(DecodeReason::InvalidUtf8, payload))?;
            unescape(raw).ok_or_else(|| DecodeError::at(DecodeReason::BadEscape, payload))
        }
        _ => Err(wrong()),
    }
}
