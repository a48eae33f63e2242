//! The text of DynamoDB numbers: up to 38 digits, never through a float unless a float is what is asked for.

use super::error::{DecodeError, DecodeReason};

/// A decimal number, exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) negative: bool,
    pub(super) digits: u128,
    /// The power of ten that `digits` are multiplied by.
    pub(super) exponent: i32,
}

impl Decimal {
    /// Reads digits with an optional sign, fraction and exponent; nothing if there is anything else, or more significant
    /// digits than a `u128` holds.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            all => (false, all),
        };
        let mut number = Self { negative, digits: 0, exponent: 0 };
        let rest = number.mantissa(unsigned)?;
        match rest {
            [] => {}
            [b'e' | b'E', exponent @ ..] => number.exponent = number.exponent.checked_add(parse_exponent(exponent)?)?,
            _ => return None,
        }
        Some(number)
    }

    /// Reads digits around at most one point; what follows is handed back.
    fn mantissa<'a>(&mut self, mut text: &'a [u8]) -> Option<&'a [u8]> {
        let (mut any, mut point) = (false, false);
        while let [byte, rest @ ..] = text {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    self.push(byte - b'0', point)?;
                }
                b'.' if !point => point = true,
                _ => break,
            }
            text = rest;
        }
        any.then_some(text)
    }

    /// Appends a digit. Zeros that a `u128` has no room for are kept in the exponent.
    fn push(&mut self, digit: u8, fraction: bool) -> Option<()> {
        match self.digits.checked_mul(10).and_then(|digits| digits.checked_add(u128::from(digit))) {
            Some(digits) => {
                self.digits = digits;
                self.exponent = self.exponent.checked_sub(i32::from(fraction))?;
            }
            None if digit == 0 => self.exponent = self.exponent.checked_add(i32::from(!fraction))?,
            None => return None,
        }
        Some(())
    }

    /// The value if it is an integer of at most 128 bits without its sign.
    pub(super) fn integer(&self) -> Result<u128, NotInteger> {
        if self.digits == 0 {
            return Ok(0);
        }
        let Ok(scale) = u32::try_from(self.exponent) else {
            return self.divided();
        };
        let power = 10u128.checked_pow(scale).ok_or(NotInteger::TooLarge)?;
        self.digits.checked_mul(power).ok_or(NotInteger::TooLarge)
    }

    fn divided(&self) -> Result<u128, NotInteger> {
        let power = 10u128.checked_pow(self.exponent.unsigned_abs()).ok_or(NotInteger::Fraction)?;
        if self.digits.is_multiple_of(power) { Ok(self.digits / power) } else { Err(NotInteger::Fraction) }
    }

    /// The value without its fraction.
    pub(super) fn truncated(&self) -> Option<i128> {
        let magnitude = match self.integer() {
            Ok(integer) => integer,
            Err(NotInteger::Fraction) => {
                10u128.checked_pow(self.exponent.unsigned_abs()).map_or(0, |power| self.digits / power)
            }
            Err(NotInteger::TooLarge) => return None,
        };
        signed(self.negative, magnitude)
    }
}

/// Why a number is no 128-bit integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotInteger {
    Fraction,
    TooLarge,
}

fn parse_exponent(text: &[u8]) -> Option<i32> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    if digits.is_empty() || digits.len() > 6 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| value * 10 + i32::from(digit - b'0'));
    Some(if negative { -value } else { value })
}

/// A magnitude with a sign, if an `i128` holds it.
pub(super) fn signed(negative: bool, magnitude: u128) -> Option<i128> {
    if negative { 0i128.checked_sub_unsigned(magnitude) } else { i128::try_from(magnitude).ok() }
}

/// Whether `text` is a decimal number at all, of whatever length.
pub(super) fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0 && digits(exponent) && !exponent.is_empty()
}

/// The integer types, from a magnitude and a sign.
pub(super) trait Integer: Sized {
    /// The name of the type, for messages.
    const NAME: &'static str;

    fn from_u64(value: u64) -> Option<Self>;
    fn from_parts(negative: bool, magnitude: u128) -> Option<Self>;
}

macro_rules! integers {
    ($($integer:ident)*) => {$(
        impl Integer for $integer {
            const NAME: &'static str = stringify!($integer);

            #[inline]
            fn from_u64(value: u64) -> Option<Self> {
                Self::try_from(value).ok()
            }

            fn from_parts(negative: bool, magnitude: u128) -> Option<Self> {
                if negative { Self::try_from(signed(true, magnitude)?).ok() } else { Self::try_from(magnitude).ok() }
            }
        }
    )*};
}

integers! { i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 }

/// Reads an integer, in whatever notation: `100`, `1E2` and `100.00` are one. Digits are never lost.
#[inline]
pub(super) fn integer<T: Integer>(text: &str) -> Result<T, DecodeError> {
    match short_integer(text.as_bytes()).and_then(T::from_u64) {
        Some(value) => Ok(value),
        None => any_integer(text),
    }
}

/// Up to 19 plain digits.
#[inline]
fn short_integer(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    let mut value = 0;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

#[cold]
fn any_integer<T: Integer>(text: &str) -> Result<T, DecodeError> {
    let out_of_range = || DecodeError::new(DecodeReason::OutOfRange { target: T::NAME });
    let Some(number) = Decimal::parse(text) else {
        return Err(if is_number(text) { out_of_range() } else { DecodeError::new(DecodeReason::NotANumber) });
    };
    match number.integer() {
        Ok(magnitude) => T::from_parts(number.negative, magnitude).ok_or_else(out_of_range),
        Err(NotInteger::TooLarge) => Err(out_of_range()),
        Err(NotInteger::Fraction) => Err(DecodeError::new(DecodeReason::NotAnInteger)),
    }
}

/// The nearest float; numbers of DynamoDB are all in its range.
#[inline]
pub(super) fn float(text: &str) -> Result<f64, DecodeError> {
    match short_float(text.as_bytes()) {
        Some(value) => Ok(value),
        None => any_float(text),
    }
}

/// A number of at most fifteen digits, and perhaps a sign and a point. Both the digits and the power of ten are exact
/// floats then, so that one division rounds correctly.
#[inline]
fn short_float(text: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, unsigned) = text.strip_prefix(b"-").map_or((false, text), |rest| (true, rest));
    if unsigned.len() > 16 {
        return None;
    }
    let (mut value, mut point) = (0u64, None);
    for (index, byte) in unsigned.iter().enumerate() {
        match byte.wrapping_sub(b'0') {
            digit @ 0..=9 => value = value * 10 + u64::from(digit),
            _ if *byte == b'.' && point.is_none() => point = Some(index),
            _ => return None,
        }
    }
    let digits = unsigned.len() - usize::from(point.is_some());
    if digits == 0 || digits > 15 {
        return None;
    }
    let fraction = point.map_or(0, |point| unsigned.len() - point - 1);
    let value = value as f64 / POWERS[fraction];
    Some(if negative { -value } else { value })
}

#[inline(never)]
fn any_float(text: &str) -> Result<f64, DecodeError> {
    let value = checked(text)?.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| DecodeError::new(DecodeReason::OutOfRange { target: "f64" }))
}

/// The nearest single float, if there is a finite one.
pub(super) fn float32(text: &str) -> Result<f32, DecodeError> {
    let value = checked(text)?.parse::<f32>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| DecodeError::new(DecodeReason::OutOfRange { target: "f32" }))
}

/// The same text, if it is a number.
pub(super) fn checked<T: AsRef<str>>(text: T) -> Result<T, DecodeError> {
    if is_number(text.as_ref()) { Ok(text) } else { Err(DecodeError::new(DecodeReason::NotANumber)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_recognized_in_every_notation() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("7", 7),
            ("1E2", 100),
            ("1.50E1", 15),
            ("1.00", 1),
            ("120E-1", 12),
            ("0E126", 0),
            ("000012", 12),
            ("340282366920938463463374607431768211455", u128::MAX),
        ] {
            assert_eq!(Decimal::parse(text).unwrap().integer(), Ok(value), "{text}");
        }
        assert_eq!(Decimal::parse("1.5").unwrap().integer(), Err(NotInteger::Fraction));
        assert_eq!(Decimal::parse("1E-130").unwrap().integer(), Err(NotInteger::Fraction));
        assert_eq!(Decimal::parse("1E125").unwrap().integer(), Err(NotInteger::TooLarge));
    }

    #[test]
    fn signs_reach_the_ends_of_i128() {
        assert_eq!(signed(true, 1 << 127), Some(i128::MIN));
        assert_eq!(signed(false, 1 << 127), None);
        assert_eq!(signed(true, (1 << 127) + 1), None);
    }

    #[test]
    fn texts_that_are_no_numbers_are_refused() {
        for text in ["", "-", "+", ".", "e5", "1e", "1e+", "1.2.3", "NaN", "inf", "0x10", " 1", "1 ", "1_000"] {
            assert_eq!(Decimal::parse(text), None, "{text}");
            assert!(!is_number(text), "{text}");
        }
        assert!(is_number(&format!("{}.5E-7", "9".repeat(60))));
    }

    proptest! {
        #[test]
        fn short_floats_are_the_nearest(text in "-?[0-9]{0,10}\\.?[0-9]{0,10}") {
            match short_float(text.as_bytes()) {
                Some(value) => prop_assert_eq!(value.to_bits(), text.parse::<f64>().unwrap().to_bits()),
                None => prop_assert!(text.len() > 15 || !is_number(&text), "{}", text),
            }
        }

        #[test]
        fn every_i128_comes_back(value: i128) {
            let number = Decimal::parse(&value.to_string()).unwrap();
            prop_assert_eq!(signed(number.negative, number.integer().unwrap()), Some(value));
        }

        #[test]
        fn truncation_is_toward_zero(whole in -1_000_000i64..1_000_000, fraction in 0u32..1000) {
            prop_assume!(whole != 0);
            let number = Decimal::parse(&format!("{whole}.{fraction:03}")).unwrap();
            prop_assert_eq!(number.truncated(), Some(i128::from(whole)));
        }
    }
}
