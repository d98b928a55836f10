//! Formats text and numbers for a terminal.

use std::{borrow::Cow, fmt::Display};

use flowmeter_core::asset::Number;
use unicode_width::UnicodeWidthStr;

/// The number of significant digits of a shortened decimal, the same as a double has.
const DIGITS: usize = 17;

/// The text with each control character replaced by `\u{…}`: recorded text must not move the cursor or change
/// the order of letters on a terminal.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_controlling) {
        let escape = |c: char| {
            if is_controlling(c) { c.escape_default().to_string() } else { c.to_string() }
        };
        return text.chars().map(escape).collect::<String>().into();
    }
    text.into()
}

/// Whether a character controls the terminal, or the direction of the characters around it.
fn is_controlling(c: char) -> bool {
    let is_bidi =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi
}

/// The width of a text in terminal columns.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text, cut to at most `max_bytes` bytes at a character boundary.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// The printable text, cut to at most `columns` terminal columns. `…` stands for the part that is cut off.
pub(crate) fn shorten(text: &str, columns: usize) -> String {
    let text = printable(text);
    if width(&text) <= columns {
        return text.into_owned();
    }
    let mut short = String::new();
    for c in text.chars() {
        short.push(c);
        if width(&short) >= columns {
            short.pop();
            break;
        }
    }
    short + "…"
}

/// A number for an axis: up to four digits and a metric prefix.
pub(crate) fn compact(number: f64) -> String {
    const PREFIXES: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    if number != 0.0 && !(0.001..1e18).contains(&number.abs()) {
        let text = format!("{number:.3e}");
        let (digits, power) = text.split_once('e').expect("the number is formatted with an exponent");
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    for (limit, prefix) in PREFIXES {
        if number.abs() >= limit {
            let unit = if prefix == "k" { 1e3 } else { limit };
            return format!("{}{prefix}", three_decimals(number / unit));
        }
    }
    three_decimals(number)
}

fn three_decimals(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// A decimal that is narrow enough for a table: in plain digits, or with an exponent if it is very large,
/// very small or long. `…` stands for digits that are cut off.
pub(crate) fn short_decimal(text: &str) -> Cow<'_, str> {
    if text.len() <= Number::MAX_JSON_BYTES {
        return text.into();
    }
    let (sign, magnitude) = text.split_at(usize::from(text.starts_with('-')));
    let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
    let digits = format!("{whole}{fraction}");
    let is_decimal = digits.bytes().all(|byte| byte.is_ascii_digit());
    let Some(first) = digits.find(|digit| digit != '0').filter(|_| is_decimal) else { return text.into() };
    let significant = digits[first..].trim_end_matches('0');
    let kept = cut(significant, DIGITS);
    let (leading, others) = kept.split_at(1);
    let point = if others.is_empty() { "" } else { "." };
    let rest = if kept == significant { "" } else { "…" };
    let exponent = whole.len().cast_signed() - first.cast_signed() - 1;
    format!("{sign}{leading}{point}{others}{rest}e{exponent}").into()
}

/// A number with a space between thousands, such as `12 345`: commas and points are read differently in
/// different countries.
pub(crate) fn grouped(number: impl Display) -> String {
    let text = number.to_string();
    let first = usize::from(text.starts_with('-'));
    let end = text.find('.').unwrap_or(text.len());
    let mut out = String::with_capacity(text.len() * 4 / 3);
    for (at, c) in text.char_indices() {
        if at > first && at < end && (end - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// A number of things: `1 call`, `1 200 calls`.
pub(crate) fn counted(number: u64, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {of}{plural}", grouped(number))
}

/// A share of a whole in percent, with `decimals` decimals. Only zero is shown as 0 % and only the whole as
/// 100 %: shares that would be rounded to them are shown as `<0.1 %` and `>99.9 %`.
pub(crate) fn percent(part: f64, whole: f64, decimals: usize) -> String {
    // The sum of an empty iterator of doubles is -0, and the sign must not be shown.
    let part = part.abs();
    let share = if whole > 0.0 { 100.0 * part / whole } else { 0.0 };
    let text = format!("{share:.decimals$}");
    let (least, most) = (format!("{:.decimals$}", 0.0), format!("{:.decimals$}", 100.0));
    let step = 0.1_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX));
    if part > 0.0 && text == least {
        return format!("<{step:.decimals$} %");
    }
    if part < whole && text == most {
        return format!(">{:.decimals$} %", 100.0 - step);
    }
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert!(matches!(printable("größe"), Cow::Borrowed("größe")));
        // The text after it would be shown from right to left, so that the name seems to end in exe.
        assert_eq!(printable("\u{202e}exe.txt\u{2069}"), "\\u{202e}exe.txt\\u{2069}");
        for c in ['\u{202a}', '\u{2066}', '\u{200e}', '\u{200f}', '\u{61c}'] {
            assert_eq!(printable(&c.to_string()), c.escape_unicode().to_string());
        }
        // It joins emoji and does not change the direction.
        assert_eq!(printable("\u{200d}"), "\u{200d}");
    }

    #[test]
    fn long_decimals_have_an_exponent() {
        let forty = format!("0.{}", "1".repeat(38));
        for (decimal, shown) in [
            (forty.as_str(), forty.as_str()),
            (&format!("1{}", "0".repeat(300)), "1e300"),
            (&format!("-12{}.5", "0".repeat(40)), "-1.2000000000000000…e41"),
            (&format!("0.{}5", "0".repeat(323)), "5e-324"),
            (&format!("-0.{}4940", "0".repeat(40)), "-4.94e-41"),
            (&"123456789".repeat(7), "1.2345678912345678…e62"),
            (&format!("{}.50", "9".repeat(40)), "9.9999999999999999…e39"),
            (&"0".repeat(50), &"0".repeat(50)),
            (&"∞".repeat(50), &"∞".repeat(50)),
        ] {
            assert_eq!(short_decimal(decimal), shown);
        }
    }

    #[test]
    fn text_is_cut_at_a_character_boundary() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn text_is_shortened_by_its_visible_width() {
        assert_eq!(shorten("größe", 5), "größe");
        assert_eq!(shorten("größer", 5), "größ…");
        assert_eq!(shorten("言語処理", 6), "言語…");
        assert_eq!(shorten("a\u{1b}[2J", 6), "a\\u{1…");
    }

    #[test]
    fn numbers_have_metric_prefixes() {
        let shown: Vec<_> = [0.0, 0.125, 9999.0, 12_000.0, 2.5e6, -3e9, 1e-9].map(compact).into();
        assert_eq!(shown, ["0", "0.125", "9999", "12k", "2.5M", "-3G", "1e-9"]);
        let extreme = [5e17, 1e18, -2.5e300, 1.5e-4, 5e-324].map(compact);
        assert_eq!(extreme, ["500P", "1e18", "-2.5e300", "1.5e-4", "4.941e-324"]);
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(999), "999");
        assert_eq!((grouped(-123_456), grouped("-1234.5678")), ("-123 456".into(), "-1 234.5678".into()));
        let counts = [0, 1, 1_200].map(|number| counted(number, "call"));
        assert_eq!(counts, ["0 calls", "1 call", "1 200 calls"]);
    }

    #[test]
    fn a_share_is_not_rounded_to_zero_or_the_whole() {
        let shown = [(-0.0, 9.0), (1.0, 1e6), (1.0, 8.0), (999_999.0, 1e6), (9.0, 9.0), (0.0, 0.0)];
        let shown = shown.map(|(part, whole)| percent(part, whole, 1));
        assert_eq!(shown, ["0.0 %", "<0.1 %", "12.5 %", ">99.9 %", "100.0 %", "0.0 %"]);
        assert_eq!(percent(9_996.0, 10_000.0, 2), "99.96 %");
        assert_eq!(percent(1.0, 1e6, 0), "<1 %");
    }
}
