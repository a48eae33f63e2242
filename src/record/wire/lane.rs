//! Which records may not overtake each other.

use std::{borrow::Cow, str};

use super::{members::Members, scan::plain_string, text::unescape};

/// An odd multiplier with well-mixed bits (the golden ratio).
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// The lane of the item whose keys, as DynamoDB JSON, begin at `start` of a buffer.
///
/// What is folded for an attribute is its compact text, `name":{"S":"value`, without escapes. Lambda writes keys like
/// that, so they are folded where they stand; from any other text the same is made first.
#[inline]
pub(super) fn of(buffer: &[u8], start: usize) -> u64 {
    let keys = &buffer[start..];
    mix(compact(keys).unwrap_or_else(|| general(keys)))
}

/// Nothing means that the keys are written otherwise.
#[inline]
fn compact(keys: &[u8]) -> Option<u64> {
    let (mut lane, mut rest) = (0u64, keys.strip_prefix(b"{\"")?);
    loop {
        let (_, after) = plain_string(rest)?;
        let [b'"', b':', b'{', b'"', b'S' | b'N' | b'B', b'"', b':', b'"', content @ ..] = after else {
            return None;
        };
        let (_, after) = plain_string(content)?;
        // A sum, so that the order of the attributes does not matter.
        lane = lane.wrapping_add(fold(&rest[..rest.len() - after.len()]));
        rest = match after.split_first_chunk::<3>()? {
            (b"\"}}", _) => return Some(lane),
            (b"\"},", next) => next.strip_prefix(b"\"")?,
            _ => return None,
        };
    }
}

/// The same lane, from any layout and spelling.
#[inline(never)]
fn general(keys: &[u8]) -> u64 {
    let (mut lane, mut members) = (0u64, Members::of(keys, 0));
    while let Ok(Some(member)) = members.next() {
        lane = lane.wrapping_add(fold(&compacted(&member.name, &keys[member.value])));
    }
    lane
}

/// The compact text of a key attribute; of anything else, the JSON counts.
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
#[inline(always)]
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
#[inline(always)]
fn mix(word: u64) -> u64 {
    let product = u128::from(word ^ MIX) * u128::from(MIX);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn lane(keys: &str) -> u64 {
        of(format!("before{keys},\"after\":{{}}").as_bytes(), 6)
    }

    #[test]
    fn order_layout_and_escapes_do_not_matter() {
        let plain = lane(r#"{"PK":{"S":"USER#1"},"SK":{"S":"PET#9"}}"#);
        assert_eq!(plain, lane(r#"{"SK":{"S":"PET#9"},"PK":{"S":"USER#1"}}"#));
        assert_eq!(plain, lane("{ \"PK\" : { \"S\" : \"USER#1\" },\n \"SK\" : {\"S\":\"PET#9\"} }"));
        assert_eq!(plain, lane(r#"{"P\u004b":{"S":"US\u0045R#1"},"SK":{"\u0053":"PET#9"}}"#));
    }

    #[test]
    fn names_types_and_values_matter() {
        let lanes = [
            lane(r#"{"a":{"S":"1"}}"#),
            lane(r#"{"a":{"N":"1"}}"#),
            lane(r#"{"a":{"B":"1"}}"#),
            lane(r#"{"b":{"S":"1"}}"#),
            lane(r#"{"a":{"S":"2"}}"#),
            lane(r#"{"a":{"S":"1"},"b":{"S":"2"}}"#),
            lane(r#"{"a":{"S":"2"},"b":{"S":"1"}}"#),
            lane(r#"{"a":{"S":"b"}}"#),
            lane(r#"{"ab":{"S":""}}"#),
            lane("{}"),
        ];
        assert_eq!(lanes.iter().collect::<HashSet<_>>().len(), lanes.len());
    }

    #[test]
    fn a_hundred_thousand_items_hardly_share_lanes() {
        let keys = |n: u32| format!(r#"{{"PK":{{"S":"USER#{}"}},"SK":{{"S":"PET#{n}"}}}}"#, n / 7);
        let lanes: HashSet<_> = (0..100_000).map(|n| lane(&keys(n)) % (1 << 40)).collect();
        assert!(lanes.len() > 99_990, "{}", lanes.len());
    }

    proptest! {
        #[test]
        fn texts_that_differ_in_one_byte_have_other_hashes(text: Vec<u8>, at: proptest::sample::Index, byte: u8) {
            prop_assume!(!text.is_empty());
            let mut other = text.clone();
            let at = at.index(text.len());
            other[at] = byte;
            prop_assert_eq!(fold(&text) == fold(&other), text == other);
        }
    }
}
