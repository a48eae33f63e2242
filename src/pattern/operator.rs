//! The operators: what one alternative of a field says about a value.

use std::{borrow::Cow, net::IpAddr, str};

use super::decimal::Decimal;

/// A value of a record that is neither an object nor an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaf<'a> {
    Null,
    Bool(bool),
    /// Its digits.
    Number(&'a [u8]),
    /// Its content, escapes resolved.
    Text(Cow<'a, [u8]>),
    /// A text with a broken escape: it is there, and no operator knows more about it.
    Unreadable,
}

/// One alternative of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Operator {
    Null,
    Bool(bool),
    Number(Number),
    Text(TextTest),
    Numeric(Range),
    /// Whether there is any value at all.
    Exists(bool),
    AnythingBut(Others),
}

/// A number of a pattern, kept as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number(Box<str>);

/// What can be asked of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TextTest {
    Equals(Box<str>),
    Prefix(Box<str>),
    Suffix(Box<str>),
    EqualsIgnoreCase(Box<str>),
    PrefixIgnoreCase(Box<str>),
    SuffixIgnoreCase(Box<str>),
    Wildcard(Wildcard),
    Cidr(Cidr),
}

/// What is excluded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Others {
    Numbers(Box<[Number]>),
    Texts(Box<[TextTest]>),
}

/// The ends of a range of numbers; an end that belongs to it is inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Range {
    pub(super) from: Option<End>,
    pub(super) to: Option<End>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) number: Number,
    pub(super) inclusive: bool,
}

impl Operator {
    /// Whether the operator says yes to a value that is there.
    #[inline]
    pub(super) fn holds(&self, leaf: &Leaf<'_>) -> bool {
        match (self, leaf) {
            (Self::Text(test), Leaf::Text(text)) => test.holds(text),
            (Self::Exists(expected), _) => *expected,
            (Self::Null, Leaf::Null) => true,
            (Self::Bool(expected), Leaf::Bool(found)) => expected == found,
            (Self::Number(expected), Leaf::Number(found)) => expected.equals(found),
            (Self::Numeric(range), Leaf::Number(found)) => range.holds(found),
            (Self::AnythingBut(_), Leaf::Unreadable) => false,
            (Self::AnythingBut(others), _) => !others.include(leaf),
            _ => false,
        }
    }
}

impl Number {
    /// A text that is known to be a number.
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(super) fn decimal(&self) -> Decimal<'_> {
        Decimal::parse(self.0.as_bytes()).expect("a number of a pattern is checked when it is parsed")
    }

    fn equals(&self, digits: &[u8]) -> bool {
        Decimal::parse(digits).is_some_and(|found| found == self.decimal())
    }
}

impl Range {
    /// The range of one number.
    pub(super) fn only(number: Number) -> Self {
        let end = |number| Some(End { number, inclusive: true });
        Self { from: end(number.clone()), to: end(number) }
    }

    /// Whether there are numbers in it.
    pub(super) fn is_empty(&self) -> bool {
        self.from.as_ref().zip(self.to.as_ref()).is_some_and(|(from, to)| {
            match from.number.decimal().cmp(&to.number.decimal()) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => !(from.inclusive && to.inclusive),
                std::cmp::Ordering::Greater => true,
            }
        })
    }

    fn holds(&self, digits: &[u8]) -> bool {
        let Some(found) = Decimal::parse(digits) else { return false };
        let above = |end: &End| found > end.number.decimal() || end.inclusive && found == end.number.decimal();
        let below = |end: &End| found < end.number.decimal() || end.inclusive && found == end.number.decimal();
        self.from.as_ref().is_none_or(above) && self.to.as_ref().is_none_or(below)
    }

    /// The numbers it names.
    pub(super) fn numbers(&self) -> impl Iterator<Item = &Number> {
        self.from.iter().chain(&self.to).map(|end| &end.number)
    }
}

impl Others {
    /// Whether a value is one of those. A value of another type never is.
    fn include(&self, leaf: &Leaf<'_>) -> bool {
        match (self, leaf) {
            (Self::Numbers(numbers), Leaf::Number(found)) => numbers.iter().any(|number| number.equals(found)),
            (Self::Texts(texts), Leaf::Text(found)) => texts.iter().any(|test| test.holds(found)),
            _ => false,
        }
    }
}

impl TextTest {
    fn holds(&self, text: &[u8]) -> bool {
        match self {
            Self::Equals(expected) => expected.as_bytes() == text,
            Self::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_bytes()),
            Self::Wildcard(wildcard) => wildcard.holds(text),
            _ => str::from_utf8(text).is_ok_and(|text| self.holds_for_characters(text)),
        }
    }

    fn holds_for_characters(&self, text: &str) -> bool {
        match self {
            Self::EqualsIgnoreCase(expected) => {
                expected.chars().count() == text.chars().count() && begins_with(text.chars(), expected.chars())
            }
            Self::PrefixIgnoreCase(prefix) => begins_with(text.chars(), prefix.chars()),
            Self::SuffixIgnoreCase(suffix) => begins_with(text.chars().rev(), suffix.chars().rev()),
            Self::Cidr(block) => text.parse().is_ok_and(|address| block.holds(address)),
            _ => false,
        }
    }
}

/// Whether the characters begin with the expected ones, in whatever case.
fn begins_with(mut text: impl Iterator<Item = char>, mut expected: impl Iterator<Item = char>) -> bool {
    expected.all(|expected| text.next().is_some_and(|found| same_letter(found, expected)))
}

fn same_letter(a: char, b: char) -> bool {
    a == b || a.to_lowercase().eq(b.to_lowercase()) || a.to_uppercase().eq(b.to_uppercase())
}

/// A text with gaps that stand for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wildcard {
    /// What stands between the gaps; one more than there are gaps.
    pieces: Box<[Box<[u8]>]>,
}

impl Wildcard {
    /// Reads `*` as a gap, `\*` and `\\` as themselves. Nothing for other escapes, and for gaps without anything between them.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (mut pieces, mut piece, mut characters) = (Vec::new(), String::new(), text.chars());
        while let Some(character) = characters.next() {
            match character {
                '*' if piece.is_empty() && !pieces.is_empty() => return None,
                '*' => pieces.push(std::mem::take(&mut piece).into_bytes().into_boxed_slice()),
                '\\' => piece.push(characters.next().filter(|escaped| matches!(escaped, '*' | '\\'))?),
                plain => piece.push(plain),
            }
        }
        pieces.push(piece.into_bytes().into_boxed_slice());
        Some(Self { pieces: pieces.into() })
    }

    fn holds(&self, text: &[u8]) -> bool {
        let [first, between @ .., last] = &*self.pieces else {
            return *self.pieces[0] == *text;
        };
        let Some(mut rest) = text.strip_prefix(&**first).and_then(|rest| rest.strip_suffix(&**last)) else {
            return false;
        };
        // The first place of each piece is as good as any later one.
        between.iter().all(|piece| match memchr::memmem::find(rest, piece) {
            Some(at) => {
                rest = &rest[at + piece.len()..];
                true
            }
            None => false,
        })
    }
}

/// A block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cidr {
    address: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Reads `10.0.0.0/24` or `2001:db8::/32`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let plain = !bits.is_empty() && bits.bytes().all(|digit| digit.is_ascii_digit());
        let bits = bits.parse().ok().filter(|bits| plain && *bits <= most)?;
        Some(Self { address, bits })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(block), IpAddr::V4(address)) => {
                (block.to_bits() ^ address.to_bits()).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(block), IpAddr::V6(address)) => {
                (block.to_bits() ^ address.to_bits()).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
