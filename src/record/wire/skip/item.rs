//! Skips an item: the same grammar as any other JSON, but written for what items consist of, compact attribute values.

use super::{DEEPEST, colon, content, nested, object};
use crate::record::wire::scan::{skip_space, special_in_block};

/// Which maps and lists are open, innermost in the lowest bit: none for a map, one for a list.
#[derive(Clone, Copy)]
struct Open(u64);

impl Open {
    /// A bit that marks the end.
    const NOTHING: Self = Self(0b1);
    /// An item, or a list, with nothing around it.
    const ITEM: Self = Self(0b10);
    const LIST: Self = Self(0b11);

    fn is_nothing(self) -> bool {
        self.0 == Self::NOTHING.0
    }

    fn is_item(self) -> bool {
        self.0 == Self::ITEM.0
    }

    fn push(&mut self, list: bool) -> Option<()> {
        if self.0 >> 62 != 0 {
            return None;
        }
        self.0 = self.0 << 1 | u64::from(list);
        Some(())
    }

    fn pop(&mut self) {
        self.0 >>= 1;
    }

    /// Out of a map into the map around it, if there is one.
    fn leave_map(&mut self) -> bool {
        if self.0 & 0b11 == 0 {
            self.0 >>= 1;
            return true;
        }
        false
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
}

/// From behind the opening brace of an item to behind the closing one, or nothing if the item is broken or nested too deep.
pub(in crate::record::wire) fn item(rest: &[u8]) -> Option<&[u8]> {
    item_watching(rest, &mut Nobody)
}

/// The same, with somebody who watches the item's attributes pass by.
#[inline(always)]
pub(in crate::record::wire) fn item_watching<'a>(rest: &'a [u8], watch: &mut impl Watch<'a>) -> Option<&'a [u8]> {
    match rest {
        [b'"', name @ ..] => walk(Place::Name(name), Open::ITEM, watch),
        _ => object(rest, DEEPEST),
    }
}

/// Watches the attributes of an item, not those of maps in it, while they are skipped.
pub(in crate::record::wire) trait Watch<'a> {
    /// An attribute, from behind the opening quote of its name on.
    fn see(&mut self, attribute: &'a [u8]);
}

struct Nobody;

impl Watch<'_> for Nobody {
    #[inline(always)]
    fn see(&mut self, _: &[u8]) {}
}

/// From the opening brace of an attribute value to behind the closing one, or nothing as above.
pub(in crate::record::wire) fn attribute(value: &[u8]) -> Option<&[u8]> {
    let after = match any_value(value, &mut { Open::NOTHING })? {
        Place::Name(name) => walk(Place::Name(name), Open::ITEM, &mut Nobody)?,
        Place::Value(element) => walk(Place::Value(element), Open::LIST, &mut Nobody)?,
        Place::After(after) => return Some(after),
    };
    skip_space(after).strip_prefix(b"}")
}

/// On to where nothing is open any more.
#[inline(always)]
fn walk<'a>(mut place: Place<'a>, mut open: Open, watch: &mut impl Watch<'a>) -> Option<&'a [u8]> {
    loop {
        place = match place {
            Place::Name(name) => attributes(name, &mut open, watch)?,
            Place::Value(value) => any_value(value, &mut open)?,
            Place::After(after) if open.is_nothing() => return Some(after),
            Place::After(after) => next(after, &mut open)?,
        };
    }
}

/// Over as many attributes as have short names and are of the kinds that items mostly consist of: short texts, constants,
/// and maps of such.
#[inline(always)]
fn attributes<'a>(mut name: &'a [u8], open: &mut Open, watch: &mut impl Watch<'a>) -> Option<Place<'a>> {
    loop {
        if open.is_item() {
            watch.see(name);
        }
        // One look at the length is enough for all that follows.
        let Some(window) = name.first_chunk::<64>() else { return any_name(name) };
        let Some(end) = special_in_block(window) else { return any_name(name) };
        let (beginning, rest) = window[end..].split_first_chunk::<8>()?;
        name = match u64::from_le_bytes(*beginning) {
            word if word | ANY_TAG == TEXT => match short_text(window, end + 8)? {
                (quote, NEXT) => &name[quote + 4..],
                (quote, END) if window[quote + 4..].starts_with(b",\"") && open.leave_map() => &name[quote + 6..],
                (quote, _) if window[quote..].starts_with(b"\"}") => return Some(Place::After(&name[quote + 2..])),
                _ => return Some(Place::Value(&name[end + 2..])),
            },
            MAP if rest.starts_with(b"\"") => {
                open.push(false)?;
                &name[end + 9..]
            }
            BOOL | NULL if rest.starts_with(b"\":true},\"") => &name[end + 17..],
            _ if beginning.starts_with(b"\":") => return Some(Place::Value(&name[end + 2..])),
            _ => return any_name(name),
        };
    }
}

/// What may follow a name, from its closing quote on: the beginning of a text of whatever type, of a map, of a constant.
const TEXT: u64 = u64::from_le_bytes(*b"\":{\"S\":\"") | ANY_TAG;
const ANY_TAG: u64 = 0xff << 32;
const MAP: u64 = u64::from_le_bytes(*b"\":{\"M\":{");
const BOOL: u64 = u64::from_le_bytes(*b"\":{\"BOOL");
const NULL: u64 = u64::from_le_bytes(*b"\":{\"NULL");

/// What follows a text, from its closing quote on, if there is another attribute.
const NEXT: u32 = u32::from_le_bytes(*b"\"},\"");
/// The same if the map ends here that the text was in.
const END: u32 = u32::from_le_bytes(*b"\"}}}");

/// The offset of the first quote or backslash of a text of less than two blocks, and the four bytes there; of a longer text
/// the last byte that was looked at, which is neither.
#[inline(always)]
fn short_text(window: &[u8; 64], text: usize) -> Option<(usize, u32)> {
    let end = match special_in_block(&window[text..]) {
        Some(at) => text + at,
        None => text + 16 + special_in_block(&window[text + 16..]).unwrap_or(15),
    };
    Some((end, u32::from_le_bytes(*window[end..].first_chunk()?)))
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
        ([b'}', after @ ..], false) | ([b']', after @ ..], true) => {
            open.pop();
            // Around every map and list but the outermost there is the brace of an attribute value.
            let after = if open.is_nothing() { after } else { skip_space(after).strip_prefix(b"}")? };
            Some(Place::After(after))
        }
        ([b',', name @ ..], false) => skip_space(name).strip_prefix(b"\"").map(Place::Name),
        ([b' ' | b'\n' | b'\t' | b'\r', ..], _) => Some(Place::After(skip_space(after))),
        _ => None,
    }
}
