//! The values of points as exact decimals, which can be added and compared.

use std::fmt;

/// The number of decimals that are kept. Only numbers of assets can have more.
const DECIMALS: usize = 9;
const SCALE: i128 = 1_000_000_000;

/// An exact decimal with up to 9 decimals.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal(i128);

impl Decimal {
    /// Reads a decimal such as `12.5`. Decimals after the ninth are cut off, because no chart shows them.
    /// None if the text is not a decimal, or the decimal is too large.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let fraction = &fraction[..fraction.len().min(DECIMALS)];
        let whole: i128 = whole.parse().ok()?;
        let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
        Some(Self(sign * whole.checked_mul(SCALE)?.checked_add(fraction)?))
    }

    /// Rounds to three decimals, as charts show them, with halves rounded away from zero.
    pub(crate) fn rounded(self) -> Self {
        const STEP: i128 = SCALE / 1000;
        let magnitude =
            i128::try_from((self.0.unsigned_abs() + STEP.unsigned_abs() / 2) / STEP.unsigned_abs());
        Self(self.0.signum() * magnitude.map_or(0, |steps| steps * STEP))
    }

    /// The sum. None if it is too large.
    pub(crate) fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.unsigned_abs();
        let scale = SCALE.unsigned_abs();
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(formatter, "{sign}{}", magnitude / scale)?;
        match magnitude % scale {
            0 => Ok(()),
            fraction => write!(formatter, ".{}", format!("{fraction:09}").trim_end_matches('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_is_not_a_decimal_is_refused() {
        for wrong in ["", "-", ".5", "1e3", "+1", "1.2.3", "NaN", "--1", &"9".repeat(31)] {
            assert_eq!(Decimal::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rounds_to_three_decimals() {
        let rounded = |text: &str| Decimal::parse(text).unwrap().rounded().to_string();
        let shown = ["27.333333333", "0.0005", "-0.0005", "-1.2344", "12", "0.0004"].map(rounded);
        assert_eq!(shown, ["27.333", "0.001", "-0.001", "-1.234", "12", "0"]);
        let long = ["0.0004999999999999999999999999", "-9999999999999999999999999999"].map(rounded);
        assert_eq!(long, ["0", "-9999999999999999999999999999"]);
    }

    proptest! {
        #[test]
        fn adds_exactly(a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000) {
            let shown = |nanos: i64| Decimal(i128::from(nanos)).to_string();
            let sum = Decimal::parse(&shown(a)).unwrap().checked_add(Decimal::parse(&shown(b)).unwrap());
            prop_assert_eq!(sum.unwrap(), Decimal(i128::from(a + b)));
            prop_assert_eq!(Decimal::parse(&shown(a)) < Decimal::parse(&shown(b)), a < b);
        }

        #[test]
        fn prints_what_it_reads(text in "-?(0|[1-9][0-9]{0,17})(\\.[0-9]{0,8}[1-9])?") {
            prop_assume!(text != "-0");
            prop_assert_eq!(Decimal::parse(&text).unwrap().to_string(), text);
        }
    }
}
