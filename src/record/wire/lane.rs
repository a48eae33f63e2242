//! Which records may not overtake each other.

use std::{borrow::Cow, str};

use super::{members::Members, scan::string_length, text::unescape};

/// An odd multiplier with well-mixed bits (the golden ratio).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// The lane of an item with these keys, as DynamoDB JSON.
///
/// What is folded for an attribute is its compact text, `name":{"S":"value`, without escapes. Lambda writes keys like
/// that, so they are folded where they stand; from any other text the same is made first.
pub(super) fn of(keys: &[u8]) -> u64 {
    compact(keys).unwrap_or_else(|| any(keys))
}

/// The lane of keys in compact text without escapes, or nothing if they are not.
fn compact(keys: &[u8]) -> Option<u64> {
    let mut lane = 0u64;
    let mut rest = keys.strip_prefix(b"{\"")?;
    loop {
        let name = plain(rest)?;
        let tag = rest[name..].strip_prefix(b"\":{\"")?;
        let [b'S' | b'N' | b'B', b'"', b':', b'"', value @ ..] = tag else { return None };
        let end = rest.len() - value.len() + plain(value)?;
        // A sum, so that the order of the attributes does not matter.
        lane = lane.wrapping_add(fold(&rest[..end]));
        match rest[end..].strip_prefix(b"\"}")? {
            [b',', b'"', more @ ..] => rest = more,
            b"}" => return Some(mix(lane)),
            _ => return None,
        }
    }
}

/// The length of string content that has no escapes.
fn plain(rest: &[u8]) -> Option<usize> {
    string_length(rest).filter(|length| !length.escaped).map(|length| length.bytes)
}

/// The same lane, from any layout and spelling.
#[cold]
fn any(keys: &[u8]) -> u64 {
    let mut lane = 0u64;
    let mut members = Members::of(keys, 0);
    while let Ok(Some(member)) = members.next() {
        lane = lane.wrapping_add(fold(&compacted(&member.name, &keys[member.value])));
    }
    mix(lane)
}

fn compacted(name: &str, value: &[u8]) -> Vec<u8> {
    match Members::of(value, 0).next() {
        Ok(Some(tag)) if value[tag.value.clone()].first() == Some(&b'"') => {
            [name, "\":{\"", &tag.name, "\":\"", &content(&value[tag.value])].concat().into_bytes()
        }
        _ => [name.as_bytes(), b"\":", value].concat(),
    }
}

/// The content of a string token; one that is not valid text counts by what it can be read as.
fn content(token: &[u8]) -> Cow<'_, str> {
    let raw = &token[1..token.len() - 1];
    str::from_utf8(raw).ok().and_then(unescape).unwrap_or_else(|| String::from_utf8_lossy(raw))
}

/// Folds a text and its length.
fn fold(text: &[u8]) -> u64 {
    let mut hash = MIX ^ text.len() as u64;
    let Some(last) = text.last_chunk::<8>() else {
        let mut word = [0; 8];
        word[..text.len()].copy_from_slice(text);
        return mix(hash ^ u64::from_le_bytes(word));
    };
    for word in text.as_chunks::<8>().0 {
        hash = mix(hash ^ u64::from_le_bytes(*word));
    }
    // The last word may overlap the one before it, which does no harm.
    mix(hash ^ u64::from_le_bytes(*last))
}

/// Both halves of a wide product: every bit of the input reaches every bit of the result.
fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ MIX) * u128::from(MIX);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn order_layout_and_escapes_do_not_matter() {
        let plain = of(br#"{"PK":{"S":"USER#1"},"SK":{"S":"PET#9"}}"#);
        assert_eq!(plain, of(br#"{"SK":{"S":"PET#9"},"PK":{"S":"USER#1"}}"#));
        assert_eq!(plain, of(b"{ \"PK\" : { \"S\" : \"USER#1\" },\n \"SK\" : {\"S\":\"PET#9\"} }"));
        assert_eq!(plain, of(br#"{"P\u004b":{"S":"US\u0045R#1"},"SK":{"\u0053":"PET#9"}}"#));
    }

    #[test]
    fn names_types_and_values_matter() {
        let lanes = [
            of(br#"{"a":{"S":"1"}}"#),
            of(br#"{"a":{"N":"1"}}"#),
            of(br#"{"a":{"B":"1"}}"#),
            of(br#"{"b":{"S":"1"}}"#),
            of(br#"{"a":{"S":"2"}}"#),
            of(br#"{"a":{"S":"1"},"b":{"S":"2"}}"#),
            of(br#"{"a":{"S":"2"},"b":{"S":"1"}}"#),
            of(br#"{"a":{"S":"b"}}"#),
            of(br#"{"ab":{"S":""}}"#),
            of(b"{}"),
        ];
        assert_eq!(lanes.iter().collect::<HashSet<_>>().len(), lanes.len());
    }

    #[test]
    fn a_hundred_thousand_items_hardly_share_lanes() {
        let lanes: HashSet<_> = (0..100_000)
            .map(|n| of(format!(r#"{{"PK":{{"S":"USER#{}"}},"SK":{{"S":"PET#{n}"}}}}"#, n / 7).as_bytes()) % (1 << 40))
            .collect();
        assert!(lanes.len() > 99_990, "{}", lanes.len());
    }
}
