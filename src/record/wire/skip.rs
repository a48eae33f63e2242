//! Skips a JSON value by its structure: strict about grammar, indifferent to content.
//!
//! Being strict is what makes the extent of a record certain: a lost quote or brace is noticed where it is, not at
//! the end of the payload.

use super::scan::{skip_space, string_end};

/// What the open braces and brackets are, innermost in the lowest bit.
///
/// 127 levels hold a DynamoDB item 63 levels deep; DynamoDB itself allows 32.
#[derive(Clone, Copy)]
struct Nesting(u128);

impl Nesting {
    /// A single one marks the bottom.
    const EMPTY: Self = Self(1);

    fn push(&mut self, array: bool) -> Option<()> {
        if self.0 >> 127 != 0 {
            return None;
        }
        self.0 = self.0 << 1 | u128::from(array);
        Some(())
    }

    fn pop(&mut self) {
        self.0 >>= 1;
    }

    fn in_array(self) -> bool {
        self.0 & 1 != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 1
    }
}

/// The offset behind the value that begins at `at` (or after whitespace there), or nothing if it is broken or nested
/// more than 127 levels deep.
pub(super) fn value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut nesting = Nesting::EMPTY;
    loop {
        at = skip_space(bytes, at);
        match *bytes.get(at)? {
            open @ (b'{' | b'[') => match enter(bytes, at + 1, open == b'[', &mut nesting)? {
                Entered::Empty(end) => at = end,
                Entered::Value(start) => {
                    at = start;
                    continue;
                }
            },
            _ => at = scalar(bytes, at)?,
        }
        match leave(bytes, at, &mut nesting)? {
            Left::All(end) => return Some(end),
            Left::Next(start) => at = start,
        }
    }
}

enum Entered {
    /// Nothing inside: the offset behind it.
    Empty(usize),
    /// The offset of its first value.
    Value(usize),
}

fn enter(bytes: &[u8], at: usize, array: bool, nesting: &mut Nesting) -> Option<Entered> {
    let at = skip_space(bytes, at);
    if *bytes.get(at)? == if array { b']' } else { b'}' } {
        return Some(Entered::Empty(at + 1));
    }
    nesting.push(array)?;
    Some(Entered::Value(if array { at } else { key(bytes, at)? }))
}

enum Left {
    /// Everything is closed: the offset behind it.
    All(usize),
    /// The offset of the next value.
    Next(usize),
}

fn leave(bytes: &[u8], mut at: usize, nesting: &mut Nesting) -> Option<Left> {
    while !nesting.is_empty() {
        at = skip_space(bytes, at);
        match (*bytes.get(at)?, nesting.in_array()) {
            (b',', true) => return Some(Left::Next(at + 1)),
            (b',', false) => return key(bytes, skip_space(bytes, at + 1)).map(Left::Next),
            (b'}', false) | (b']', true) => nesting.pop(),
            _ => return None,
        }
        at += 1;
    }
    Some(Left::All(at))
}

/// From the opening quote of a key to behind its colon.
fn key(bytes: &[u8], at: usize) -> Option<usize> {
    if *bytes.get(at)? != b'"' {
        return None;
    }
    let colon = skip_space(bytes, string_end(bytes, at + 1)?.quote + 1);
    (*bytes.get(colon)? == b':').then_some(colon + 1)
}

fn scalar(bytes: &[u8], at: usize) -> Option<usize> {
    match bytes[at] {
        b'"' => Some(string_end(bytes, at + 1)?.quote + 1),
        b't' => literal(bytes, at, b"true"),
        b'f' => literal(bytes, at, b"false"),
        b'n' => literal(bytes, at, b"null"),
        b'-' | b'0'..=b'9' => Some(number(bytes, at)),
        _ => None,
    }
}

/// The offset behind `word` if it stands at `at`.
pub(super) fn literal(bytes: &[u8], at: usize, word: &[u8]) -> Option<usize> {
    bytes.get(at..)?.starts_with(word).then_some(at + word.len())
}

/// The offset behind the characters that numbers are made of.
pub(super) fn number(bytes: &[u8], at: usize) -> usize {
    let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E');
    bytes[at..].iter().position(|byte| !digits(byte)).map_or(bytes.len(), |length| at + length)
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
        ] {
            assert_eq!(value(format!("{text},rest").as_bytes(), 0), Some(text.len()), "{text}");
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
        ] {
            assert_eq!(value(text.as_bytes(), 0), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(value(deep(127).as_bytes(), 0), Some(254));
        assert_eq!(value(deep(200).as_bytes(), 0), None);
    }
}
