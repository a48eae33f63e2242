//! Byte search.

mod swar;

pub(super) use swar::special;

/// The end of a string: the offset of its closing quote, and whether an escape stands before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StringEnd {
    pub(super) quote: usize,
    pub(super) escaped: bool,
}

/// Finds the closing quote of a string whose content begins at `at`.
#[inline]
pub(super) fn string_end(bytes: &[u8], at: usize) -> Option<StringEnd> {
    let found = special(bytes, at)?;
    if bytes[found] == b'"' {
        Some(StringEnd { quote: found, escaped: false })
    } else {
        escaped_string_end(bytes, found)
    }
}

/// The same from the first backslash on.
#[cold]
#[inline(never)]
fn escaped_string_end(bytes: &[u8], mut at: usize) -> Option<StringEnd> {
    loop {
        at = special(bytes, at)?;
        if bytes[at] == b'"' {
            return Some(StringEnd { quote: at, escaped: true });
        }
        at += 2;
    }
}

/// The first offset at or after `at` that holds no JSON whitespace.
#[inline]
pub(super) fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(at) {
        at += 1;
    }
    at
}

/// Looks for the first quote or backslash byte by byte: ends of buffers, and the oracle of the tests.
#[inline]
fn special_in_tail(bytes: &[u8], at: usize) -> Option<usize> {
    let tail = bytes.get(at..)?;
    tail.iter().position(|byte| matches!(byte, b'"' | b'\\')).map(|index| at + index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        let text = br#"ab\"cd\\" rest"#;
        assert_eq!(string_end(text, 0), Some(StringEnd { quote: 8, escaped: true }));
    }

    #[test]
    fn a_string_without_an_end_has_none() {
        assert_eq!(string_end(b"no end here, however long it gets", 0), None);
        assert_eq!(string_end(br"ends in a backslash\", 0), None);
        assert_eq!(string_end(b"", 3), None);
    }

    proptest! {
        #[test]
        fn all_scanners_agree(bytes in proptest::collection::vec(prop_oneof![4 => Just(b'a'), 4 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..200), at in 0usize..210) {
            let expected = special_in_tail(&bytes, at);
            prop_assert_eq!(special(&bytes, at), expected);
        }
    }
}
