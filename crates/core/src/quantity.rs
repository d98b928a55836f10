//! Exact decimal quantities of measured values and their sums. No binary floating point is involved.

use std::fmt;
use std::str::FromStr;

/// An exact decimal with nine digits after the decimal point, stored as a whole number of billionths.
///
/// One value has at most 18 digits before the decimal point. The sum of up to 10^11 such values fits, which
/// is far more than a batch contains. PostgreSQL computes larger sums with `numeric`, which has no such
/// limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i128);

/// Why a text is not a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// Not of the form `-12.50`.
    #[error("expected a decimal number such as -12.50")]
    Malformed,
    /// More than 18 digits before the point.
    #[error("expected at most 18 digits before the decimal point")]
    TooLarge,
    /// More than 9 digits after the point.
    #[error("expected at most 9 digits after the decimal point")]
    TooPrecise,
}

impl Quantity {
    /// Digits after the decimal point.
    pub const SCALE: usize = 9;
    const ONE: i128 = 1_000_000_000;
    /// The maximum number of digits before the decimal point.
    const WHOLE_DIGITS: usize = 18;

    /// The quantity of `billionths` / 10^9.
    #[must_use]
    pub const fn from_billionths(billionths: i128) -> Self {
        Self(billionths)
    }

    /// The number of billionths.
    #[must_use]
    pub const fn billionths(self) -> i128 {
        self.0
    }

    /// Parses a stored quantity. A quantity that was sent as an integer has up to 19 digits, one more than a decimal
    /// can have.
    pub fn parse_kept(text: &str) -> Result<Self, QuantityError> {
        text.parse::<i64>().map(Self::from).or_else(|_| text.parse())
    }
}

impl From<i64> for Quantity {
    fn from(whole: i64) -> Self {
        Self(i128::from(whole) * Self::ONE)
    }
}

impl std::ops::Add for Quantity {
    type Output = Self;

    /// The sum. The documentation of the type says why it cannot overflow.
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let (negative, digits) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let point = digits.iter().position(|byte| *byte == b'.');
        let (whole, fraction) = match point {
            Some(at) => (&digits[..at], &digits[at + 1..]),
            None => (digits, &[][..]),
        };
        let numeric = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if whole.is_empty()
            || !numeric(whole)
            || !numeric(fraction)
            || (point.is_some() && fraction.is_empty())
        {
            return Err(QuantityError::Malformed);
        }
        let leading = whole.iter().take_while(|byte| **byte == b'0').count();
        if whole.len() - leading > Self::WHOLE_DIGITS {
            return Err(QuantityError::TooLarge);
        }
        let trailing = fraction.iter().rev().take_while(|byte| **byte == b'0').count();
        let fraction = &fraction[..fraction.len() - trailing];
        if fraction.len() > Self::SCALE {
            return Err(QuantityError::TooPrecise);
        }
        let padding = std::iter::repeat_n(&b'0', Self::SCALE - fraction.len());
        let billionths = whole
            .iter()
            .chain(fraction)
            .chain(padding)
            .fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
        Ok(Self(if negative { -billionths } else { billionths }))
    }
}

impl fmt::Display for Quantity {
    /// The shortest decimal that parses back to the same quantity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / Self::ONE, (self.0 % Self::ONE).unsigned_abs());
        if self.0 < 0 {
            f.write_str("-")?;
        }
        write!(f, "{}", whole.unsigned_abs())?;
        if fraction != 0 {
            let digits = format!("{fraction:09}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_parsed() {
        for (text, billionths) in [
            ("0", 0),
            ("1.10", 1_100_000_000),
            ("-12.5", -12_500_000_000),
            ("007", 7_000_000_000),
            ("0.000000001", 1),
            ("1.1000000000000000", 1_100_000_000),
            ("-0", 0),
        ] {
            assert_eq!(text.parse(), Ok(Quantity(billionths)), "{text}");
        }
    }

    #[test]
    fn errors_say_why_a_text_is_rejected() {
        for text in ["", "-", ".5", "5.", "1e3", "+1", "1,5", " 1", "٣", "--1", "1.2.3", "NaN"] {
            assert_eq!(text.parse::<Quantity>(), Err(QuantityError::Malformed), "{text}");
        }
        assert_eq!("1000000000000000000".parse::<Quantity>(), Err(QuantityError::TooLarge));
        assert_eq!("0.0000000001".parse::<Quantity>(), Err(QuantityError::TooPrecise));
    }

    proptest! {
        #[test]
        fn printed_quantities_parse_to_the_same_quantity(billionths in -10_i128.pow(27) + 1..10_i128.pow(27)) {
            let quantity = Quantity(billionths);
            prop_assert_eq!(quantity.to_string().parse(), Ok(quantity));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*") {
            let _ = text.parse::<Quantity>();
        }
    }
}
