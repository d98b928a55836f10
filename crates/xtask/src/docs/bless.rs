//! Replaces the output in a document by the real output.

use std::ops::Range;

use super::blocks::Step;
use super::shape::{Class, Pair, classed, is_left_out};
use super::translation::Translation;

/// The line that asks for an output to be filled in.
const FILL_IN: &str = "???";

pub(crate) fn is_to_be_filled_in(expected: &[String]) -> bool {
    matches!(expected, [line] if line.trim() == FILL_IN)
}

/// The ids of two different outputs, paired in their order, so that a document keeps its ids.
pub(crate) fn ids<'a>(expected: &'a [String], actual: &'a [String]) -> Vec<Pair<'a>> {
    let ids = |lines: &'a [String]| {
        let of_line = |line: &'a String| {
            classed(line)
                .into_iter()
                .filter(|(class, _)| *class == Class::Id)
                .map(move |(_, range)| &line[range])
        };
        lines.iter().flat_map(of_line).collect::<Vec<&str>>()
    };
    ids(expected).into_iter().zip(ids(actual)).map(|(shown, real)| (Class::Id, shown, real)).collect()
}

/// The new output of a step. Parts that were left out before are left out again.
pub(crate) fn output(step: &Step, actual: &[String], translation: &Translation) -> Vec<String> {
    let lines: Vec<String> = actual.iter().map(|line| translation.line(line)).collect();
    let expected = &step.expected;
    let (Some(first), Some(last)) = (
        expected.iter().position(|line| is_left_out(line)),
        expected.iter().rposition(|line| is_left_out(line)),
    ) else {
        return lines;
    };
    let (head, tail) = (first, expected.len() - last - 1);
    if lines.len() <= head + tail {
        return lines;
    }
    let (head, tail) = (&lines[..head], &lines[lines.len() - tail..]);
    head.iter().cloned().chain(["…".to_owned()]).chain(tail.iter().cloned()).collect()
}

/// The text with some of its lines replaced. The ranges are in order and do not overlap.
pub(crate) fn replace_lines(text: &str, replacements: &[(Range<usize>, Vec<String>)]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<&str> = Vec::new();
    let mut end = 0;
    for (range, new) in replacements {
        out.extend(&lines[end..range.start]);
        out.extend(new.iter().map(String::as_str));
        end = range.end;
    }
    out.extend(&lines[end..]);
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn step(expected: &str) -> Step {
        Step {
            line: 1,
            command: "a".to_owned(),
            expected: lines(expected),
            output_lines: 0..0,
            may_fail: false,
        }
    }

    #[test]
    fn what_was_left_out_stays_left_out() {
        let translation = Translation::default();
        let actual = lines("1\n2\n3\n4\n5");
        assert_eq!(output(&step("a\nb\n…"), &actual, &translation), lines("1\n2\n…"));
        assert_eq!(output(&step("a\n…\nb"), &actual, &translation), lines("1\n…\n5"));
        assert_eq!(output(&step("a"), &actual, &translation), actual);
        assert_eq!(output(&step("???"), &actual, &translation), actual);
    }

    #[test]
    fn lines_are_replaced_in_place() {
        let text = replace_lines("a\nb\nc\nd\n", &[(1..2, lines("x\ny")), (3..4, Vec::new())]);
        assert_eq!(text, "a\nx\ny\nc\n");
    }

    #[test]
    fn ids_are_paired_in_their_order() {
        let (one, other) = ("01a2020b-3c1d-7f05-9a5e-2f6c1f0b8e41", "01a20000-0000-7000-8000-000000000000");
        let (expected, actual) = (lines(&format!("old {one}")), lines(&format!("new\nid {other}")));
        assert_eq!(ids(&expected, &actual), [(Class::Id, one, other)]);
    }
}
