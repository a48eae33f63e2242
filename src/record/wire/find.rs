//! Finds one attribute of an item without decoding the others, for routing.

use std::{borrow::Cow, str};

use super::{
    error::{DecodeError, DecodeReason},
    members::Members,
    scan::{plain_string, string_length},
    skip,
    text::unescape,
    watch::belongs_to,
};

type Result<T> = std::result::Result<T, DecodeError>;

/// The text of an attribute of type `S` or `N` of the item that begins at `start` of a buffer. Errors have their offset in the item.
#[inline]
pub(super) fn text<'a>(buffer: &'a [u8], start: usize, name: &str) -> Result<Option<Cow<'a, str>>> {
    if let Some(found) = compact(&buffer[start..], name.as_bytes()) {
        match found.map(str::from_utf8) {
            None => return Ok(None),
            Some(Ok(text)) => return Ok(Some(Cow::Borrowed(text))),
            Some(Err(_)) => {}
        }
    }
    general(&buffer[start..], name)
}

/// The text at `at` of a buffer, if that is the compact value of an attribute of this name.
#[inline]
pub(super) fn watched_text<'a>(buffer: &'a [u8], at: usize, name: &str) -> Option<&'a [u8]> {
    if !belongs_to(buffer, at, name) {
        return None;
    }
    plain_text(&buffer[at..]).map(|(_, text, _)| text)
}

/// The same among attributes as DynamoDB and Lambda write them, before the first that is written otherwise. Nothing means that it
/// has to be looked for in general.
#[inline]
fn compact<'a>(item: &'a [u8], name: &[u8]) -> Option<Option<&'a [u8]>> {
    let mut rest = item.strip_prefix(b"{\"")?;
    loop {
        let (found, after) = plain_string(rest)?;
        let value = after.strip_prefix(b"\":")?;
        let after = match plain_text(value) {
            Some((_, text, _)) if found == name => return Some(Some(text)),
            Some((_, _, after)) => after,
            None if found == name => return None,
            None => skip::attribute(value)?,
        };
        rest = match after {
            [b',', b'"', next @ ..] => next,
            [b'}', ..] => return Some(None),
            _ => return None,
        };
    }
}

/// The letter and the content of an attribute value of type `S` or `N`, and what follows it, if it is compact and without escapes.
#[inline(always)]
fn plain_text(value: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (opening, content) = value.split_first_chunk::<6>()?;
    let letter = match opening {
        b"{\"S\":\"" => b'S',
        b"{\"N\":\"" => b'N',
        _ => return None,
    };
    let (text, after) = plain_string(content)?;
    Some((letter, text, after.strip_prefix(b"\"}")?))
}

#[inline(never)]
fn general<'a>(item: &'a [u8], name: &str) -> Result<Option<Cow<'a, str>>> {
    let broken = |at| DecodeError::at(DecodeReason::Syntax { expected: "an object of attributes" }, at);
    let mut members = Members::of(item, 0);
    while let Some((found, at)) = members.next_key().map_err(broken)? {
        if found == name {
            return tagged_text(item, at).map(Some);
        }
        members.skip_value().map_err(broken)?;
    }
    Ok(None)
}

/// The text of an attribute value that begins at `at`.
fn tagged_text(item: &[u8], at: usize) -> Result<Cow<'_, str>> {
    let wrong = || {
        let expected = "an attribute of type S or N".to_owned();
        DecodeError::at(DecodeReason::WrongType { expected, found: "another type" }, at)
    };
    if item.get(at) != Some(&b'{') {
        return Err(wrong());
    }
    match Members::of(item, at).next_key() {
        Ok(Some((tag, payload))) if matches!(&*tag, "S" | "N") && item.get(payload) == Some(&b'"') => {
            let content = &item[payload + 1..];
            let raw = &content[..string_length(content).ok_or_else(wrong)?.bytes];
            let raw = str::from_utf8(raw).map_err(|_| DecodeError::at(DecodeReason::InvalidUtf8, payload))?;
            unescape(raw).ok_or_else(|| DecodeError::at(DecodeReason::BadEscape, payload))
        }
        _ => Err(wrong()),
    }
}
