//! Numbers of assets: exact decimals, stored as they were sent.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// An exact decimal with at most 28 significant digits and the range of a double. Different notations of the same
/// number, such as 1.10 and 1.1, are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Number {
    /// The significant digits as a whole number without trailing zeros.
    digits: i128,
    /// The power of ten of the last digit; 0 for zero.
    power: i16,
}

/// Why a text is not a [`Number`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANumber {
    /// The text is not a number in JSON's notation.
    #[error("expected a number in JSON's notation, such as -12.5 or 1e6")]
    Malformed,
    /// The number has more significant digits than can be stored.
    #[error("expected a number of at most 28 significant digits")]
    TooLong,
    /// The number is outside the range of a double.
    #[error("expected zero, or a number from 1e-324 to less than 1e309, or a negative one of that size")]
    OutOfReach,
}

impl Number {
    /// The maximum number of significant digits.
    const MAX_DIGITS: usize = 28;
    /// The powers of ten that the first digit can have: the range of a double.
    const REACH: RangeInclusive<i64> = -324..=308;
    /// The maximum length of [`to_json`](Self::to_json) in bytes.
    pub const MAX_JSON_BYTES: usize = 40;

    /// The shortest decimal that parses to this double: 0.1 becomes one tenth. None if the double is not finite.
    #[must_use]
    pub fn from_double(double: f64) -> Option<Self> {
        format!("{double:e}").parse().ok()
    }

    /// The double that [`from_double`](Self::from_double) turns into exactly this number, if there is one.
    #[must_use]
    pub fn to_double(self) -> Option<f64> {
        let double = self.to_string().parse().ok()?;
        (Self::from_double(double) == Some(self)).then_some(double)
    }

    /// The number in JSON's notation: plain digits, or with an exponent if plain digits would exceed
    /// [`MAX_JSON_BYTES`](Self::MAX_JSON_BYTES).
    #[must_use]
    pub fn to_json(self) -> String {
        let plain = self.to_string();
        if plain.len() <= Self::MAX_JSON_BYTES { plain } else { format!("{self:e}") }
    }

    /// The significant digits as a whole number, and the power of ten of the last digit.
    #[must_use]
    pub const fn digits_and_power(self) -> (i128, i16) {
        (self.digits, self.power)
    }

    const fn sign(self) -> &'static str {
        if self.digits < 0 { "-" } else { "" }
    }
}

impl FromStr for Number {
    type Err = NotANumber;

    /// Parses a number in JSON's notation: no plus sign, no leading zeros, and digits on both sides of a decimal
    /// point.
    fn from_str(text: &str) -> Result<Self, NotANumber> {
        let Parts { negative, whole, fraction, exponent } = Parts::read(text).ok_or(NotANumber::Malformed)?;
        let digits = || whole.bytes().chain(fraction.bytes());
        // From the first to the last significant digit.
        let Some(first) = digits().position(|digit| digit != b'0') else { return Ok(Self::default()) };
        let zeros_after = digits().rev().take_while(|digit| *digit == b'0').count();
        let last = whole.len() + fraction.len() - zeros_after - 1;
        if last - first >= Self::MAX_DIGITS {
            return Err(NotANumber::TooLong);
        }
        let power = |at: usize| {
            let place = i64::try_from(whole.len()).ok()? - i64::try_from(at).ok()? - 1;
            exponent.checked_add(place)
        };
        if !power(first).is_some_and(|power| Self::REACH.contains(&power)) {
            return Err(NotANumber::OutOfReach);
        }
        let power = power(last).and_then(|power| i16::try_from(power).ok()).ok_or(NotANumber::OutOfReach)?;
        let kept = digits().take(last + 1).skip(first);
        let value = kept.fold(0_i128, |value, digit| value * 10 + i128::from(digit - b'0'));
        Ok(Self { digits: if negative { -value } else { value }, power })
    }
}

impl fmt::Display for Number {
    /// Plain digits, without an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, magnitude) = (self.sign(), self.digits.unsigned_abs());
        let places = usize::from(self.power.unsigned_abs());
        if self.power >= 0 {
            return write!(f, "{sign}{magnitude}{:0<places$}", "");
        }
        let digits = format!("{magnitude:0width$}", width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl fmt::LowerExp for Number {
    /// Scientific notation: one digit before the decimal point, and an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.digits.unsigned_abs().to_string();
        let (first, others) = digits.split_at(1);
        let point = if others.is_empty() { "" } else { "." };
        let exponent = others.len().cast_signed() + isize::from(self.power);
        write!(f, "{}{first}{point}{others}e{exponent}", self.sign())
    }
}

/// The parts of a number in JSON's notation.
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

/// The text, if it consists of one or more digits.
fn digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

fn read_exponent(text: &str) -> Option<i64> {
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    // A larger exponent is out of range in any case.
    let magnitude = digits(text)?.parse().unwrap_or(i64::from(i32::MAX));
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_stored_exactly() {
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
            ("5.551115123125783e-17", "0.00000000000000005551115123125783"),
            ("-12.34567890123456789012345678e30", "-12345678901234567890123456780000"),
            ("0.00000000000000000000000000000001", "0.00000000000000000000000000000001"),
        ] {
            assert_eq!(
                text.parse::<Number>().map(|number| number.to_string()),
                Ok(expected.to_owned()),
                "{text}"
            );
        }
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "", "-", "+1", "01", "00", ".5", "5.", "1e", "1e+", "0x1", "NaN", "Infinity", " 1", "1 ", "1,0",
            "--1", "1e1.0", "٣",
        ] {
            assert_eq!(text.parse::<Number>(), Err(NotANumber::Malformed), "{text:?}");
        }
        for text in [
            "12345678901234567890123456789",
            "1234567890123456789.0123456789",
            "1.0000000000000000000000000001e-9",
        ] {
            assert_eq!(text.parse::<Number>(), Err(NotANumber::TooLong), "{text}");
        }
        for text in [
            "1e309",
            "-1e309",
            "10e308",
            "9.9e-325",
            "0.1e-324",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "1e9223372036854775807",
            "10e-9223372036854775807",
        ] {
            assert_eq!(text.parse::<Number>(), Err(NotANumber::OutOfReach), "{text}");
        }
    }

    #[test]
    fn a_double_becomes_its_shortest_decimal() {
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
        for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Number::from_double(double), None);
        }
        assert_eq!("12345678901234567.89".parse::<Number>().unwrap().to_double(), None);
        assert_eq!("1.1".parse::<Number>().unwrap().to_double(), Some(1.1));
    }

    #[test]
    fn the_whole_range_of_a_double_is_supported() {
        let most = "9.999999999999999999999999999e308";
        let least = "-1.000000000000000000000000001e-324";
        let texts = [f64::MAX, f64::MIN_POSITIVE, f64::from_bits(1), 0.1 + 0.2 - 0.3].map(|double| {
            assert_eq!(Number::from_double(double).and_then(Number::to_double), Some(double));
            format!("{double:e}")
        });
        for text in texts.iter().map(String::as_str).chain([most, least, "1e300", "1e-300"]) {
            let number: Number = text.parse().unwrap();
            assert_eq!(format!("{number:e}"), text);
            assert_eq!(number.to_string().parse(), Ok(number), "{number}");
        }
        let digits = |text: &str| text.parse::<Number>().unwrap().to_string().len();
        assert_eq!((digits(most), digits(least)), (309, "-0.".len() + 324 + 27));
    }

    #[test]
    fn json_is_limited_in_length() {
        let json = |text: &str| text.parse::<Number>().unwrap().to_json();
        let plain = "1234567890123456789000000000000000000000";
        assert_eq!((json(plain), plain.len()), (plain.to_owned(), 40));
        assert_eq!(json(&format!("{plain}0")), "1.234567890123456789e40");
        assert_eq!(json("-12345678901234567.890"), "-12345678901234567.89");
        assert_eq!(json("-1234567890123456789e-60"), "-1.234567890123456789e-42");
        assert_eq!(json("5e-324"), "5e-324");
        assert_eq!(json("0e9"), "0");
    }

    proptest! {
        #[test]
        fn printed_numbers_parse_to_the_same_number(digits in 0_u128..10_u128.pow(28), decimals in 0_usize..=28, negative: bool) {
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
        fn any_finite_double_round_trips(double in prop::num::f64::ANY) {
            let number = Number::from_double(double);
            prop_assert_eq!(number.is_some(), double.is_finite());
            if let Some(number) = number {
                prop_assert_eq!(number.to_double(), Some(double));
                prop_assert_eq!(number.to_json().parse(), Ok(number));
                prop_assert!(number.to_json().len() <= Number::MAX_JSON_BYTES);
            }
        }

        #[test]
        fn parsing_never_panics(text in "[-+.eE0-9]{0,40}|\\PC{0,9}") {
            let _ = text.parse::<Number>();
        }
    }
}
