//! Patterns as PostgreSQL's advanced regular expressions.
//!
//! The output only has syntax with the same meaning in every locale and with every option: characters, explicit ranges,
//! `(?:…)`, `|`, bounds, `^` and `$`. All characters except ASCII letters and digits are escaped, so a text cannot
//! become an operator or an option such as `***=`.

use std::fmt::Write;

use flowmeter_core::filter::Syntax;

/// The regular expression that matches the same texts.
pub(super) fn regular_expression(syntax: &Syntax) -> String {
    let mut out = String::new();
    write(&mut out, syntax);
    out
}

fn write(out: &mut String, syntax: &Syntax) {
    match syntax {
        Syntax::Empty => out.push_str("(?:)"),
        Syntax::Start => out.push('^'),
        Syntax::End => out.push('$'),
        Syntax::Literal(text) => text.chars().for_each(|c| character(out, c)),
        Syntax::Class(ranges) => {
            out.push('[');
            for (first, last) in ranges {
                character(out, *first);
                if first != last {
                    out.push('-');
                    character(out, *last);
                }
            }
            out.push(']');
        }
        Syntax::Repeat { part, least, most } => {
            group(out, part);
            match (least, most) {
                (0, None) => out.push('*'),
                (1, None) => out.push('+'),
                (0, Some(1)) => out.push('?'),
                (least, None) => bounds(out, format_args!("{least},")),
                (least, Some(most)) => bounds(out, format_args!("{least},{most}")),
            }
        }
        Syntax::Sequence(parts) => parts.iter().for_each(|part| write(out, part)),
        Syntax::Alternatives(parts) => {
            let mut between = "(?:";
            for part in parts {
                out.push_str(between);
                write(out, part);
                between = "|";
            }
            out.push(')');
        }
    }
}

fn group(out: &mut String, part: &Syntax) {
    out.push_str("(?:");
    write(out, part);
    out.push(')');
}

fn bounds(out: &mut String, bounds: std::fmt::Arguments<'_>) {
    write!(out, "{{{bounds}}}").expect("a string takes all text");
}

fn character(out: &mut String, character: char) {
    let code = u32::from(character);
    let written = match code {
        _ if character.is_ascii_alphanumeric() => {
            out.push(character);
            Ok(())
        }
        ..=0xffff => write!(out, "\\u{code:04X}"),
        _ => write!(out, "\\U{code:08X}"),
    };
    written.expect("a string takes all text");
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::filter::{Condition, Filter};

    #[test]
    fn everything_except_letters_and_digits_is_escaped() {
        for (pattern, expected) in [
            ("", "(?:)"),
            (r"\*\*\*=a", r"\u002A\u002A\u002A\u003Da"),
            (r"\(\?i\)a", r"\u0028\u003Fi\u0029a"),
            ("^a.$", r"^a[\u0001-\u0009\u000B-\U0010FFFF]$"),
            ("(?i)ab", "[Aa][Bb]"),
            (r"[]^\\-]|ab", r"(?:[\u002D\u005C-\u005E]|ab)"),
            ("(a|bc|)*?d+e?f{2}g{3,}h{0,7}", "(?:(?:a|bc|(?:)))*(?:d)+(?:e)?(?:f){2,2}(?:g){3,}(?:h){0,7}"),
            ("😀", r"\U0001F600"),
        ] {
            let filter = Filter::parse(&format!("detail =~ '{}'", pattern.replace('\\', r"\\"))).unwrap();
            let Condition::Matches { pattern, .. } = filter.condition() else { panic!("{filter}") };
            assert_eq!(regular_expression(pattern.syntax()), expected, "{pattern:?}");
        }
    }
}
