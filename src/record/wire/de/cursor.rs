//! A place in an image, and the tokens of DynamoDB JSON that are read there.

use std::borrow::Cow;

use super::Result;
use crate::record::wire::{
    error::{DecodeError, DecodeReason},
    scan::{skip_space, string_end},
    skip,
    text::unescape,
};

/// The type tag of an attribute value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Ss,
    Ns,
    Bs,
}

impl Tag {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "S" => Self::S,
            "N" => Self::N,
            "B" => Self::B,
            "BOOL" => Self::Bool,
            "NULL" => Self::Null,
            "M" => Self::M,
            "L" => Self::L,
            "SS" => Self::Ss,
            "NS" => Self::Ns,
            "BS" => Self::Bs,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
            Self::Bool => "BOOL",
            Self::Null => "NULL",
            Self::M => "M",
            Self::L => "L",
            Self::Ss => "SS",
            Self::Ns => "NS",
            Self::Bs => "BS",
        }
    }
}

/// Maps and lists may be nested so deep. DynamoDB allows 32 levels.
const DEEPEST: u8 = 64;

/// A place in an image.
pub(super) struct Cursor<'de> {
    text: &'de str,
    at: usize,
    depth: u8,
}

impl<'de> Cursor<'de> {
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    pub(super) fn offset(&self) -> usize {
        self.at
    }

    fn bytes(&self) -> &'de [u8] {
        self.text.as_bytes()
    }

    /// The next byte that is no whitespace.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.at = skip_space(self.bytes(), self.at);
        self.bytes().get(self.at).copied()
    }

    /// Steps over `byte` if it comes next.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax(expected)) }
    }

    pub(super) fn expect_end(&mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax("the end of the item")) }
    }

    /// Reads a string token; text without escapes is borrowed.
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>> {
        self.expect(b'"', "a string")?;
        let start = self.at;
        let end = string_end(self.bytes(), start).ok_or_else(|| self.syntax("the end of a string"))?;
        self.at = end.quote + 1;
        let raw = self.text.get(start..end.quote).expect("quotes stand between characters");
        if end.escaped {
            return unescape(raw).ok_or_else(|| DecodeError::at(DecodeReason::BadEscape, start));
        }
        Ok(Cow::Borrowed(raw))
    }

    /// From the brace of an attribute value to behind the colon of its type tag.
    pub(super) fn open(&mut self) -> Result<Tag> {
        self.expect(b'{', "an attribute value")?;
        let at = self.at;
        if self.peek() != Some(b'"') {
            return Err(DecodeError::at(DecodeReason::UnknownTag, at));
        }
        let tag = self.string()?;
        self.expect(b':', "a colon")?;
        Tag::parse(&tag).ok_or_else(|| DecodeError::at(DecodeReason::UnknownTag, at))
    }

    /// Over the closing brace of an attribute value.
    pub(super) fn close(&mut self) -> Result<()> {
        if self.take(b'}') {
            return Ok(());
        }
        Err(if self.peek() == Some(b',') { self.fail(DecodeReason::ExtraTag) } else { self.syntax("a closing brace") })
    }

    /// Over an attribute value if it is `{"NULL":true}`; else nowhere.
    pub(super) fn take_null(&mut self) -> Result<bool> {
        let start = self.at;
        if self.open()? == Tag::Null && self.boolean()? {
            return self.close().map(|()| true);
        }
        self.at = start;
        Ok(false)
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool> {
        self.peek();
        for (word, value) in [(b"true".as_slice(), true), (b"false", false)] {
            if let Some(end) = skip::literal(self.bytes(), self.at, word) {
                self.at = end;
                return Ok(value);
            }
        }
        Err(self.syntax("true or false"))
    }

    /// Into a map or list.
    pub(super) fn enter(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        self.expect(byte, expected)?;
        self.depth += 1;
        if self.depth > DEEPEST { Err(self.fail(DecodeReason::TooDeep)) } else { Ok(()) }
    }

    /// Out of a map or list whose elements have all been read.
    pub(super) fn leave(&mut self, byte: u8) -> Result<()> {
        self.depth -= 1;
        if self.take(byte) {
            return Ok(());
        }
        Err(if self.peek() == Some(b',') {
            self.fail(DecodeReason::TooMany)
        } else {
            self.syntax("a closing bracket or brace")
        })
    }

    /// To the next element of a list or map that ends with `close`: whether there is one.
    pub(super) fn more(&mut self, first: bool, close: u8) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == close => Ok(false),
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.syntax("a comma, or a closing bracket or brace")),
        }
    }

    /// Skips a value by its structure.
    pub(super) fn skip(&mut self) -> Result<&'de str> {
        self.peek();
        let start = self.at;
        self.at = skip::value(self.bytes(), start).ok_or_else(|| self.syntax("a value"))?;
        Ok(self.text.get(start..self.at).expect("values stand between characters"))
    }

    /// The offset behind the type tag of the attribute value at `start`, for errors.
    #[cold]
    pub(super) fn payload_of(&self, start: usize) -> usize {
        let mut cursor = Cursor { text: self.text, at: start, depth: 0 };
        match cursor.open() {
            Ok(_) => skip_space(cursor.bytes(), cursor.at),
            Err(_) => skip_space(self.bytes(), start),
        }
    }

    #[cold]
    pub(super) fn syntax(&self, expected: &'static str) -> DecodeError {
        self.fail(DecodeReason::Syntax { expected })
    }

    #[cold]
    pub(super) fn fail(&self, reason: DecodeReason) -> DecodeError {
        DecodeError::at(reason, self.at)
    }
}
