//! The shape of an output: its words and their order, with classes in place of the parts that differ from run
//! to run.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

/// The classes of the parts that differ from run to run, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Id,
    Time,
    Date,
    Address,
    TimeOfDay,
    Token,
    Duration,
    Number,
    /// A page token or a hash.
    Opaque,
}

const CLASSES: [(Class, &str); 9] = [
    (Class::Id, r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"),
    (Class::Time, r"\b\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z\b|[+-]\d{2}:\d{2}\b)?"),
    (Class::Date, r"\b\d{4}-\d{2}-\d{2}\b"),
    (Class::Address, r"(?:\b\d{1,3}(?:\.\d{1,3}){3}|\blocalhost):\d+\b"),
    (Class::TimeOfDay, r"\b\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\b"),
    (Class::Token, r"\bfm_(?:[A-Za-z0-9_-]+|…)"),
    (Class::Duration, r"-?\bNUMBER(?: ?(?:ns|µs|us|ms|s|min|m|h|d)\b)"),
    (Class::Number, r"-?\bNUMBER(?:[eE][+-]?\d+)?\b"),
    (Class::Opaque, r"\b(?:[0-9a-f]{7,64}\b|[A-Za-z0-9_+/-]{20,}={0,2})"),
];

/// A number, with or without separated thousands.
const NUMBER: &str = r"(?:\d{1,3}(?:[ \x{a0}\x{202f}]\d{3})+(?:\.\d+)?|\d+(?:\.\d+)*)";

static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
    let groups = CLASSES.map(|(_, pattern)| format!("({})", pattern.replace("NUMBER", NUMBER)));
    Regex::new(&groups.join("|")).expect("the patterns are constant and valid")
});

/// Bars and sparklines.
static DRAWING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"[\x{2580}-\x{259f}]+").expect("the pattern is constant and valid"));

/// A line, split into its parts.
#[derive(Debug)]
struct Line<'a> {
    /// The text with a private-use character for each part of a class.
    shape: String,
    classed: Vec<(Class, &'a str)>,
}

/// All parts of a class in a text, with their positions.
pub(crate) fn classed(text: &str) -> Vec<(Class, Range<usize>)> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(found) = PATTERN.captures_at(text, from) {
        let classes = CLASSES.iter().enumerate();
        let mut matched = classes.filter_map(|(group, (class, _))| Some((*class, found.get(group + 1)?)));
        let Some((class, whole)) = matched.next() else { break };
        if class == Class::Opaque && !is_random(whole.as_str()) {
            // A path or a name: there can be an id in its next part.
            let part = whole.as_str().find(|c: char| !c.is_ascii_alphanumeric());
            from = part.map_or(whole.end(), |length| whole.start() + length + 1);
            continue;
        }
        from = whole.end();
        all.push((class, whole.range()));
    }
    all
}

/// Whether a word is generated: digits among letters, in both cases or only hexadecimal.
fn is_random(text: &str) -> bool {
    let has = |is: fn(&char) -> bool| text.chars().any(|character| is(&character));
    let is_hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    has(char::is_ascii_digit)
        && has(char::is_ascii_lowercase)
        && (is_hexadecimal || has(char::is_ascii_uppercase))
}

impl<'a> Line<'a> {
    fn new(text: &'a str) -> Self {
        let mut shape = String::new();
        let mut found = Vec::new();
        let mut end = 0;
        for (class, range) in classed(text) {
            shape.push_str(&text[end..range.start]);
            shape.push(placeholder(class));
            end = range.end;
            found.push((class, &text[range]));
        }
        shape.push_str(&text[end..]);
        let drawn = DRAWING.replace_all(&shape, " ");
        let shape = drawn.split_whitespace().collect::<Vec<_>>().join(" ");
        Self { shape, classed: found }
    }

    /// Whether the line is the axis of a chart. Its times and dates, and whether it exists, depend on the time of day.
    fn is_axis(&self) -> bool {
        let marks = [Class::TimeOfDay, Class::Date].map(placeholder);
        self.shape.split(' ').all(|mark| mark.chars().count() == 1 && mark.starts_with(marks))
    }
}

/// A character that no output contains.
fn placeholder(class: Class) -> char {
    char::from_u32(0xE000 + class as u32).unwrap_or('\u{E000}')
}

/// The mark for omitted parts: a line of it stands for lines, and within a line it stands for text.
pub(crate) const LEFT_OUT: char = '…';

pub(crate) fn is_left_out(line: &str) -> bool {
    line.trim() == "…"
}

/// An expected text, and the actual text of the same class in its place.
pub(crate) type Pair<'a> = (Class, &'a str, &'a str);

/// Compares an expected output with the actual one. Returns the replaced texts, or the number of expected
/// lines that are found in the actual output before the first one that is not.
pub(crate) fn compare<'a>(expected: &'a [String], actual: &'a [String]) -> Result<Vec<Pair<'a>>, usize> {
    let expected: Vec<_> = expected.iter().map(|line| (is_left_out(line), Line::new(line))).collect();
    let actual: Vec<_> = actual.iter().map(|line| Line::new(line)).filter(|line| !line.is_axis()).collect();
    // reached[i][j]: the first i expected lines agree with the first j actual ones.
    let mut reached = vec![vec![false; actual.len() + 1]; expected.len() + 1];
    reached[0][0] = true;
    for (i, (left_out, line)) in expected.iter().enumerate() {
        for j in 0..=actual.len() {
            reached[i + 1][j] = if *left_out {
                reached[i][j] || (j > 0 && reached[i + 1][j - 1])
            } else if line.is_axis() {
                reached[i][j]
            } else {
                j > 0 && reached[i][j - 1] && agrees(&line.shape, &actual[j - 1].shape)
            };
        }
    }
    if !reached[expected.len()][actual.len()] {
        return Err(reached.iter().rposition(|row| row.contains(&true)).unwrap_or(0));
    }
    // The way back, with as few lines as possible for each `…`.
    let mut pairs = Vec::new();
    let (mut i, mut j) = (expected.len(), actual.len());
    while i > 0 {
        let (left_out, line) = &expected[i - 1];
        if *left_out {
            if reached[i - 1][j] {
                i -= 1;
            } else {
                j -= 1;
            }
            continue;
        }
        if line.is_axis() {
            i -= 1;
            continue;
        }
        let other = &actual[j - 1];
        if line.classed.len() == other.classed.len() {
            let both = line.classed.iter().zip(&other.classed);
            pairs.extend(both.rev().map(|(one, other)| (one.0, one.1, other.1)));
        }
        (i, j) = (i - 1, j - 1);
    }
    pairs.reverse();
    Ok(pairs)
}

/// Whether two shapes are the same, where `…` in the expected one stands for any text.
fn agrees(expected: &str, actual: &str) -> bool {
    let mut parts = expected.split(LEFT_OUT);
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = actual.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn agree(expected: &str, actual: &str) -> bool {
        compare(&lines(expected), &lines(actual)).is_ok()
    }

    #[test]
    fn what_differs_from_run_to_run_agrees_within_its_class() {
        for (one, other) in [
            ("2026-11-21T06:00:00Z      7      7  █", "2026-12-01T10:00:00Z    129  1 290  █████████▉"),
            ("fresh through 2026-11-22T06:56:14.510882Z", "fresh through 2026-11-22T06:56:14Z"),
            (
                "request   01a2020b-3c1d-7f05-9a5e-2f6c1f0b8e41",
                "request  01a20000-0000-7000-9a5e-000000000000",
            ),
            ("accepted  500  events, 66 997 a second", "accepted   5  events, 7 a second"),
            ("all rolled up, 554 events, in 1 s", "all rolled up, 60 events, in 800 ms"),
            (
                "Latency  p50 ≤ 1 s, p95 ≤ 1.5 s of 312 requests",
                "Latency  p50 ≤ 20 ms, p95 ≤ 10 s of 3 requests",
            ),
            ("token fm_…", "token fm_AbC-12_x"),
            ("to 127.0.0.1:7071", "to 127.0.0.1:41234"),
            ("  \"value\": -0.93,", "  \"value\":  18,"),
            ("next CgwI6aTzBhDA0KmTAhABGAE=", "next CgwIqKTzBhDA0KmTAhABGBE="),
            (
                "tenants/acme/tokens/01a22f8a-7d3d-74be-838b-5ce18062d0e8  ingest,query",
                "tenants/acme/tokens/01a22f9c-af50-71c7-85fd-adb81827472c  ingest,query",
            ),
            ("█  Successful  1 510  82.3 %", "▚▚ Successful  1  100.0 %"),
            ("it is late, and … nothing", "it is late, and there is nothing"),
        ] {
            assert!(agree(one, other), "{one} | {other}");
        }
    }

    #[test]
    fn words_and_their_order_must_agree() {
        for (one, other) in [
            ("TIME VALUE COUNT", "TIME COUNT VALUE"),
            ("1 report", "2 reports"),
            ("p50 1 s", "p99 1 s"),
            ("value 1", "value one"),
            ("summed by #PT1H", "summed by #P1D"),
            ("at 2026-11-22", "at 12"),
            ("one\ntwo", "one\nthree"),
            ("one\ntwo", "one"),
            ("one", "one\ntwo"),
        ] {
            assert!(!agree(one, other), "{one} | {other}");
        }
    }

    #[test]
    fn a_line_of_dots_stands_for_any_number_of_lines() {
        assert!(agree("one\n…", "one\ntwo\nthree"));
        assert!(agree("one\n…", "one"));
        assert!(agree("…\nthree", "one\ntwo\nthree"));
        assert!(agree("one\n…\nfour", "one\ntwo\nfour\nfour"));
        assert!(!agree("one\n…\nfive", "one\ntwo\nfour"));
    }

    #[test]
    fn the_axis_of_a_chart_may_be_there_or_not() {
        assert!(agree("TIME\n  12:00   18:00\nend", "TIME\nend"));
        assert!(agree("TIME\nend", "TIME\n          06:00\nend"));
        assert!(agree("TIME\n    12:00\nend", "TIME\n    12:00       2026-12-01\nend"));
        assert!(!agree("at 12:00", "end"));
    }

    #[test]
    fn what_takes_the_place_of_what_is_known() {
        let (expected, actual) = (lines("…\nid 2, at 10:00\n…"), lines("head\nid 3, at 12:30\ntail"));
        let pairs = compare(&expected, &actual).unwrap();
        assert_eq!(pairs, [(Class::Number, "2", "3"), (Class::TimeOfDay, "10:00", "12:30")]);
    }

    #[test]
    fn the_first_line_that_does_not_agree_is_known() {
        assert_eq!(compare(&lines("one\ntwo\nthree"), &lines("one\ntwo\nfour")).unwrap_err(), 2);
        assert_eq!(compare(&lines("one"), &lines("one\ntwo")).unwrap_err(), 1);
    }
}
