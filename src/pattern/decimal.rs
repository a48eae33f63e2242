//! Numbers as JSON writes them, compared digit by digit and never by way of a float.

use std::cmp::Ordering;

/// Exponents are cut off here: beyond it are numbers of which nobody has more than one.
const FARTHEST: i64 = 1 << 40;

/// A decimal number of any length, borrowed from its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal<'a> {
    negative: bool,
    /// From the first digit that is not zero to the last, perhaps with the point between them; empty for zero.
    significant: &'a [u8],
    /// The power of ten above the first significant digit.
    magnitude: i64,
}

impl<'a> Decimal<'a> {
    /// Reads a number in JSON's grammar.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, unsigned) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
        let mantissa = unsigned.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(unsigned.len());
        let (mantissa, exponent) = unsigned.split_at(mantissa);
        let exponent = if exponent.is_empty() { 0 } else { parse_exponent(&exponent[1..])? };
        let whole = whole_digits(mantissa)? as i64;
        let significant = |byte: &u8| matches!(byte, b'1'..=b'9');
        let Some((first, last)) = mantissa.iter().position(significant).zip(mantissa.iter().rposition(significant))
        else {
            return Some(Self { negative: false, significant: b"", magnitude: 0 });
        };
        let place = whole - first as i64;
        // The point takes a place as well.
        let above = if place > 0 { place } else { place + 1 };
        Some(Self { negative, significant: &mantissa[first..=last], magnitude: above + exponent })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.significant.iter().copied().filter(|byte| *byte != b'.')
    }

    fn sign(&self) -> i8 {
        match (self.significant, self.negative) {
            ([], _) => 0,
            (_, true) => -1,
            (_, false) => 1,
        }
    }

    fn compare_magnitudes(&self, other: &Self) -> Ordering {
        self.magnitude.cmp(&other.magnitude).then_with(|| self.digits().cmp(other.digits()))
    }

    /// Whether it is farther from zero than the limit, which is a number itself.
    pub(super) fn is_beyond(&self, limit: &[u8]) -> bool {
        Decimal::parse(limit).is_some_and(|limit| self.compare_magnitudes(&limit).is_gt())
    }

    /// How many digits behind the point it takes to write the number without an exponent.
    pub(super) fn places(&self) -> i64 {
        (self.digits().count() as i64 - self.magnitude).max(0)
    }
}

impl Ord for Decimal<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_sign = self.sign().cmp(&other.sign());
        by_sign.then_with(|| match self.sign() {
            -1 => other.compare_magnitudes(self),
            0 => Ordering::Equal,
            _ => self.compare_magnitudes(other),
        })
    }
}

impl PartialOrd for Decimal<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal<'_> {}

/// How many digits stand before the point, if this is a mantissa: no leading zeros, and digits on both sides of a point.
fn whole_digits(mantissa: &[u8]) -> Option<usize> {
    let mut parts = mantissa.splitn(2, |byte| *byte == b'.');
    let whole = parts.next()?;
    let leading = matches!(whole, [b'0', _, ..]);
    let are_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    (!leading && are_digits(whole) && parts.next().is_none_or(are_digits)).then_some(whole.len())
}

fn parse_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let append = |value: i64, digit: &u8| (value * 10 + i64::from(digit - b'0')).min(FARTHEST);
    let value = digits.iter().fold(0, append);
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal<'_> {
        Decimal::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn one_number_has_many_notations() {
        for (a, b) in [
            ("300", "300.0"),
            ("300", "3e2"),
            ("300", "0.3E+3"),
            ("-0", "0.000e7"),
            ("0.05", "5e-2"),
            ("12.340", "1234e-2"),
            ("10", "1e1"),
            ("100000000000000000000000000000000000000000001", "100000000000000000000000000000000000000000001.0"),
        ] {
            assert_eq!(number(a), number(b), "{a} {b}");
        }
    }

    #[test]
    fn numbers_are_ordered_to_their_last_digit() {
        let ascending = [
            "-1e100",
            "-2",
            "-1.5",
            "-0.001",
            "0",
            "1e-9999999999999999999",
            "0.001",
            "0.30000000000000000000000000000000000000001",
            "0.30000000000000000000000000000000000000002",
            "9007199254740992",
            "9007199254740993",
            "1e20",
            "1e9999999999999999999",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(number(a).cmp(&number(b)), i.cmp(&j), "{a} {b}");
            }
        }
    }

    #[test]
    fn what_json_does_not_call_a_number_is_none() {
        for text in ["", "-", "+1", "01", "1.", ".5", "1e", "1e+", "1.2.3", "0x1", "1/2", "--1", "1e5.0", "Infinity"] {
            assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn places_are_those_without_an_exponent() {
        for (text, places) in [("5", 0), ("5.25", 2), ("5.250", 2), ("1e-7", 7), ("1.5e3", 0), ("0", 0)] {
            assert_eq!(number(text).places(), places, "{text}");
        }
    }

    #[test]
    fn limits_hold_on_both_sides() {
        for (text, beyond) in
            [("5000000000", false), ("-5e9", false), ("5000000000.000001", true), ("-1e10", true), ("0", false)]
        {
            assert_eq!(number(text).is_beyond(b"5e9"), beyond, "{text}");
        }
    }

    proptest! {
        #[test]
        fn integers_and_fractions_are_ordered_as_they_should(a: i64, b: i64, shift in 0_u32..30) {
            let texts = [a, b].map(|value| format!("{value}e-{shift}"));
            let [x, y] = [&texts[0], &texts[1]].map(|text| number(text));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
        }

        #[test]
        fn the_point_may_stand_anywhere(digits in 1_u64..u64::MAX, shift in 0_usize..18) {
            let text = format!("{digits:0>19}");
            let (whole, fraction) = text.split_at(text.len() - shift - 1);
            let whole = whole.trim_start_matches('0');
            let written = format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole });
            let shifted = format!("{digits}e-{}", shift + 1);
            prop_assert_eq!(number(&written), number(&shifted));
        }
    }
}
