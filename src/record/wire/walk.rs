//! What a room above needs to walk a record's JSON by itself: values are skipped by their structure, texts read where they stand.

use std::{borrow::Cow, str};

#[cfg(any(test, feature = "export"))]
use super::watch::LookForAll;
#[cfg(any(test, feature = "export"))]
pub(crate) use super::watch::Watched;
use super::{
    scan::{number_length, plain_string, skip_space, string_length},
    skip, text,
};

/// The content of a JSON string as it stands, between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawText<'a> {
    pub(crate) content: &'a [u8],
    /// Whether there is an escape in it.
    pub(crate) escaped: bool,
}

impl<'a> RawText<'a> {
    /// The text itself, or nothing if an escape is broken, a surrogate stands alone, or the bytes are no UTF-8.
    pub(crate) fn resolve(self) -> Option<Cow<'a, str>> {
        text::unescape(str::from_utf8(self.content).ok()?)
    }
}

/// The rest without JSON whitespace at its front.
#[inline(always)]
pub(crate) fn past_space(rest: &[u8]) -> &[u8] {
    skip_space(rest)
}

/// From behind an opening quote: the content of the string, and what follows its closing quote.
#[inline(always)]
pub(crate) fn string(rest: &[u8]) -> Option<(RawText<'_>, &[u8])> {
    match plain_string(rest) {
        Some((content, after)) => Some((RawText { content, escaped: false }, &after[1..])),
        None => odd_string(rest),
    }
}

#[inline(never)]
fn odd_string(rest: &[u8]) -> Option<(RawText<'_>, &[u8])> {
    let length = string_length(rest)?;
    let (content, after) = rest.split_at(length.bytes);
    Some((RawText { content, escaped: length.escaped }, &after[1..]))
}

/// The bytes that a number is made of, and what follows them. They may be no number all the same.
pub(crate) fn number(rest: &[u8]) -> (&[u8], &[u8]) {
    rest.split_at(number_length(rest))
}

/// What follows the value that `rest` begins with, or nothing if the value is broken or nested too deep.
///
/// Every JSON value is skipped; attribute values and items fastest.
#[inline(always)]
pub(crate) fn skip_value(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', content @ ..] => string(content).map(|(_, after)| after),
        [b'{', b'"', _, b'"', ..] | [b'{', b'"', _, b'S', b'"', ..] => {
            skip::attribute(rest).or_else(|| odd_object(rest))
        }
        [b'{', b'"', b'B', b'O', b'O', b'L', b'"', ..] | [b'{', b'"', b'N', b'U', b'L', b'L', b'"', ..] => {
            skip::attribute(rest).or_else(|| odd_object(rest))
        }
        [b'{', item @ ..] => skip::item(item).or_else(|| odd_object(rest)),
        _ => skip::value(rest),
    }
}

/// An object that is not what it looked like: a map whose first attribute is called as a type is, such as `{"N":{..},"S":{..}}`.
#[cold]
#[inline(never)]
fn odd_object(rest: &[u8]) -> Option<&[u8]> {
    skip::value(rest)
}

/// The same for an object of items, as the change of a record is: each of its members is skipped by its own kind.
#[inline(never)]
pub(crate) fn skip_items(rest: &[u8]) -> Option<&[u8]> {
    let Some(mut name) = rest.strip_prefix(b"{\"") else { return skip_value(rest) };
    loop {
        let (_, after) = string(name)?;
        let value = past_space(after).strip_prefix(b":")?;
        let after = past_space(skip_value(value)?);
        match after {
            [b',', next @ ..] => name = past_space(next).strip_prefix(b"\"")?,
            _ => return after.strip_prefix(b"}"),
        }
    }
}

/// Shows each member of the object that a text begins with: the name as it stands between the quotes, and the value. What
/// follows the object is handed back; nothing if it is broken, or `show` says so.
#[cfg(any(test, feature = "export"))]
#[inline]
pub(crate) fn members<'a>(text: &'a [u8], show: &mut impl FnMut(&'a [u8], &'a [u8]) -> Option<()>) -> Option<&'a [u8]> {
    let mut rest = past_space(past_space(text).strip_prefix(b"{")?);
    if let [b'}', after @ ..] = rest {
        return Some(after);
    }
    loop {
        let (name, after) = string(rest.strip_prefix(b"\"")?)?;
        let value = past_space(past_space(after).strip_prefix(b":")?);
        let after = skip_value(value)?;
        show(name.content, &value[..value.len() - after.len()])?;
        rest = match past_space(after) {
            [b',', next @ ..] => past_space(next),
            [b'}', after @ ..] => return Some(after),
            _ => return None,
        };
    }
}

/// Shows those attributes of an item that are watched: by their place among the names, each with its value. What follows the
/// item is handed back; nothing if it is broken. Only compact items are watched: of others some may be passed over.
#[cfg(any(test, feature = "export"))]
#[inline]
pub(crate) fn watched<'a>(
    item: &'a [u8],
    watched: &[Watched],
    show: &mut impl FnMut(usize, &'a [u8]),
) -> Option<&'a [u8]> {
    // A value that is broken breaks the item, too.
    let show = |place, value: &'a [u8]| {
        if let Some(after) = skip::attribute(value) {
            show(place, &value[..value.len() - after.len()]);
        }
    };
    skip::item_watching(item.strip_prefix(b"{")?, &mut LookForAll { watched, show })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_all_kinds_are_skipped() {
        for text in [
            r#""plain""#,
            r#""with \" escape""#,
            "12.5e3",
            "null",
            "[1,[2,{}]]",
            "{}",
            r#"{"S":"x"}"#,
            r#"{"SS":["x","y"]}"#,
            r#"{"BOOL":true}"#,
            r#"{"NULL":true}"#,
            r#"{"PK":{"S":"x"},"SK":{"N":"1"}}"#,
            r#"{"M":{"a":{"L":[{"N":"1"}]}}}"#,
            r#"{ "a" : [ 1 ] }"#,
            // Maps whose first attribute is called as a type is.
            r#"{"M":{"B":"YQ=="},"other":{"S":"x"}}"#,
            r#"{"N":{"N":"1"},"S":{"N":"2"}}"#,
            r#"{"L":{"L":[]},"a":{"S":"x"}}"#,
            r#"{"SS":{"SS":["x"]},"a":{"S":"x"}}"#,
            r#"{"BOOL":{"BOOL":true},"a":{"S":"x"}}"#,
            r#"{"x":{"N":"1"},"y":{"N":"2"}}"#,
        ] {
            for skip in [skip_value, skip_items] {
                assert_eq!(skip(format!("{text},rest").as_bytes()), Some(b",rest".as_slice()), "{text}");
                let change = format!(r#"{{"SizeBytes":1 , "Keys" : {text} ,"NewImage":{text}}},rest"#);
                assert_eq!(skip(change.as_bytes()), Some(b",rest".as_slice()), "{change}");
            }
        }
        for text in ["", "\"", "{\"S\":\"x\"", "[1,]", "x", "{\"a\":1", "{\"a\":1,}", "{\"a\":}", "{\"a\" 1}"] {
            assert_eq!((skip_value(text.as_bytes()), skip_items(text.as_bytes())), (None, None), "{text}");
        }
    }

    #[test]
    fn members_are_shown_as_they_stand() {
        let show = |text: &'static str| {
            let mut seen = Vec::new();
            let rest = members(text.as_bytes(), &mut |name, value| {
                seen.push((name.to_vec(), value.to_vec()));
                Some(())
            });
            rest.map(|rest| (String::from_utf8_lossy(rest), seen))
        };
        let (rest, seen) = show(r#" { "a\"" : {"S":"x"} , "b":[1, 2]} rest"#).unwrap();
        assert_eq!((&*rest, seen.len()), (" rest", 2));
        assert_eq!(seen[0], (br#"a\""#.to_vec(), br#"{"S":"x"}"#.to_vec()));
        assert_eq!(seen[1].1, b"[1, 2]");
        assert_eq!(show("{}").unwrap().1, []);
        for text in ["", "[]", "{", r#"{"a"}"#, r#"{"a":1,}"#, r#"{"a":1 "b":2}"#, r#"{a:1}"#] {
            assert!(show(text).is_none(), "{text}");
        }
        assert_eq!(members(br#"{"a":1}"#, &mut |_, _| None), None);
    }

    #[test]
    fn watched_attributes_are_shown_by_place() {
        let names = ["PK", "SK"].map(|name| Watched::new(name).unwrap());
        let show = |item: &'static str| {
            let mut seen = Vec::new();
            let rest = watched(item.as_bytes(), &names, &mut |place, value| seen.push((place, value)));
            rest.map(|rest| (rest, seen))
        };
        let (rest, seen) =
            show(r#"{"SK":{"N":"1"},"M":{"M":{"PK":{"S":"inner"}}},"PK":{"S":"a"},"PKs":{"S":"x"}} rest"#).unwrap();
        assert_eq!(rest, b" rest");
        assert_eq!(seen, [(1, br#"{"N":"1"}"#.as_slice()), (0, br#"{"S":"a"}"#)]);
        assert_eq!(show(r#"{"a":{"S":"x"}}"#).unwrap().1, []);
        for broken in ["", "{", r#"{"PK":{"S":"a}}"#, r#"{"PK":{"S":"a"}"#] {
            assert!(show(broken).is_none(), "{broken}");
        }
    }

    #[test]
    fn texts_are_read_where_they_stand() {
        let (text, after) = string(br#"plain","next""#).unwrap();
        assert_eq!((text.content, text.escaped, after), (b"plain".as_slice(), false, br#","next""#.as_slice()));
        let (text, _) = string(br#"a\u00e9\"b""#).unwrap();
        assert!(text.escaped);
        assert_eq!(text.resolve().as_deref(), Some("a\u{e9}\"b"));
        assert_eq!(string(br"\ud800" as &[u8]).map(|_| ()), None);
        assert_eq!(RawText { content: b"\xff", escaped: false }.resolve(), None);
        assert_eq!(RawText { content: br"\ud800", escaped: true }.resolve(), None);
    }
}
