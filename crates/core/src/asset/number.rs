//! Numbers of assets: decimals that stay what they were sent as.

use std::fmt;
use std::str::FromStr;

/// An exact decimal with at most 28 digits, before and after the point together. Two that are written
/// differently, such as 1.10 and 1.1, are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Number {
    /// The digits as a whole number, without zeros at the end of the fraction.
    digits: i128,
    /// How many of them stand after the point.
    decimals: u8,
}

/// Why a text is not such a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// It is not what JSON calls a number.
    #[error("expected a number in JSON's notation, such as -12.5 or 1e6")]
    Malformed,
    /// It is one, but has more digits than are kept.
    #[error("expected a number of at most 28 digits, before and after the point together")]
    TooLong,
}

impl Number {
    /// Digits at most.
    const MAX_DIGITS: usize = 28;

    /// The shortest decimal that this double is read back from: 0.1 is one tenth. None if it has more digits
    /// than are kept, or is not finite.
    #[must_use]
    pub fn from_double(double: f64) -> Option<Self> {
        format!("{double:e}").parse().ok()
    }

    /// The double that stands for exactly this number, if there is one: from which
    /// [`from_double`](Self::from_double) makes it again.
    #[must_use]
    pub fn to_double(self) -> Option<f64> {
        let double = self.to_string().parse().ok()?;
        (Self::from_double(double) == Some(self)).then_some(double)
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    /// Reads a number in JSON's notation: no sign but a minus, no zeros before the first digit, and digits on
    /// both sides of a point.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let Parts { negative, whole, fraction, exponent } = Parts::read(text).ok_or(NotANumber::Malformed)?;
        let digits = || whole.bytes().chain(fraction.bytes());
        // From the first digit that counts to the last one.
        let Some(first) = digits().position(|digit| digit != b'0') else { return Ok(Self::default()) };
        let zeros_after = digits().rev().take_while(|digit| *digit == b'0').count();
        let last = whole.len() + fraction.len() - zeros_after - 1;
        if last - first >= Self::MAX_DIGITS {
            return Err(NotANumber::TooLong);
        }
        // The power of ten of the last one.
        let place = |at: usize| i64::try_from(at).map_err(|_| NotANumber::TooLong);
        let power =
            exponent.checked_add(place(whole.len())? - place(last)? - 1).ok_or(NotANumber::TooLong)?;
        let kept = digits().take(last + 1).skip(first);
        let value = kept.fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        let signed = if negative { -value } else { value };
        let zeros = u32::try_from(power.unsigned_abs()).map_err(|_| NotANumber::TooLong)?;
        let limit = Self::MAX_DIGITS as u64;
        let significant = (last - first + 1) as u64;
        if power >= 0 {
            if significant + u64::from(zeros) > limit {
                return Err(NotANumber::TooLong);
            }
            return Ok(Self { digits: signed * 10_i128.pow(zeros), decimals: 0 });
        }
        let decimals = u8::try_from(zeros).map_err(|_| NotANumber::TooLong)?;
        if u64::from(decimals) > limit {
            return Err(NotANumber::TooLong);
        }
        Ok(Self { digits: signed, decimals })
    }
}

impl fmt::Display for Number {
    /// Plain digits, without an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.digits < 0 { "-" } else { "" };
        let magnitude = self.digits.unsigned_abs();
        let decimals = usize::from(self.decimals);
        if decimals == 0 {
            return write!(f, "{sign}{magnitude}");
        }
        let one = 10_u128.pow(u32::from(self.decimals));
        write!(f, "{sign}{}.{:0decimals$}", magnitude / one, magnitude % one)
    }
}

/// A number in JSON's notation, taken apart.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i64,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
            None => (rest, 0),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) => (whole, digits(fraction)?),
            None => (mantissa, ""),
        };
        let whole = digits(whole).filter(|whole| *whole == "0" || !whole.starts_with('0'))?;
        Some(Self { negative, whole, fraction, exponent })
    }
}

/// A text of one digit at least and nothing else.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

fn read_exponent(text: &str) -> Option<i64> {
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // One with more digits than this only differs from others in how far it is out of reach.
    let magnitude = digits(text)?.parse().unwrap_or(i64::from(i32::MAX));
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_kept_exactly() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("0.000", "0"),
            ("0e99999999999999999999", "0"),
            ("1.10", "1.1"),
            ("-12.50", "-12.5"),
            ("100", "100"),
            ("1e2", "100"),
            ("1.5E+3", "1500"),
            ("15e-4", "0.0015"),
            ("120e-1", "12"),
            ("0.1", "0.1"),
            ("12345678901234567.89", "12345678901234567.89"),
            ("9999999999999999999999999999", "9999999999999999999999999999"),
            ("0.0000000000000000000000000001", "0.0000000000000000000000000001"),
            ("1e27", "1000000000000000000000000000"),
            ("10000000000000000000000000000.0e-1", "1000000000000000000000000000"),
        ] {
            assert_eq!(
                text.parse::<Number>().map(|number| number.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "", "-", "+1", "01", "00", ".5", "5.", "1e", "1e+", "0x1", "NaN", "Infinity", " 1", "1 ", "1,0",
            "--1", "1e1.0", "٣",
        ] {
            assert_eq!(text.parse::<Number>(), Err(NotANumber::Malformed), "{text:?}");
        }
        for text in [
            "10000000000000000000000000000",
            "1e28",
            "1e-29",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "12345678901234567890123456789",
            "1234567890123456789.0123456789",
        ] {
            assert_eq!(text.parse::<Number>(), Err(NotANumber::TooLong), "{text}");
        }
    }

    #[test]
    fn a_double_stands_for_its_shortest_decimal() {
        for (double, expected) in [
            (1.1, "1.1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (100.0, "100"),
            (-0.0, "0"),
            (1e21, "1000000000000000000000"),
        ] {
            assert_eq!(
                Number::from_double(double).map(|number| number.to_string()),
                Some(expected.to_owned())
            );
        }
        for double in [f64::NAN, f64::INFINITY, 1e300, 1e-300] {
            assert_eq!(Number::from_double(double), None);
        }
        assert_eq!("12345678901234567.89".parse::<Number>().unwrap().to_double(), None);
        assert_eq!("1.1".parse::<Number>().unwrap().to_double(), Some(1.1));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(digits in 0_u128..10_u128.pow(28), decimals in 0_usize..=28, negative: bool) {
            let text = format!("{digits:029}");
            let (whole, fraction) = text.split_at(29 - decimals);
            let whole = whole.trim_start_matches('0');
            let whole = if whole.is_empty() { "0" } else { whole };
            let sign = if negative { "-" } else { "" };
            let text = if decimals == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
            let number: Number = text.parse().unwrap();
            prop_assert_eq!(number.to_string().parse(), Ok(number));
            let shifted = format!("{sign}{digits}e-{decimals}").parse();
            prop_assert_eq!(shifted, Ok(number));
        }

        #[test]
        fn any_double_comes_back(double: f64) {
            if let Some(number) = Number::from_double(double) {
                prop_assert_eq!(number.to_double(), Some(double));
            }
        }

        #[test]
        fn any_text_is_a_number_or_none(text in "[-+.eE0-9]{0,40}|\\PC{0,9}") {
            let _ = text.parse::<Number>();
        }
    }
}
