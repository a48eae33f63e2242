//! Skips an item: the same grammar as any other JSON, but written for what items consist of, compact attribute values.

use super::{DEEPEST, colon, content, nested, object};
use crate::record::wire::scan::{skip_space, special_in_block};

/// Which maps and lists are open, innermost in the lowest bit: none for a map, one for a list.
#[derive(Clone, Copy)]
struct Open(u64);

impl Open {
    /// The item itself, below a bit that marks the end.
    const ITEM: Self = Self(0b10);

    fn push(&mut self, list: bool) -> Option<()> {
        if self.0 >> 62 != 0 {
            return None;
        }
        self.0 = self.0 << 1 | u64::from(list);
        Some(())
    }

    /// Out of a map or list; whether there is something around it.
    fn pop(&mut self) -> bool {
        self.0 >>= 1;
        self.0 != 1
    }

    fn in_list(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Where skipping stands.
enum Place<'a> {
    /// Behind the opening quote of an attribute's name.
    Name(&'a [u8]),
    /// At the beginning of an attribute value.
    Value(&'a [u8]),
    /// Behind an attribute value.
    After(&'a [u8]),
    /// Behind the item.
    End(&'a [u8]),
}

/// From behind the opening brace of an item to behind the closing one, or nothing if the item is broken or nested too deep.
pub(in crate::record::wire) fn item(rest: &[u8]) -> Option<&[u8]> {
    let [b'"', name @ ..] = rest else {
        return object(rest, DEEPEST);
    };
    let (mut open, mut place) = (Open::ITEM, Place::Name(name));
    loop {
        place = match place {
            Place::Name(name) => short_attributes(name).or_else(|| any_name(name))?,
            Place::Value(value) => any_value(value, &mut open)?,
            Place::After(after) => next(after, &mut open)?,
            Place::End(after) => return Some(after),
        };
    }
}

/// Over as many attributes as have short names and values of one short text: most of what items consist of.
///
/// Nothing if the first name is not short.
#[inline(always)]
fn short_attributes(mut name: &[u8]) -> Option<Place<'_>> {
    loop {
        // One look at the length is enough for all that follows.
        let window = name.first_chunk::<64>()?;
        let end = special_in_block(window)?;
        if !begins_text(&window[end..]) {
            return name[end..].strip_prefix(b"\":").map(Place::Value);
        }
        let text = end + 8;
        let quote = match special_in_block(&window[text..]) {
            Some(at) => text + at,
            None => match special_in_block(&window[text + 16..]) {
                Some(at) => text + 16 + at,
                None => return Some(Place::Value(&name[end + 2..])),
            },
        };
        match window[quote..].first_chunk::<4>() {
            Some(b"\"},\"") => name = &name[quote + 4..],
            Some([b'"', b'}', ..]) => return Some(Place::After(&name[quote + 2..])),
            _ => return Some(Place::Value(&name[end + 2..])),
        }
    }
}

/// Whether there is a value of one text, of whatever type, behind a name: `":{"S":"`, from the closing quote of the name on.
#[inline(always)]
fn begins_text(rest: &[u8]) -> bool {
    const ANY: u64 = 0xff << 32;
    const TEXT: u64 = u64::from_le_bytes(*b"\":{\"S\":\"") | ANY;
    rest.first_chunk::<8>().is_some_and(|word| u64::from_le_bytes(*word) | ANY == TEXT)
}

#[inline(never)]
fn any_name(name: &[u8]) -> Option<Place<'_>> {
    Some(Place::Value(colon(content(name)?)?))
}

/// From the beginning of an attribute value, or of whatever stands in its place.
#[inline(always)]
fn any_value<'a>(value: &'a [u8], open: &mut Open) -> Option<Place<'a>> {
    let known = match value.first_chunk::<6>() {
        Some(b"{\"M\":{") => value[6..].strip_prefix(b"\"").map(|name| open.push(false).map(|()| Place::Name(name))),
        Some(b"{\"L\":[") => value[6..].starts_with(b"{").then(|| open.push(true).map(|()| Place::Value(&value[6..]))),
        Some([b'{', b'"', _, b'"', b':', b'"']) => {
            content(&value[6..])?.strip_prefix(b"\"}").map(|after| Some(Place::After(after)))
        }
        Some([b'{', b'"', _, b'S', b'"', b':']) => texts(&value[6..]).map(|after| Some(Place::After(after))),
        Some(b"{\"BOOL" | b"{\"NULL") => constant(&value[6..]).map(|after| Some(Place::After(after))),
        _ => None,
    };
    // Not compact, or no attribute value at all.
    known.unwrap_or_else(|| nested(value, DEEPEST / 2).map(Place::After))
}

#[inline(always)]
fn constant(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b"\":true}").or_else(|| rest.strip_prefix(b"\":false}"))
}

/// From the opening bracket of a set of texts to behind the set.
#[inline(always)]
fn texts(rest: &[u8]) -> Option<&[u8]> {
    let mut text = rest.strip_prefix(b"[\"")?;
    loop {
        let after = content(text)?;
        match after.strip_prefix(b"\",\"") {
            Some(next) => text = next,
            None => return after.strip_prefix(b"\"]}"),
        }
    }
}

/// From behind a value to the next one, or out of a map or list that ends there.
#[inline(always)]
fn next<'a>(after: &'a [u8], open: &mut Open) -> Option<Place<'a>> {
    match (after, open.in_list()) {
        ([b',', b'"', name @ ..], false) => Some(Place::Name(name)),
        ([b',', element @ ..], true) => Some(Place::Value(element)),
        ([b'}', after @ ..], false) | ([b']', after @ ..], true) => match open.pop() {
            true => skip_space(after).strip_prefix(b"}").map(Place::After),
            false => Some(Place::End(after)),
        },
        ([b',', name @ ..], false) => skip_space(name).strip_prefix(b"\"").map(Place::Name),
        ([b' ' | b'\n' | b'\t' | b'\r', ..], _) => Some(Place::After(skip_space(after))),
        _ => None,
    }
}
