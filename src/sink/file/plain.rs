//! Plain JSON out of DynamoDB JSON, without anything between them.

use serde_json::value::RawValue;

use crate::record::wire::walk;

/// An attribute value: the letters of its type, and what stands behind them, to its end.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) kind: &'a [u8],
    pub(super) content: &'a [u8],
}

/// Whether a text is an item from its first to its last byte. What follows may rely on its structure, and that it is not nested
/// deeper than items are.
pub(super) fn is_item(text: &[u8]) -> bool {
    attributes(text, |_, _| Some(())).is_some()
}

/// Writes an item as a JSON object; nothing if it is none.
pub(super) fn item(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    is_item(text).then(|| map(text, out))?
}

/// Shows each attribute of an item: the name as it stands between the quotes, and the value.
pub(super) fn attributes<'a>(text: &'a [u8], mut show: impl FnMut(&'a [u8], Value<'a>) -> Option<()>) -> Option<()> {
    let rest = walk::members(text, &mut |name, value| show(name, value_of(value)?))?;
    walk::past_space(rest).is_empty().then_some(())
}

/// Writes an attribute value.
pub(super) fn value(Value { kind, content }: Value<'_>, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        b"S" | b"B" if content.starts_with(b"\"") => out.extend_from_slice(content),
        b"N" => number(content, out)?,
        b"BOOL" if matches!(content, b"true" | b"false") => out.extend_from_slice(content),
        b"NULL" => out.extend_from_slice(b"null"),
        b"M" => map(content, out)?,
        b"L" => list(content, out, |value_text, out| value(value_of(value_text)?, out))?,
        b"NS" => list(content, out, number)?,
        b"SS" | b"BS" => list(content, out, |text, out| text.starts_with(b"\"").then(|| out.extend_from_slice(text)))?,
        _ => return None,
    }
    Some(())
}

/// A number is written with its digits, in as many as it has; what JSON does not know as one stays a text.
fn number(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let digits = text.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let starts = digits.first().is_some_and(|first| *first == b'-' || first.is_ascii_digit());
    let known = starts && serde_json::from_slice::<&RawValue>(digits).is_ok();
    out.extend_from_slice(if known { digits } else { text });
    Some(())
}

fn map(text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut separator = b'{';
    walk::members(text, &mut |name, text| {
        out.extend_from_slice(&[separator, b'"']);
        out.extend_from_slice(name);
        out.extend_from_slice(b"\":");
        separator = b',';
        value(value_of(text)?, out)
    })?;
    out.extend_from_slice(if separator == b'{' { b"{}" } else { b"}" });
    Some(())
}

fn list(text: &[u8], out: &mut Vec<u8>, each: impl Fn(&[u8], &mut Vec<u8>) -> Option<()>) -> Option<()> {
    out.push(b'[');
    let mut rest = walk::past_space(text.strip_prefix(b"[")?);
    let mut first = true;
    while !rest.starts_with(b"]") {
        if !std::mem::take(&mut first) {
            out.push(b',');
            rest = walk::past_space(rest.strip_prefix(b",")?);
        }
        let after = walk::skip_value(rest)?;
        each(&rest[..rest.len() - after.len()], out)?;
        rest = walk::past_space(after);
    }
    out.push(b']');
    Some(())
}

/// The only member of an attribute value.
fn value_of(text: &[u8]) -> Option<Value<'_>> {
    let mut found = None;
    walk::members(text, &mut |kind, content| found.replace(Value { kind, content }).is_none().then_some(()))?;
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<String> {
        let mut out = Vec::new();
        item(text.as_bytes(), &mut out)?;
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn every_type_has_its_plain_form() {
        let digits = "0.12345678901234567890123456789012345678";
        for (value, expected) in [
            (r#"{"S":"a \"b\" \u00e9"}"#, r#""a \"b\" \u00e9""#),
            (r#"{"N":"-1.50E+30"}"#, "-1.50E+30"),
            (&format!(r#"{{"N":"{digits}"}}"#), digits),
            (r#"{"N":"NaN"}"#, r#""NaN""#),
            (r#"{"B":"YQ=="}"#, r#""YQ==""#),
            (r#"{"BOOL":false}"#, "false"),
            (r#"{"NULL":true}"#, "null"),
            (r#"{"SS":["a","b"]}"#, r#"["a","b"]"#),
            (r#"{"NS":["1","2.0"]}"#, "[1,2.0]"),
            (r#"{"BS":[]}"#, "[]"),
            (r#"{"L":[{"N":"1"},{"L":[]},{"M":{"x":{"NULL":true}}}]}"#, r#"[1,[],{"x":null}]"#),
            (
                r#"{"M":{"M":{"B":"YQ=="},"x":{"L":[{"M":{"N":{"N":"1"},"S":{"N":"2"}}}]}}}"#,
                r#"{"M":"YQ==","x":[{"N":1,"S":2}]}"#,
            ),
            (r#"{ "M" : { "a\"" : { "S" : "1" } , "b" : {"M":{}} } }"#, r#"{"a\"":"1","b":{}}"#),
        ] {
            assert_eq!(plain(&format!(r#"{{"v":{value}}}"#)), Some(format!(r#"{{"v":{expected}}}"#)), "{value}");
        }
        assert_eq!(plain(" { } ").unwrap(), "{}");
    }

    #[test]
    fn what_is_no_item_has_none() {
        for text in [
            "",
            "[]",
            r#"{"a":"b"}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"S":"b","N":"1"}}"#,
            r#"{"a":{"X":"b"}}"#,
            r#"{"a":{"S":1}}"#,
            r#"{"a":{"BOOL":1}}"#,
            r#"{"a":{"SS":[1]}}"#,
            r#"{"a":{"L":["b"]}}"#,
            r#"{"a":{"N":1}}"#,
            r#"{"a":{"S":"b"}}}"#,
        ] {
            assert_eq!(plain(text), None, "{text}");
        }
        let deep = format!(r#"{{"a":{}{{"S":"x"}}{}}}"#, r#"{"L":["#.repeat(200), "]}".repeat(200));
        assert_eq!(plain(&deep), None, "deeper than any item");
    }
}
