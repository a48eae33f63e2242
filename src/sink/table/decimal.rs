//! Exact decimal numbers: what tables count in.

use std::{fmt, str::FromStr};

use crate::record::Number;

/// The most significant digits that a number of DynamoDB has.
const DIGITS: usize = 38;
/// One more than the largest magnitude.
const LIMIT: u128 = 10u128.pow(DIGITS as u32);

/// A number as DynamoDB has them: up to 38 significant digits, exact, never a float.
///
/// ```
/// use anabranch::sink::table::Decimal;
///
/// let tenth: Decimal = "0.1".parse()?;
/// let sum = tenth.plus("0.2".parse()?).expect("few digits");
/// assert_eq!(sum.to_string(), "0.3");
/// assert_eq!(Decimal::from(10).divided_by(3.into(), 2).map(|third| third.to_string()).as_deref(), Some("3.33"));
/// # Ok::<(), anabranch::sink::table::NotExact>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Decimal {
    /// Without zeros at its end; fewer than 39 digits.
    mantissa: i128,
    /// The power of ten that the mantissa is multiplied by; 0 for zero.
    exponent: i32,
}

/// The text is no number that a table holds exactly: no number at all, more than 38 significant digits, or a
/// magnitude beyond 1E-130 to 1E126.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a number of at most 38 significant digits between 1E-130 and 1E126")]
pub struct NotExact;

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self { mantissa: 0, exponent: 0 };
    /// One.
    pub const ONE: Self = Self { mantissa: 1, exponent: 0 };

    fn normal(mut mantissa: i128, mut exponent: i32) -> Option<Self> {
        if mantissa == 0 {
            return Some(Self::ZERO);
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent += 1;
        }
        let number = Self { mantissa, exponent };
        (mantissa.unsigned_abs() < LIMIT && (-129..=126).contains(&number.magnitude())).then_some(number)
    }

    /// The power of ten above the first digit.
    fn magnitude(&self) -> i32 {
        let digits = self.mantissa.unsigned_abs().checked_ilog10().map_or(0, |log| log + 1);
        self.exponent + i32::try_from(digits).expect("at most 39 digits")
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.mantissa == 0
    }

    /// The sum, or none if 38 digits cannot hold it exactly.
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.is_zero() {
            return Some(other);
        }
        if other.is_zero() {
            return Some(self);
        }
        let exponent = self.exponent.min(other.exponent);
        let sum = self.scaled(exponent)?.checked_add(other.scaled(exponent)?)?;
        Self::normal(sum, exponent)
    }

    /// The difference, or none if 38 digits cannot hold it exactly.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.plus(Self { mantissa: -other.mantissa, ..other })
    }

    /// The quotient, rounded half away from zero to `places` digits behind the point; none by zero, or if it takes
    /// more digits than there are.
    pub fn divided_by(self, other: Self, places: u32) -> Option<Self> {
        let places = i32::try_from(places).ok()?;
        let shift = self.exponent.checked_sub(other.exponent)?.checked_add(places)?;
        let power = 10i128.checked_pow(shift.unsigned_abs())?;
        let (above, below) = match shift {
            0.. => (self.mantissa.checked_mul(power)?, other.mantissa),
            _ => (self.mantissa, other.mantissa.checked_mul(power)?),
        };
        let (whole, rest) = (above.checked_div(below)?, above.checked_rem(below)?);
        let up = rest.unsigned_abs() >= below.unsigned_abs() - rest.unsigned_abs();
        let away = if (above < 0) == (below < 0) { 1 } else { -1 };
        Self::normal(if up && rest != 0 { whole + away } else { whole }, -places)
    }

    fn scaled(&self, exponent: i32) -> Option<i128> {
        let power = 10i128.checked_pow(self.exponent.checked_sub(exponent)?.try_into().ok()?)?;
        self.mantissa.checked_mul(power)
    }

    /// A text that sorts as the number does.
    ///
    /// ```
    /// # use anabranch::sink::table::Decimal;
    /// let mut numbers = ["10", "-2", "9.5", "0", "-30", "0.001"].map(|text| text.parse::<Decimal>().unwrap());
    /// numbers.sort_by_key(Decimal::sortable);
    /// assert_eq!(numbers.map(|number| number.to_string()), ["-30", "-2", "0", "0.001", "9.5", "10"]);
    /// ```
    pub fn sortable(&self) -> String {
        const BIAS: i32 = 500;
        let digits = self.mantissa.unsigned_abs();
        let magnitude = self.magnitude() + BIAS;
        match self.mantissa {
            0 => "1".to_owned(),
            1.. => format!("2{magnitude:03}{digits}"),
            // The digits of what is below zero sort the other way round, and the shorter number is the greater.
            _ => {
                let complement = |digit: u8| char::from(b'0' + b'9' - digit);
                let digits: String = digits.to_string().bytes().map(complement).collect();
                format!("0{:03}{digits}~", 2 * BIAS - 1 - magnitude)
            }
        }
    }
}

impl FromStr for Decimal {
    type Err = NotExact;

    fn from_str(text: &str) -> Result<Self, NotExact> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(NotExact);
        }
        let significant = digits.trim_end_matches('0');
        let exponent: i32 = exponent.parse().map_err(|_| NotExact)?;
        let dropped = digits.len() - significant.len();
        let shift = i32::try_from(dropped).ok().zip(i32::try_from(fraction.len()).ok()).map(|(up, down)| up - down);
        let exponent = shift.and_then(|shift| exponent.checked_add(shift)).ok_or(NotExact)?;
        match significant.trim_start_matches('0') {
            "" => Ok(Self::ZERO),
            significant if significant.len() > DIGITS => Err(NotExact),
            significant => {
                let magnitude: i128 = significant.parse().map_err(|_| NotExact)?;
                Self::normal(if text.starts_with('-') { -magnitude } else { magnitude }, exponent).ok_or(NotExact)
            }
        }
    }
}

impl TryFrom<&Number> for Decimal {
    type Error = NotExact;

    fn try_from(number: &Number) -> Result<Self, NotExact> {
        number.as_str().parse()
    }
}

impl fmt::Display for Decimal {
    /// As tables take it: plain where 38 digits are enough for that, otherwise with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.mantissa < 0 { "-" } else { "" };
        let digits = self.mantissa.unsigned_abs().to_string();
        let fraction = usize::try_from(self.exponent.unsigned_abs()).expect("an exponent is short");
        if self.exponent >= 0 && digits.len() + fraction <= DIGITS {
            write!(f, "{sign}{digits}{:0<fraction$}", "")
        } else if self.exponent < 0 && fraction < DIGITS {
            let padded = format!("{digits:0>width$}", width = fraction + 1);
            let (whole, fraction) = padded.split_at(padded.len() - fraction);
            write!(f, "{sign}{whole}.{fraction}")
        } else {
            write!(f, "{sign}{digits}E{}", self.exponent)
        }
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl From<$integer> for Decimal {
            fn from(integer: $integer) -> Self {
                Self::normal(integer.into(), 0).expect("20 digits fit into 38")
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i8 i16 i32 i64 }

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn every_notation_is_read_and_written_plainly() {
        let cases = [
            ("0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("1E2", "100"),
            ("1.50e+1", "15"),
            ("-.5", "-0.5"),
            ("120E-1", "12"),
            ("99999999999999999999999999999999999999", "99999999999999999999999999999999999999"),
            ("1E-130", "1E-130"),
            ("9.9999999999999999999999999999999999999E125", "99999999999999999999999999999999999999E88"),
        ];
        for (text, plain) in cases {
            assert_eq!(number(text).to_string(), plain, "{text}");
            assert_eq!(number(plain), number(text));
        }
        for text in ["", "-", ".", "1e", "1.2.3", "x", "1E126", "1E-131", "1e99999999999", &"1".repeat(39)] {
            assert_eq!(text.parse::<Decimal>(), Err(NotExact), "{text}");
        }
    }

    #[test]
    fn sums_are_exact_or_none() {
        assert_eq!(number("0.1").plus(number("0.2")), Some(number("0.3")));
        assert_eq!(number("1E20").plus(number("1E-17")), Some(number("100000000000000000000.00000000000000001")));
        assert_eq!(number("1E20").plus(number("1E-18")), None);
        assert_eq!(number(&"9".repeat(38)).plus(Decimal::ONE), Some(number("1E38")));
        assert_eq!(number("1E125").plus(number("9E125")), None);
        assert_eq!(number("5").minus(number("5")), Some(Decimal::ZERO));
    }

    #[test]
    fn quotients_are_rounded_half_away_from_zero() {
        let cases = [
            ("1", "8", 2, "0.13"),
            ("-1", "8", 2, "-0.13"),
            ("2", "3", 0, "1"),
            ("1", "3", 4, "0.3333"),
            ("9", "3", 2, "3"),
        ];
        for (above, below, places, quotient) in cases {
            assert_eq!(number(above).divided_by(number(below), places), Some(number(quotient)), "{above} / {below}");
        }
        assert_eq!(Decimal::ONE.divided_by(Decimal::ZERO, 2), None);
    }

    proptest! {
        #[test]
        fn sortable_texts_sort_as_numbers(a: i64, b: i64, shift in 0..6_u32) {
            let [x, y] = [a, b].map(|value| number(&format!("{value}E-{shift}")));
            prop_assert_eq!(x.sortable().cmp(&y.sortable()), a.cmp(&b));
        }

        #[test]
        fn magnitudes_sort_as_well(a in 1_i32..1000, b in 1_i32..1000, x in -100_i32..100, y in -100_i32..100) {
            let [p, q] = [(a, x), (b, y)].map(|(value, shift)| number(&format!("{value}E{shift}")));
            let [f, g] = [(a, x), (b, y)].map(|(value, shift)| f64::from(value).log10() + f64::from(shift));
            if (f - g).abs() > 1e-9 {
                prop_assert_eq!(p.sortable() < q.sortable(), f < g);
            }
        }

        #[test]
        fn sums_are_those_of_integers(a in -(1_i128 << 120)..1 << 120, b in -(1_i128 << 120)..1 << 120) {
            let sum = number(&a.to_string()).plus(number(&b.to_string()));
            prop_assert_eq!(sum.map(|sum| sum.to_string()), Some((a + b).to_string()));
        }
    }
}
