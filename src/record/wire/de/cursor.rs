//! A place in an image, and the tokens of DynamoDB JSON that are read there.
//!
//! Each token is first tried as DynamoDB and Lambda write it, without whitespace and escapes; the general form is the
//! slower way behind it.

use std::borrow::Cow;

use super::{Result, tag::Tag};
use crate::record::wire::{
    error::{DecodeError, DecodeReason},
    scan::{plain_string, skip_space, string_end, string_length},
    skip,
    text::unescape,
};

/// Maps and lists may be nested so deep. DynamoDB allows 32 levels.
const DEEPEST: u8 = 64;

/// A place in an image.
pub(super) struct Cursor<'de> {
    text: &'de str,
    /// What is left of the text's bytes.
    rest: &'de [u8],
    depth: u8,
}

impl<'de> Cursor<'de> {
    #[inline(always)]
    pub(super) fn new(text: &'de str) -> Self {
        Self { text, rest: text.as_bytes(), depth: 0 }
    }

    #[inline(always)]
    pub(super) fn offset(&self) -> usize {
        self.offset_of(self.rest)
    }

    #[inline(always)]
    fn offset_of(&self, rest: &[u8]) -> usize {
        self.text.len() - rest.len()
    }

    /// Whether `byte` comes next, with nothing before it.
    #[inline(always)]
    pub(super) fn is_at(&self, byte: u8) -> bool {
        self.rest.first() == Some(&byte)
    }

    /// The next byte that is no whitespace.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.rest = skip_space(self.rest);
        self.rest.first().copied()
    }

    /// Steps over exactly these bytes if they come next.
    #[inline(always)]
    pub(super) fn take_literal<const N: usize>(&mut self, literal: &[u8; N]) -> bool {
        match self.rest.strip_prefix(literal) {
            Some(after) => {
                self.rest = after;
                true
            }
            None => false,
        }
    }

    /// Steps over `byte` if it comes next.
    #[inline(always)]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        match skip_space(self.rest) {
            [first, after @ ..] if *first == byte => {
                self.rest = after;
                true
            }
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        if self.take(byte) { Ok(()) } else { Err(self.syntax(expected)) }
    }

    pub(super) fn expect_end(&mut self) -> Result<()> {
        if self.peek().is_none() { Ok(()) } else { Err(self.syntax("the end of the item")) }
    }

    /// Reads a string token; text without escapes is borrowed.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Cow<'de, str>> {
        if let Some(text) = self.plain_text() {
            return Ok(Cow::Borrowed(text));
        }
        self.expect(b'"', "a string")?;
        self.any_string()
    }

    /// Reads a string token and leaves its escapes as they are; it begins at the offset.
    pub(super) fn raw_string(&mut self) -> Result<(usize, &'de str)> {
        self.rest = skip_space(self.rest);
        let at = self.offset();
        self.expect(b'"', "a string")?;
        let length = string_end(self.rest).ok_or_else(|| self.syntax("the end of a string"))?;
        self.rest = &self.rest[length + 1..];
        Ok((at, self.slice(at + 1, at + 1 + length)?))
    }

    /// A string token without escapes, with nothing before it.
    #[inline(always)]
    pub(super) fn plain_text(&mut self) -> Option<&'de str> {
        self.plain_text_between(b"\"", b"\"")
    }

    /// The same as an attribute value with this type tag.
    #[inline(always)]
    pub(super) fn plain_attribute(&mut self, tag: u8) -> Option<&'de str> {
        self.plain_text_between(&[b'{', b'"', tag, b'"', b':', b'"'], b"\"}")
    }

    /// The same as the key of a map's next entry, with its colon.
    #[inline(always)]
    pub(super) fn plain_key(&mut self, first: bool) -> Option<&'de str> {
        if first { self.plain_text_between(b"\"", b"\":") } else { self.plain_text_between(b",\"", b"\":") }
    }

    #[inline(always)]
    fn plain_text_between<const B: usize, const A: usize>(
        &mut self,
        before: &[u8; B],
        after: &[u8; A],
    ) -> Option<&'de str> {
        let (content, rest) = plain_string(self.rest.strip_prefix(before)?)?;
        let rest = rest.strip_prefix(after)?;
        let end = self.offset_of(rest) - A;
        let text = self.text.get(end - content.len()..end)?;
        self.rest = rest;
        Some(text)
    }

    #[inline(never)]
    fn any_string(&mut self) -> Result<Cow<'de, str>> {
        let start = self.offset();
        let length = string_length(self.rest).ok_or_else(|| self.syntax("the end of a string"))?;
        self.rest = &self.rest[length.bytes + 1..];
        let raw = self.slice(start, start + length.bytes)?;
        if length.escaped {
            return unescape(raw).ok_or_else(|| DecodeError::at(DecodeReason::BadEscape, start));
        }
        Ok(Cow::Borrowed(raw))
    }

    /// Quotes and braces stand between characters, so this is always a text.
    #[inline(always)]
    fn slice(&self, start: usize, end: usize) -> Result<&'de str> {
        self.text.get(start..end).ok_or_else(|| self.syntax("a text"))
    }

    /// From the brace of an attribute value to behind the colon of its type tag.
    #[inline(always)]
    pub(super) fn open(&mut self) -> Result<Tag> {
        if let [b'{', b'"', letter, b'"', b':', after @ ..] = self.rest
            && let Some(tag) = Tag::of_letter(*letter)
        {
            self.rest = after;
            return Ok(tag);
        }
        self.open_any()
    }

    #[inline(never)]
    fn open_any(&mut self) -> Result<Tag> {
        for (literal, tag) in [(b"{\"SS\":", Tag::Ss), (b"{\"NS\":", Tag::Ns), (b"{\"BS\":", Tag::Bs)] {
            if self.take_literal(literal) {
                return Ok(tag);
            }
        }
        self.expect(b'{', "an attribute value")?;
        if self.peek() != Some(b'"') {
            return Err(self.fail(DecodeReason::UnknownTag));
        }
        let at = self.offset();
        let tag = self.string()?;
        self.expect(b':', "a colon")?;
        Tag::parse(&tag).ok_or_else(|| DecodeError::at(DecodeReason::UnknownTag, at))
    }

    /// Over the closing brace of an attribute value.
    #[inline(always)]
    pub(super) fn close(&mut self) -> Result<()> {
        if self.take(b'}') { Ok(()) } else { Err(self.not_closed()) }
    }

    #[cold]
    fn not_closed(&mut self) -> DecodeError {
        if self.peek() == Some(b',') { self.fail(DecodeReason::ExtraTag) } else { self.syntax("a closing brace") }
    }

    /// Over an attribute value if it is `{"NULL":true}`; else nowhere.
    #[inline(always)]
    pub(super) fn take_null(&mut self) -> Result<bool> {
        match self.rest {
            // Another tag: one of a letter, of a set, or a boolean's.
            [b'{', b'"', _, b'"' | b'S' | b'O', ..] => Ok(false),
            _ => self.take_any_null(),
        }
    }

    #[inline(never)]
    fn take_any_null(&mut self) -> Result<bool> {
        if self.take_literal(b"{\"NULL\":true}") {
            return Ok(true);
        }
        let start = self.rest;
        if self.open()? == Tag::Null && self.boolean()? {
            return self.close().map(|()| true);
        }
        self.rest = start;
        Ok(false)
    }

    /// Over an attribute value of type `BOOL`, if it is written compactly.
    #[inline(always)]
    pub(super) fn plain_boolean(&mut self) -> Option<bool> {
        if self.take_literal(b"{\"BOOL\":true}") {
            return Some(true);
        }
        self.take_literal(b"{\"BOOL\":false}").then_some(false)
    }

    /// Reads `true` or `false`.
    pub(super) fn boolean(&mut self) -> Result<bool> {
        self.rest = skip_space(self.rest);
        if self.take_literal(b"true") {
            Ok(true)
        } else if self.take_literal(b"false") {
            Ok(false)
        } else {
            Err(self.syntax("true or false"))
        }
    }

    /// Into a map or list.
    #[inline(always)]
    pub(super) fn enter(&mut self, byte: u8, expected: &'static str) -> Result<()> {
        self.expect(byte, expected)?;
        self.depth += 1;
        if self.depth > DEEPEST { Err(self.fail(DecodeReason::TooDeep)) } else { Ok(()) }
    }

    /// Out of a map or list whose elements have all been read.
    #[inline(always)]
    pub(super) fn leave(&mut self, byte: u8) -> Result<()> {
        self.depth -= 1;
        if self.take(byte) { Ok(()) } else { Err(self.not_left()) }
    }

    #[cold]
    fn not_left(&mut self) -> DecodeError {
        if self.peek() == Some(b',') {
            self.fail(DecodeReason::TooMany)
        } else {
            self.syntax("a closing bracket or brace")
        }
    }

    /// To the next element of a list or map that ends with `close`: whether there is one.
    #[inline(always)]
    pub(super) fn more(&mut self, first: bool, close: u8) -> Result<bool> {
        match self.peek() {
            Some(byte) if byte == close => Ok(false),
            Some(b',') if !first => {
                self.rest = &self.rest[1..];
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => Err(self.syntax("a comma, or a closing bracket or brace")),
        }
    }

    /// Reads the key of a map's next entry and steps over its colon; nothing at the end of the map.
    #[inline(never)]
    pub(super) fn next_key(&mut self, first: bool) -> Result<Option<Cow<'de, str>>> {
        if !self.more(first, b'}')? {
            return Ok(None);
        }
        let key = self.string()?;
        self.expect(b':', "a colon")?;
        Ok(Some(key))
    }

    /// Skips a value by its structure.
    pub(super) fn skip(&mut self) -> Result<&'de str> {
        self.rest = skip_space(self.rest);
        let start = self.offset();
        self.rest = skip::value(self.rest).ok_or_else(|| self.syntax("a value"))?;
        self.slice(start, self.offset())
    }

    /// The offset behind the type tag of the attribute value at `start`, for errors.
    #[cold]
    pub(super) fn payload_of(&self, start: usize) -> usize {
        let mut cursor = Cursor { text: self.text, rest: &self.text.as_bytes()[start..], depth: 0 };
        match cursor.open() {
            Ok(_) => cursor.offset_of(skip_space(cursor.rest)),
            Err(_) => self.offset_of(skip_space(&self.text.as_bytes()[start..])),
        }
    }

    #[cold]
    pub(super) fn syntax(&self, expected: &'static str) -> DecodeError {
        self.fail(DecodeReason::Syntax { expected })
    }

    #[cold]
    pub(super) fn fail(&self, reason: DecodeReason) -> DecodeError {
        DecodeError::at(reason, self.offset())
    }
}
