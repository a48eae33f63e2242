//! The members of a JSON object, one by one: for the parts of a payload where speed does not matter.

use std::borrow::Cow;

use super::{
    scan::{skip_space, string_end},
    skip,
    text::unescape,
};

/// One member of an object.
pub(super) struct Member<'a> {
    /// The key; one that is not valid text reads as empty.
    pub(super) name: Cow<'a, str>,
    /// Where the value begins and ends.
    pub(super) value: std::ops::Range<usize>,
}

/// Reads an object member by member.
pub(super) struct Members<'a> {
    bytes: &'a [u8],
    /// Behind the opening brace, or behind the last value.
    at: usize,
    first: bool,
}

impl<'a> Members<'a> {
    /// The members of the object whose opening brace stands at `at`.
    pub(super) fn of(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at: at + 1, first: true }
    }

    /// The members that follow a value which ends at `at`.
    pub(super) fn after(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, first: false }
    }

    /// Where reading stands; behind the closing brace once [`next`](Self::next) said `Ok(None)`.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// The key of the next member, with the offset of its value left to be skipped; nothing at the closing brace.
    pub(super) fn next_key(&mut self) -> Result<Option<(Cow<'a, str>, usize)>, usize> {
        self.at = skip_space(self.bytes, self.at);
        match self.bytes.get(self.at) {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !self.first => self.at = skip_space(self.bytes, self.at + 1),
            Some(_) if self.first => {}
            _ => return Err(self.at),
        }
        self.first = false;
        self.key().ok_or(self.at).map(Some)
    }

    fn key(&mut self) -> Option<(Cow<'a, str>, usize)> {
        let open = self.at;
        if *self.bytes.get(open)? != b'"' {
            return None;
        }
        let end = string_end(self.bytes, open + 1)?;
        let name = std::str::from_utf8(&self.bytes[open + 1..end.quote]).ok().and_then(unescape).unwrap_or_default();
        let colon = skip_space(self.bytes, end.quote + 1);
        if *self.bytes.get(colon)? != b':' {
            return None;
        }
        self.at = skip_space(self.bytes, colon + 1);
        Some((name, self.at))
    }

    /// Skips the value of the key just read.
    pub(super) fn skip_value(&mut self) -> Result<std::ops::Range<usize>, usize> {
        let start = self.at;
        self.at = skip::value(self.bytes, start).ok_or(start)?;
        Ok(start..self.at)
    }

    /// The next member, nothing at the closing brace, or the offset where the object is broken.
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, usize> {
        let Some((name, _)) = self.next_key()? else {
            return Ok(None);
        };
        Ok(Some(Member { name, value: self.skip_value()? }))
    }
}
