//! The members of a JSON object, one by one: for the parts of a payload where speed does not matter.

use std::{borrow::Cow, ops::Range, str};

use super::{
    scan::{skip_space, string_length},
    skip,
    text::unescape,
};

/// One member of an object.
pub(super) struct Member<'a> {
    /// The key; one that is not valid text reads as empty.
    pub(super) name: Cow<'a, str>,
    /// Where the value begins and ends.
    pub(super) value: Range<usize>,
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
        Self { bytes, at: (at + 1).min(bytes.len()), first: true }
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
        let rest = skip_space(&self.bytes[self.at..]);
        self.stand_at(rest);
        let rest = match rest {
            [b'}', after @ ..] => {
                self.stand_at(after);
                return Ok(None);
            }
            [b',', after @ ..] if !self.first => skip_space(after),
            [_, ..] if self.first => rest,
            _ => return Err(self.at),
        };
        self.first = false;
        self.stand_at(rest);
        self.key(rest).ok_or(self.at).map(Some)
    }

    fn key(&mut self, rest: &'a [u8]) -> Option<(Cow<'a, str>, usize)> {
        let content = rest.strip_prefix(b"\"")?;
        let (raw, after) = content.split_at(string_length(content)?.bytes);
        let name = str::from_utf8(raw).ok().and_then(unescape).unwrap_or_default();
        self.stand_at(skip_space(skip_space(&after[1..]).strip_prefix(b":")?));
        Some((name, self.at))
    }

    /// Skips the value of the key just read.
    pub(super) fn skip_value(&mut self) -> Result<Range<usize>, usize> {
        let start = self.at;
        self.stand_at(skip::value(&self.bytes[start..]).ok_or(start)?);
        Ok(start..self.at)
    }

    /// The next member, nothing at the closing brace, or the offset where the object is broken.
    pub(super) fn next(&mut self) -> Result<Option<Member<'a>>, usize> {
        let Some((name, _)) = self.next_key()? else {
            return Ok(None);
        };
        Ok(Some(Member { name, value: self.skip_value()? }))
    }

    fn stand_at(&mut self, rest: &[u8]) {
        self.at = self.bytes.len() - rest.len();
    }
}
