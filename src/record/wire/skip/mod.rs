//! Skips a JSON value by its structure: strict about grammar, indifferent to content.
//!
//! Being strict is what makes the extent of a record certain: a lost quote or brace is noticed where it is, not at
//! the end of the payload.

mod item;

pub(super) use item::{Watch, attribute, item, item_watching};

use super::scan::{number_length, skip_space, string_end};

/// Objects and arrays may be nested so deep: a DynamoDB item 63 levels deep, two of JSON for each. DynamoDB allows 32.
const DEEPEST: u8 = 127;

/// What follows the value that `rest` begins with (or has after whitespace), or nothing if the value is broken or nested
/// more than 127 levels deep.
#[inline]
pub(super) fn value(rest: &[u8]) -> Option<&[u8]> {
    nested(rest, DEEPEST)
}

#[inline(always)]
fn nested(rest: &[u8], depth: u8) -> Option<&[u8]> {
    match rest {
        [b'{', inside @ ..] => object(inside, depth.checked_sub(1)?),
        [b'[', inside @ ..] => array(inside, depth.checked_sub(1)?),
        _ => scalar(rest, depth),
    }
}

/// From behind an opening brace to behind the closing one.
#[inline(never)]
fn object(rest: &[u8], depth: u8) -> Option<&[u8]> {
    let mut key = match skip_space(rest) {
        [b'"', key @ ..] => key,
        other => return other.strip_prefix(b"}"),
    };
    loop {
        let after = nested(colon(content(key)?)?, depth)?;
        key = match after {
            [b',', b'"', key @ ..] => key,
            [b'}', after @ ..] => return Some(after),
            _ => match skip_space(after) {
                [b',', after @ ..] => skip_space(after).strip_prefix(b"\"")?,
                other => return other.strip_prefix(b"}"),
            },
        };
    }
}

/// From behind an opening bracket to behind the closing one.
#[inline(never)]
fn array(rest: &[u8], depth: u8) -> Option<&[u8]> {
    let mut element = skip_space(rest);
    if let [b']', after @ ..] = element {
        return Some(after);
    }
    loop {
        match skip_space(nested(element, depth)?) {
            [b',', after @ ..] => element = after,
            other => return other.strip_prefix(b"]"),
        }
    }
}

/// From behind an opening quote to the closing one.
#[inline(always)]
fn content(rest: &[u8]) -> Option<&[u8]> {
    rest.get(string_end(rest)?..)
}

/// From the closing quote of a key to behind its colon.
#[inline(always)]
fn colon(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', b':', value @ ..] => Some(value),
        _ => skip_space(&rest[1..]).strip_prefix(b":"),
    }
}

#[inline(never)]
fn scalar(rest: &[u8], depth: u8) -> Option<&[u8]> {
    match rest.first()? {
        b'"' => Some(&content(&rest[1..])?[1..]),
        b't' => rest.strip_prefix(b"true"),
        b'f' => rest.strip_prefix(b"false"),
        b'n' => rest.strip_prefix(b"null"),
        b'-' | b'0'..=b'9' => Some(&rest[number_length(rest)..]),
        b' ' | b'\n' | b'\t' | b'\r' => nested(skip_space(rest), depth),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_values_are_skipped_whatever_their_layout() {
        for text in [
            r#""a""#,
            "12",
            "-1.5E3",
            "true",
            "false",
            "null",
            "{}",
            "[]",
            "{ }",
            "[\n]",
            r#"{"a":{"S":"x"}}"#,
            r#"{ "a" : [ 1 , { "b" : [ ] } , "c\"}]" ] }"#,
            r#"{"a\\":{"L":[{"N":"1"},{"NULL":true}]},"b":{"SS":["x","y"]}}"#,
            r#"{"a long name, longer than a block":{"S":"and a long text\" with an escape, longer than four blocks of sixteen"}}"#,
        ] {
            for rest in [",rest", ",\"rest\":{\"S\":\"longer than a block\"}}"] {
                assert_eq!(value(format!("{text}{rest}").as_bytes()), Some(rest.as_bytes()), "{text}");
            }
        }
    }

    #[test]
    fn broken_values_have_no_end() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "{]",
            "[}",
            r#"{"a"}"#,
            r#"{"a":}"#,
            r#"{"a":1,}"#,
            r#"{"a":1 "b":2}"#,
            "[1 2]",
            "[1,,2]",
            r#"{"a":"b}"#,
            "{a:1}",
            "nul",
            "tru",
            r#"{"a":{"S":"x"}"#,
            r#"[{"a":1]"#,
            r#"{"a":{"S":"x"]"#,
        ] {
            assert_eq!(value(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn attributes_and_items_are_skipped_as_all_values_are() {
        for text in [
            r#"{"S":"x"}"#,
            r#"{"N":"a text of more than one block, even of two"}"#,
            r#"{"S":"escaped \" and \\"}"#,
            r#"{"BOOL":true}"#,
            r#"{"BOOL":false}"#,
            r#"{"NULL":true}"#,
            r#"{"SS":["a","b \"c\"","d"]}"#,
            r#"{"SS":[]}"#,
            r#"{"M":{}}"#,
            r#"{"L":[]}"#,
            r#"{"M":{"a":{"M":{"b":{"BOOL":true},"c":{"NULL":true},"d":{"S":"x"}}},"e":{"L":[{"S":"y"},{"L":[{"M":{"f":{"N":"1"}}}]}]}}}"#,
            r#"{ "M" : { "a" : { "L" : [ { "S" : "x" } , { "M" : { } } ] } , "b":{"S":"y"} } }"#,
            r#"{"M":{"a":{"S":"x"} , "b":{"M":{"c":{"S":"y"} } },"d":{"L":[{"S":"z"} ] } } }"#,
            r#"{"X":7}"#,
            r#"[1,{"a":null}]"#,
        ] {
            for rest in [
                ",\"next\":{\"S\":\"z\"}}",
                "}",
                "}}]},{\"eventID\":\"a longer text of more than sixty-four bytes, so that blocks are full\"",
            ] {
                let whole = format!("{text}{rest}");
                assert_eq!(attribute(whole.as_bytes()), Some(rest.as_bytes()), "{whole}");
                let in_item = format!("\"first\":{{\"S\":\"x\"}},\"name\":{text}}}{rest}");
                assert_eq!(item(in_item.as_bytes()), Some(rest.as_bytes()), "{in_item}");
            }
        }
    }

    #[test]
    fn a_pet_is_skipped_to_its_end() {
        let pet = r#""PK":{"S":"USER#00000000"},"SK":{"S":"PET#00000000"},"entityType":{"S":"PET"},"name":{"S":"Pet number 0"},"species":{"S":"cat"},"weightKg":{"N":"4.25"},"ageYears":{"N":"0"},"vaccinated":{"BOOL":true},"tags":{"SS":["indoor","friendly","chipped"]},"address":{"M":{"street":{"S":"0 Long Road"},"city":{"S":"Bristol"},"zip":{"S":"BS1 4DJ"}}},"visits":{"L":[{"M":{"at":{"S":"2026-01-02"},"cost":{"N":"45.50"}}},{"M":{"at":{"S":"2026-03-04"},"cost":{"N":"12"}}}]},"ownerNote":{"NULL":true},"timestamp":{"S":"2026-11-21T02:40:00Z"}}"#;
        let rest =
            r#","SequenceNumber":"000000000000000000111","SizeBytes":512,"StreamViewType":"NEW_AND_OLD_IMAGES"}"#;
        assert_eq!(item(format!("{pet}{rest}").as_bytes()), Some(rest.as_bytes()));
    }

    #[test]
    fn broken_attributes_have_no_end() {
        for text in [
            r#"{"S":"x"]"#,
            r#"{"BOOL":tru}"#,
            r#"{"M":{"a":{"BOOL":true},}}"#,
            r#"{"M":{"a":{"S":"x"}}"#,
            r#"{"M":{"a":{"S":"x"}]}"#,
            r#"{"L":[{"S":"x"}}]"#,
            r#"{"L":[{"S":"x"},]}"#,
            r#"{"SS":["a" "b"]}"#,
            r#"{"M":{"a":{"NULL":true},"b"}}"#,
        ] {
            assert_eq!(attribute(text.as_bytes()), None, "{text}");
            let padded = format!(
                "{text},\"next\":{{\"S\":\"a longer text of more than sixty-four bytes, so that blocks are full\"}}"
            );
            assert_eq!(attribute(padded.as_bytes()).filter(|rest| rest.starts_with(b",\"next")), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(value(deep(127).as_bytes()), Some(&[][..]));
        assert_eq!(value(deep(200).as_bytes()), None);
        let maps = |levels: usize| {
            format!("{}{{\"S\":\"x\"}}{}}}", "\"a\":{\"M\":{".repeat(levels) + "\"a\":", "}}".repeat(levels))
        };
        assert_eq!(item(maps(40).as_bytes()), Some(&[][..]));
        assert_eq!(item(maps(100).as_bytes()), None);
    }
}
