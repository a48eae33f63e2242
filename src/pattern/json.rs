//! A strict JSON reader that keeps where everything stands: for patterns, and for records that are to be explained.
//!
//! Numbers stay texts, so that no digit is lost. Of members with the same name the last one counts (ESM-26).

use std::{borrow::Cow, fmt};

use crate::record::wire::walk;

use super::decimal::Decimal;

/// How deep objects and arrays may be nested, as in the reader of the wire.
const DEEPEST: usize = 127;

/// A value, with the offset of its first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Json<'a> {
    pub(super) offset: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Number(&'a str),
    Text(Cow<'a, str>),
    Array(Vec<Json<'a>>),
    Object(Vec<Member<'a>>),
}

/// A member of an object, with the offset of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) offset: usize,
    pub(super) name: Cow<'a, str>,
    pub(super) value: Json<'a>,
}

/// Why a text is not JSON, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub(super) struct Broken {
    pub(super) offset: usize,
    /// The names of the members around it.
    pub(super) path: Vec<String>,
    pub(super) expected: &'static str,
}

type Read<T> = Result<T, Broken>;

/// Reads a whole text.
pub(super) fn parse(text: &str) -> Read<Json<'_>> {
    let mut reader = Reader { text, rest: text.as_bytes(), path: Vec::new(), depth: 0 };
    let json = reader.value()?;
    reader.space();
    if reader.rest.is_empty() { Ok(json) } else { Err(reader.broken("nothing more")) }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a [u8],
    path: Vec<String>,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self) -> Read<Json<'a>> {
        self.space();
        let offset = self.offset();
        let value = match self.rest.first() {
            Some(b'{') => self.deeper(Self::object)?,
            Some(b'[') => self.deeper(Self::array)?,
            Some(b'"') => Value::Text(self.string("a text")?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Json { offset, value })
    }

    fn deeper(&mut self, read: impl FnOnce(&mut Self) -> Read<Value<'a>>) -> Read<Value<'a>> {
        if self.depth == DEEPEST {
            return Err(self.broken("no deeper nesting"));
        }
        self.depth += 1;
        self.rest = &self.rest[1..];
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Read<Value<'a>> {
        let mut members: Vec<Member<'a>> = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            let member = self.member()?;
            // Looking back costs the square of the members, of which a pattern of 4,096 characters has few hundred.
            members.retain(|earlier| earlier.name != member.name);
            members.push(member);
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            self.expect(b',', "`,` or `}`")?;
        }
    }

    fn member(&mut self) -> Read<Member<'a>> {
        self.space();
        let offset = self.offset();
        let name = self.string("a name in quotes")?;
        self.path.push(name.to_string());
        self.expect(b':', "`:`")?;
        let value = self.value()?;
        self.path.pop();
        Ok(Member { offset, name, value })
    }

    fn array(&mut self) -> Read<Value<'a>> {
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            self.expect(b',', "`,` or `]`")?;
        }
    }

    fn string(&mut self, expected: &'static str) -> Read<Cow<'a, str>> {
        let content = self.rest.strip_prefix(b"\"").ok_or_else(|| self.broken(expected))?;
        let (raw, after) = walk::string(content).ok_or_else(|| self.broken("a text that ends in a quote"))?;
        if raw.content.iter().any(|byte| *byte < b' ') {
            return Err(self.broken("a text without line breaks and other control characters"));
        }
        let text = raw.resolve().ok_or_else(|| self.broken("a text without broken escapes"))?;
        self.rest = after;
        Ok(text)
    }

    fn number(&mut self) -> Read<Value<'a>> {
        let start = self.offset();
        let (digits, after) = walk::number(self.rest);
        if Decimal::parse(digits).is_none() {
            return Err(self.broken("a number"));
        }
        self.rest = after;
        Ok(Value::Number(&self.text[start..self.offset()]))
    }

    fn word(&mut self) -> Read<Value<'a>> {
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        for (word, value) in words {
            if let Some(after) = self.rest.strip_prefix(word.as_bytes()) {
                self.rest = after;
                return Ok(value);
            }
        }
        Err(self.broken("a JSON value"))
    }

    fn take(&mut self, byte: u8) -> bool {
        self.space();
        match self.rest {
            [first, after @ ..] if *first == byte => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Read<()> {
        if self.take(byte) { Ok(()) } else { Err(self.broken(expected)) }
    }

    fn space(&mut self) {
        self.rest = walk::past_space(self.rest);
    }

    fn offset(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    fn broken(&self, expected: &'static str) -> Broken {
        Broken { offset: self.offset(), path: self.path.clone(), expected }
    }
}

impl Value<'_> {
    /// What it is, with its article.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl fmt::Display for Json<'_> {
    /// Compact, with numbers as they were written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(text) => f.write_str(text),
            Value::Text(text) => quoted(text).fmt(f),
            Value::Array(elements) => listed(f, ['[', ']'], elements, |f, element| element.fmt(f)),
            Value::Object(members) => {
                listed(f, ['{', '}'], members, |f, member| write!(f, "{}:{}", quoted(&member.name), member.value))
            }
        }
    }
}

/// A text as JSON writes it.
pub(super) fn quoted(text: &str) -> impl fmt::Display {
    serde_json::Value::from(text)
}

fn listed<T>(
    f: &mut fmt::Formatter<'_>,
    [open, close]: [char; 2],
    parts: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    write!(f, "{open}")?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        write(f, part)?;
    }
    write!(f, "{close}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_compact_and_digit_by_digit() {
        let text = r#" { "a" : [ 1.50e+2 , -0 , "é\n\"" , null , true , false , [ ] , { } ] , "b" : 123456789012345678901234567890 } "#;
        let compact = r#"{"a":[1.50e+2,-0,"é\n\"",null,true,false,[],{}],"b":123456789012345678901234567890}"#;
        assert_eq!(parse(text).unwrap().to_string(), compact);
    }

    #[test]
    fn offsets_are_those_of_the_text() {
        let json = parse(r#"{"a": {"b": [7]}}"#).unwrap();
        let Value::Object(members) = json.value else { panic!("an object") };
        assert_eq!((members[0].offset, members[0].value.offset), (1, 6));
    }

    #[test]
    fn of_two_members_with_one_name_the_last_counts() {
        assert_eq!(parse(r#"{"a":1,"b":2,"a":3}"#).unwrap().to_string(), r#"{"b":2,"a":3}"#);
    }

    #[test]
    fn what_is_not_json_is_told_by_offset_and_path() {
        for (text, offset, path, expected) in [
            ("", 0, "", "a JSON value"),
            ("x", 0, "", "a JSON value"),
            ("{} x", 3, "", "nothing more"),
            ("{", 1, "", "a name in quotes"),
            (r#"{"a""#, 4, "a", "`:`"),
            (r#"{"a":{"b":[1 2]}}"#, 13, "a.b", "`,` or `]`"),
            (r#"{"a":1 "b":2}"#, 7, "", "`,` or `}`"),
            (r#"{"a":1,}"#, 7, "", "a name in quotes"),
            (r#"{"a":01}"#, 5, "a", "a number"),
            (r#"{"a":"x}"#, 5, "a", "a text that ends in a quote"),
            (r#"{"a":"\x"}"#, 5, "a", "a text without broken escapes"),
            ("{\"a\":\"\n\"}", 5, "a", "a text without line breaks and other control characters"),
        ] {
            let broken = parse(text).unwrap_err();
            assert_eq!(
                (broken.offset, broken.path.join(".").as_str(), broken.expected),
                (offset, path, expected),
                "{text}"
            );
        }
        let deep = "[".repeat(200);
        assert_eq!(parse(&deep).unwrap_err().expected, "no deeper nesting");
    }
}
