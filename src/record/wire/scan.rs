//! Byte search, sixteen bytes at a time: SSE2 on x86-64, NEON on 64-bit ARM, plain code elsewhere, all by way of `wide`.
//!
//! Whatever is read shrinks the rest of the text from its front. A rest that is known to hold a block needs no further
//! checks while the block is looked at, so safe code costs next to nothing here.

use wide::u8x16;

/// How many bytes are looked at in one step.
const BLOCK: usize = 16;

/// Strings longer than this many blocks are searched by `memchr`, which uses wider vectors where the processor has them.
const BLOCKS: usize = 4;

/// The length of a string's content, up to its closing quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Length {
    pub(super) bytes: usize,
    /// Whether there is an escape among them.
    pub(super) escaped: bool,
}

/// Cuts `rest` before the closing quote of the string whose content it begins with, if the content has no escapes.
///
/// Nothing means that [`string_length`] has to look closer.
#[inline(always)]
pub(super) fn plain_string(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    match special_in_block(rest) {
        Some(at) => (rest[at] == b'"').then(|| rest.split_at(at)),
        None => rest.split_at_checked(plain_length(rest)?),
    }
}

#[inline(never)]
fn plain_length(rest: &[u8]) -> Option<usize> {
    special(rest).filter(|&at| rest[at] == b'"')
}

/// The offset of the first quote or backslash in the block that `rest` begins with.
#[inline(always)]
pub(super) fn special_in_block(rest: &[u8]) -> Option<usize> {
    let block = u8x16::new(*rest.first_chunk::<BLOCK>()?);
    first(block.simd_eq(splat(b'"')) | block.simd_eq(splat(b'\\')))
}

/// The length of the string content that `rest` begins with, if it is plain ASCII.
#[inline(never)]
pub(super) fn ascii_length(rest: &[u8]) -> Option<usize> {
    let mut length = 0;
    for block in rest.as_chunks::<BLOCK>().0 {
        let bytes = u8x16::new(*block);
        // The high bit marks itself.
        if let Some(at) = first(bytes.simd_eq(splat(b'"')) | bytes.simd_eq(splat(b'\\')) | bytes) {
            return (rest[length + at] == b'"').then_some(length + at);
        }
        length += BLOCK;
    }
    None
}

/// Whether `rest` begins with `text`, which has sixteen bytes or more.
#[inline(always)]
pub(super) fn begins_with<const N: usize>(rest: &[u8; N], text: &[u8; N]) -> bool {
    let equal = |rest: &[u8; BLOCK], text: &[u8; BLOCK]| u8x16::new(*rest).simd_eq(u8x16::new(*text));
    let (Some(last), Some(end)) = (rest.last_chunk(), text.last_chunk()) else {
        return rest == text;
    };
    let blocks = rest.as_chunks::<BLOCK>().0.iter().zip(text.as_chunks::<BLOCK>().0);
    blocks.fold(equal(last, end), |all, (rest, text)| all & equal(rest, text)).to_bitmask() == 0xffff
}

/// The offset of the closing quote of the string whose content `rest` begins with, whatever is in it.
#[inline(always)]
pub(super) fn string_end(rest: &[u8]) -> Option<usize> {
    match special_in_block(rest) {
        Some(at) if rest[at] == b'"' => Some(at),
        _ => far_string_end(rest),
    }
}

#[inline(never)]
fn far_string_end(rest: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + memchr::memchr(b'"', &rest[from..])?;
        // A quote is escaped by an odd number of backslashes; those before `from` belong to an escaped quote.
        let backslashes = rest[from..quote].iter().rev().take_while(|&&byte| byte == b'\\').count();
        if backslashes % 2 == 0 {
            return Some(quote);
        }
        from = quote + 1;
    }
}

/// The length of the string content that `rest` begins with, or nothing if it has no end.
#[inline(never)]
pub(super) fn string_length(rest: &[u8]) -> Option<Length> {
    let at = special(rest)?;
    if rest[at] == b'"' { Some(Length { bytes: at, escaped: false }) } else { escaped_length(rest, at) }
}

/// The same from the first backslash on.
#[cold]
fn escaped_length(rest: &[u8], mut at: usize) -> Option<Length> {
    loop {
        at += special(rest.get(at..)?)?;
        if rest[at] == b'"' {
            return Some(Length { bytes: at, escaped: true });
        }
        at += 2;
    }
}

/// The offset of the first quote or backslash.
#[inline]
fn special(rest: &[u8]) -> Option<usize> {
    let mut tail = rest;
    for _ in 0..BLOCKS {
        let Some((block, next)) = tail.split_first_chunk::<BLOCK>() else {
            return special_in_tail(tail).map(|at| rest.len() - tail.len() + at);
        };
        let block = u8x16::new(*block);
        if let Some(at) = first(block.simd_eq(splat(b'"')) | block.simd_eq(splat(b'\\'))) {
            return Some(rest.len() - tail.len() + at);
        }
        tail = next;
    }
    memchr::memchr2(b'"', b'\\', tail).map(|at| rest.len() - tail.len() + at)
}

/// The same byte by byte, for the end of a text.
#[inline]
fn special_in_tail(tail: &[u8]) -> Option<usize> {
    tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))
}

/// How many bytes that numbers are made of `rest` begins with: digits, signs, point, exponent.
///
/// A slash counts, too. No number has one, so the text is refused when it is read as a number.
#[inline(always)]
pub(super) fn number_length(rest: &[u8]) -> usize {
    let Some(block) = rest.first_chunk::<BLOCK>() else {
        return number_length_in_tail(rest);
    };
    let block = u8x16::new(*block);
    // From '+' to '9' in one comparison: what lies below wraps to a high value.
    let plus_to_nine = (block - splat(b'+')).min(splat(b'9' - b'+')).simd_eq(block - splat(b'+'));
    let exponent = (block | splat(b' ')).simd_eq(splat(b'e'));
    let others = !(plus_to_nine | exponent) | block.simd_eq(splat(b','));
    first(others).unwrap_or_else(|| BLOCK + number_length_in_tail(&rest[BLOCK..]))
}

#[cold]
fn number_length_in_tail(rest: &[u8]) -> usize {
    let foreign = |byte: &u8| !matches!(byte, b'0'..=b'9' | b'.' | b'/' | b'-' | b'+' | b'e' | b'E');
    rest.iter().position(foreign).unwrap_or(rest.len())
}

/// The rest without JSON whitespace at its front.
#[inline(always)]
pub(super) fn skip_space(rest: &[u8]) -> &[u8] {
    match rest {
        [b' ' | b'\n' | b'\t' | b'\r', ..] => skip_more_space(rest),
        _ => rest,
    }
}

#[inline(never)]
fn skip_more_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\t' | b'\r', more @ ..] = rest {
        rest = more;
    }
    rest
}

/// The offset of the first byte at or after `at` that is no JSON whitespace.
pub(super) fn past_space(bytes: &[u8], at: usize) -> usize {
    bytes.len() - skip_space(bytes.get(at..).unwrap_or_default()).len()
}

/// How many digits `rest` begins with.
#[inline]
pub(super) fn digits(rest: &[u8]) -> usize {
    let mut length = 0;
    for block in rest.as_chunks::<BLOCK>().0 {
        let values = u8x16::new(*block) - splat(b'0');
        match first(!values.min(splat(9)).simd_eq(values)) {
            Some(at) => return length + at,
            None => length += BLOCK,
        }
    }
    length + rest[length..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

#[inline(always)]
fn splat(byte: u8) -> u8x16 {
    u8x16::splat(byte)
}

/// The index of the first byte whose high bit is set: below sixteen, and the type tells the compiler so.
#[inline(always)]
fn first(mask: u8x16) -> Option<usize> {
    let bits = std::num::NonZero::new(mask.to_bitmask() as u16)?;
    Some(bits.trailing_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_escaped_quote_does_not_end_a_string() {
        assert_eq!(string_length(br#"ab\"cd\\" rest"#), Some(Length { bytes: 8, escaped: true }));
    }

    #[test]
    fn a_string_without_an_end_has_none() {
        assert_eq!(string_length(b"no end here, however long it gets"), None);
        assert_eq!(string_length(br"ends in a backslash\"), None);
        assert_eq!(string_length(b""), None);
        assert_eq!(plain_string(b"no end in the first block"), None);
    }

    #[test]
    fn literals_are_compared_to_their_last_byte() {
        let text = *b"a literal of more than two blocks, so that each has a part";
        assert!(begins_with(&text, &text));
        for at in 0..text.len() {
            let mut other = text;
            other[at] ^= 1;
            assert!(!begins_with(&other, &text), "{at}");
        }
        assert!(begins_with(b"short", b"short") && !begins_with(b"short", b"shorn"));
    }

    #[test]
    fn whitespace_is_skipped_and_nothing_else() {
        assert_eq!(skip_space(b" \n\t\r x "), b"x ");
        assert_eq!(skip_space(b"x"), b"x");
        assert_eq!(skip_space(b"\x0cx"), b"\x0cx");
        assert_eq!(skip_space(b"  "), b"");
    }

    /// The content of a string, byte by byte.
    fn oracle(text: &[u8]) -> Option<Length> {
        let (mut at, mut escaped) = (0, false);
        loop {
            match text.get(at)? {
                b'"' => return Some(Length { bytes: at, escaped }),
                b'\\' => (at, escaped) = (at + 2, true),
                _ => at += 1,
            }
        }
    }

    proptest! {
        #[test]
        fn strings_end_where_a_byte_by_byte_search_ends_them(
            text in proptest::collection::vec(prop_oneof![30 => Just(b'a'), 10 => any::<u8>(), 1 => Just(b'"'), 1 => Just(b'\\')], 0..200),
        ) {
            let expected = oracle(&text);
            prop_assert_eq!(string_length(&text), expected);
            prop_assert_eq!(string_end(&text), expected.map(|length| length.bytes));
            let plain = plain_string(&text).map(|(content, after)| [content, after].concat()).map(|text| text.len());
            prop_assert_eq!(plain, expected.filter(|length| !length.escaped).map(|_| text.len()));
            prop_assert_eq!(plain_string(&text).map(|(content, _)| content.len()), expected.filter(|length| !length.escaped).map(|length| length.bytes));
            if let Some(length) = ascii_length(&text) {
                prop_assert_eq!(Some(Length { bytes: length, escaped: false }), expected);
                prop_assert!(text[..length].is_ascii());
            }
        }

        #[test]
        fn digits_are_told_from_everything_else(text in "[0-9]{0,40}", spoil in proptest::option::of(any::<(proptest::sample::Index, u8)>())) {
            let mut text = text.into_bytes();
            if let Some((at, byte)) = spoil.filter(|_| !text.is_empty()) {
                let at = at.index(text.len());
                text[at] = byte;
            }
            prop_assert_eq!(digits(&text), text.iter().take_while(|byte| byte.is_ascii_digit()).count());
        }

        #[test]
        fn numbers_end_where_a_byte_by_byte_search_ends_them(number in "[-+.eE0-9]{0,40}", rest: Vec<u8>) {
            let text = [number.as_bytes(), &rest].concat();
            prop_assert_eq!(number_length(&text), number_length_in_tail(&text));
        }
    }
}
