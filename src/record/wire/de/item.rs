//! Reads items as they are: every attribute with its own type, numbers as text.

use std::{borrow::Cow, collections::HashMap};

use serde_dynamo::AttributeValue;

use super::{Result, cursor::Cursor, tag::Tag, value::binary};
use crate::record::wire::error::DecodeError;

/// Reads the attributes between two braces.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<HashMap<String, AttributeValue>> {
    // Room for seven: most items and maps are small, and growing an empty map costs more than this.
    let mut item = HashMap::with_capacity(7);
    cursor.enter(b'{', "an object of attributes")?;
    while let Some(name) = name(cursor, item.is_empty())? {
        item.insert(name, attribute(cursor)?);
    }
    cursor.leave(b'}')?;
    Ok(item)
}

fn name(cursor: &mut Cursor<'_>, first: bool) -> Result<Option<String>> {
    match cursor.plain_key(first) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Ok(cursor.next_key(first)?.map(Cow::into_owned)),
    }
}

/// What is wrong with an item that begins at `start` of an image.
#[cold]
pub(super) fn error(json: &str, start: usize) -> Option<DecodeError> {
    let error = read(&mut Cursor::new(json)).err()?;
    let offset = start + error.offset().unwrap_or(0);
    Some(DecodeError::at(error.reason().clone(), offset))
}

fn attribute(cursor: &mut Cursor<'_>) -> Result<AttributeValue> {
    let value = match cursor.open()? {
        Tag::S => AttributeValue::S(cursor.string()?.into_owned()),
        Tag::N => AttributeValue::N(cursor.string()?.into_owned()),
        Tag::B => AttributeValue::B(binary(cursor)?),
        Tag::Bool => AttributeValue::Bool(cursor.boolean()?),
        Tag::Null => AttributeValue::Null(cursor.boolean()?),
        Tag::M => AttributeValue::M(read(cursor)?),
        Tag::L => AttributeValue::L(list(cursor, attribute)?),
        Tag::Ss => AttributeValue::Ss(list(cursor, text)?),
        Tag::Ns => AttributeValue::Ns(list(cursor, text)?),
        Tag::Bs => AttributeValue::Bs(list(cursor, binary)?),
    };
    cursor.close()?;
    Ok(value)
}

fn list<'de, T>(cursor: &mut Cursor<'de>, element: impl Fn(&mut Cursor<'de>) -> Result<T>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    cursor.enter(b'[', "a list")?;
    while cursor.more(list.is_empty(), b']')? {
        list.push(element(cursor)?);
    }
    cursor.leave(b']')?;
    Ok(list)
}

fn text(cursor: &mut Cursor<'_>) -> Result<String> {
    Ok(cursor.string()?.into_owned())
}
