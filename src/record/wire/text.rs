//! JSON strings.

use std::borrow::Cow;

/// The content of a JSON string with its escapes resolved, or nothing if an escape is broken or a surrogate stands
/// alone. Content without a backslash is handed back as it is.
pub(super) fn unescape(raw: &str) -> Option<Cow<'_, str>> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else {
        return Some(Cow::Borrowed(raw));
    };
    let mut text = String::with_capacity(raw.len());
    text.push_str(&raw[..first]);
    let mut rest = &raw[first..];
    while let Some(escape) = rest.strip_prefix('\\') {
        rest = resolve(escape, &mut text)?;
        let plain = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        text.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Some(Cow::Owned(text))
}

/// Resolves the escape behind a backslash; what follows it is handed back.
fn resolve<'a>(escape: &'a str, text: &mut String) -> Option<&'a str> {
    let character = match escape.as_bytes().first()? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return resolve_unicode(&escape[1..], text),
        _ => return None,
    };
    text.push(character);
    Some(&escape[1..])
}

fn resolve_unicode<'a>(digits: &'a str, text: &mut String) -> Option<&'a str> {
    let (high, rest) = code_unit(digits)?;
    if !(0xD800..0xE000).contains(&high) {
        text.push(char::from_u32(high)?);
        return Some(rest);
    }
    let (low, rest) = code_unit(rest.strip_prefix("\\u")?)?;
    if high >= 0xDC00 || !(0xDC00..0xE000).contains(&low) {
        return None;
    }
    text.push(char::from_u32(0x10000 + ((high - 0xD800) << 10 | (low - 0xDC00)))?);
    Some(rest)
}

fn code_unit(digits: &str) -> Option<(u32, &str)> {
    let (unit, rest) = digits.split_at_checked(4)?;
    let hex = unit.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some((u32::from_str_radix(unit, 16).ok().filter(|_| hex)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_without_escapes_is_borrowed() {
        assert!(matches!(unescape("plain é"), Some(Cow::Borrowed("plain é"))));
    }

    #[test]
    fn every_escape_is_resolved() {
        let raw = r#"a\"b\\c\/d\be\ff\ng\rh\ti\u00e9j\uD83D\uDE00k"#;
        assert_eq!(unescape(raw).unwrap(), "a\"b\\c/d\u{8}e\u{c}f\ng\rh\tié\u{6a}😀k");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for raw in [
            r"\",
            r"\x",
            r"\u12",
            r"\u12G4",
            r"\u+123",
            r"\uD83D",
            r"\uD83Dx",
            r"\uD83D\n",
            r"\uD83D\u0041",
            r"\uDE00",
            r"\uDE00\uD83D",
        ] {
            assert_eq!(unescape(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_escape_beside_long_characters_does_not_split_them() {
        assert_eq!(unescape(r"\u00é9"), None);
        assert_eq!(unescape(r"é\né").unwrap(), "é\né");
    }
}
