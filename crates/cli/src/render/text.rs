//! Text and numbers as a terminal may show them.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

/// The text without control characters, each replaced by `\u{…}`: what a service
/// recorded must not move the cursor of who reads it.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let escape = |c: char| {
            if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
        };
        return text.chars().map(escape).collect::<String>().into();
    }
    text.into()
}

/// How many columns of a terminal the text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text cut to so many bytes at most, at a character's boundary.
pub(crate) fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

/// The text as it may be printed, in so many columns of a terminal at most; `…` stands for
/// what is cut off.
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

/// A number for an axis: four digits or less and a metric prefix.
pub(crate) fn compact(number: f64) -> String {
    const PREFIXES: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")];
    for (limit, prefix) in PREFIXES {
        if number.abs() >= limit {
            let unit = if prefix == "k" { 1e3 } else { limit };
            return format!("{}{prefix}", three_decimals(number / unit));
        }
    }
    if number != 0.0 && number.abs() < 0.001 {
        return format!("{number:.0e}");
    }
    three_decimals(number)
}

fn three_decimals(number: f64) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// A count with thousands set apart, as `12 345`: a comma or a point would be
/// read differently in different countries.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A share of a whole in percent, with so many decimals. Only nothing is 0 % and only all of it
/// 100 %: `<0.1 %` and `>99.9 %` stand for what rounding would take for that.
pub(crate) fn percent(part: f64, whole: f64, decimals: usize) -> String {
    // The sum of no numbers is -0, which must not show.
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
    fn shows_control_characters_harmlessly() {
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert!(matches!(printable("größe"), Cow::Borrowed("größe")));
    }

    #[test]
    fn cuts_at_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    #[test]
    fn shortens_by_what_is_seen() {
        assert_eq!(shorten("größe", 5), "größe");
        assert_eq!(shorten("größer", 5), "größ…");
        assert_eq!(shorten("言語処理", 6), "言語…");
        assert_eq!(shorten("a\u{1b}[2J", 6), "a\\u{1…");
    }

    #[test]
    fn writes_numbers_short() {
        let shown: Vec<_> = [0.0, 0.125, 9999.0, 12_000.0, 2.5e6, -3e9, 1e-9].map(compact).into();
        assert_eq!(shown, ["0", "0.125", "9999", "12k", "2.5M", "-3G", "1e-9"]);
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(grouped(999), "999");
    }

    #[test]
    fn a_share_is_not_rounded_to_nothing_or_all() {
        let shown = [(-0.0, 9.0), (1.0, 1e6), (1.0, 8.0), (999_999.0, 1e6), (9.0, 9.0), (0.0, 0.0)];
        let shown = shown.map(|(part, whole)| percent(part, whole, 1));
        assert_eq!(shown, ["0.0 %", "<0.1 %", "12.5 %", ">99.9 %", "100.0 %", "0.0 %"]);
        assert_eq!(percent(9_996.0, 10_000.0, 2), "99.96 %");
        assert_eq!(percent(1.0, 1e6, 0), "<1 %");
    }
}
