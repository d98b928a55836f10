//! Patterns: regular expressions with the same meaning in memory and in the database. A pattern is parsed
//! here, and then matched in memory or translated for the database.

use regex::{Regex, RegexBuilder};
use regex_syntax::ast::{self, AssertionKind, Ast, Flag, Flags, FlagsItemKind, GroupKind};
use regex_syntax::hir::{Class, Hir, HirKind, Look, translate::Translator};

/// The maximum length of a pattern in bytes.
const MAX_BYTES: usize = 256;
/// The maximum number of nested parentheses and brackets.
const MAX_NESTING: u32 = 32;
/// The maximum bound of a repetition, which is that of PostgreSQL.
const MAX_REPETITIONS: u32 = 255;
/// The maximum number of characters, classes and anchors with repetitions written out. PostgreSQL's time to
/// prepare a pattern grows with the third power of this number: it takes 2 s for 250 optional characters, and
/// at most half a second for this number.
const MAX_STEPS: usize = 150;
/// The maximum number of character ranges in all classes together. `\w` has about 800.
const MAX_RANGES: usize = 5_000;
/// The maximum number of anchors in a row. PostgreSQL's time to prepare a pattern at least doubles with each
/// anchor: ten take seconds.
const MAX_ANCHORS: usize = 4;
/// The maximum size in bytes of a pattern that is compiled for matching in memory.
const MAX_COMPILED_BYTES: usize = 4 << 20;

/// A regular expression, which can match anywhere in a text.
///
/// The syntax is that of the `regex` crate, limited to the features that can be translated for PostgreSQL:
/// literals, classes, alternatives, groups, repetitions up to 255 and, outside of repetitions, `^` and `$`
/// for the start and the end of the text. `.` is any character except a line feed, or any character with
/// `(?s)`. `(?i)` compares by simple case folding. `\w`, `\d` and `\s` are the Unicode classes. Word
/// boundaries, line anchors, look-around and backreferences are not supported.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    syntax: Syntax,
    regex: Regex,
}

/// The syntax tree of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Syntax {
    /// The empty text, which is found anywhere.
    Empty,
    /// The start of the text.
    Start,
    /// The end of the text.
    End,
    /// A literal text.
    Literal(String),
    /// One character of these ranges. There is at least one range. The ranges are ascending, do not touch,
    /// and include both ends. None contains NUL, which no text contains.
    Class(Vec<(char, char)>),
    /// A repeated part.
    Repeat {
        /// The part, which is not empty.
        part: Box<Syntax>,
        /// The minimum number of repetitions, up to 255.
        least: u32,
        /// The maximum number of repetitions, up to 255. None if there is no maximum.
        most: Option<u32>,
    },
    /// The parts one after the other.
    Sequence(Vec<Syntax>),
    /// One of the parts.
    Alternatives(Vec<Syntax>),
}

impl Syntax {
    /// The number of anchors on the path through the pattern with the most anchors.
    fn anchors(&self) -> usize {
        match self {
            Self::Start | Self::End => 1,
            Self::Empty | Self::Literal(_) | Self::Class(_) => 0,
            Self::Repeat { part, .. } => part.anchors(),
            Self::Sequence(parts) => parts.iter().map(Self::anchors).sum(),
            Self::Alternatives(parts) => parts.iter().map(Self::anchors).max().unwrap_or(0),
        }
    }
}

/// Why a text is not a pattern.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternError {
    /// The offset of the error in bytes.
    pub(super) offset: usize,
    pub(super) expected: String,
}

impl PatternError {
    fn new(offset: usize, expected: impl Into<String>) -> Self {
        Self { offset, expected: expected.into() }
    }

    fn malformed(at: &ast::Span, reason: &impl std::fmt::Display) -> Self {
        Self::new(at.start.offset, format!("a regular expression ({reason})"))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, PatternError> {
        if text.len() > MAX_BYTES {
            return Err(PatternError::new(0, format!("a pattern of at most {MAX_BYTES} bytes")));
        }
        let ast = ast::parse::ParserBuilder::new()
            .nest_limit(MAX_NESTING)
            .build()
            .parse(text)
            .map_err(|error| PatternError::malformed(error.span(), error.kind()))?;
        ast::visit(&ast, Supported::default())?;
        let hir = Translator::new()
            .translate(text, &ast)
            .map_err(|error| PatternError::malformed(error.span(), error.kind()))?;
        let mut size = Size::default();
        let syntax = size.take(&hir, 1)?;
        if syntax.anchors() > MAX_ANCHORS {
            return Err(PatternError::new(0, format!("at most {MAX_ANCHORS} anchors in a row")));
        }
        let regex =
            RegexBuilder::new(text).size_limit(MAX_COMPILED_BYTES).build().map_err(|_| too_complex())?;
        Ok(Self { text: text.to_owned(), syntax, regex })
    }

    /// The text of the pattern.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The syntax tree.
    #[must_use]
    pub fn syntax(&self) -> &Syntax {
        &self.syntax
    }

    /// Whether the pattern matches anywhere in a text.
    #[must_use]
    pub fn is_found_in(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// Rejects syntax that only one of `regex` and PostgreSQL supports, with its position.
#[derive(Default)]
struct Supported {
    /// The number of repetitions around the current part.
    repetitions: usize,
}

impl ast::Visitor for Supported {
    type Output = ();
    type Err = PatternError;

    fn finish(self) -> Result<(), PatternError> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), PatternError> {
        let wrong = |span: &ast::Span, expected: &str| Err(PatternError::new(span.start.offset, expected));
        match ast {
            Ast::Assertion(assertion) => match assertion.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText => {
                    // PostgreSQL would take minutes to prepare some such patterns.
                    if self.repetitions > 0 {
                        return wrong(&assertion.span, "no anchors in repetitions");
                    }
                    Ok(())
                }
                _ => wrong(&assertion.span, "no anchors except ^ and $"),
            },
            Ast::Repetition(repetition) => {
                use ast::RepetitionKind::Range;
                use ast::RepetitionRange::{AtLeast, Bounded, Exactly};
                self.repetitions += 1;
                match repetition.op.kind {
                    Range(Exactly(most) | AtLeast(most) | Bounded(_, most)) if most > MAX_REPETITIONS => {
                        wrong(&repetition.op.span, &format!("at most {MAX_REPETITIONS} repetitions"))
                    }
                    _ => Ok(()),
                }
            }
            Ast::Flags(set) => flags(&set.flags),
            Ast::Group(group) => match &group.kind {
                GroupKind::NonCapturing(of_group) => flags(of_group),
                GroupKind::CaptureIndex(_) | GroupKind::CaptureName { .. } => Ok(()),
            },
            Ast::Literal(literal) if literal.c == '\0' => Err(no_nul(literal.span.start.offset)),
            _ => Ok(()),
        }
    }

    fn visit_post(&mut self, ast: &Ast) -> Result<(), PatternError> {
        if let Ast::Repetition(_) = ast {
            self.repetitions -= 1;
        }
        Ok(())
    }
}

/// Rejects the flags for bytes instead of characters and for line anchors.
fn flags(flags: &Flags) -> Result<(), PatternError> {
    for item in &flags.items {
        if let FlagsItemKind::Flag(Flag::MultiLine | Flag::CRLF | Flag::Unicode) = item.kind {
            return Err(PatternError::new(item.span.start.offset, "no flags except i, s, U and x"));
        }
    }
    Ok(())
}

/// The complexity of a pattern.
#[derive(Default)]
struct Size {
    steps: usize,
    ranges: usize,
}

impl Size {
    /// The syntax tree of `hir`, which occurs `times` times with repetitions written out.
    fn take(&mut self, hir: &Hir, times: usize) -> Result<Syntax, PatternError> {
        match hir.kind() {
            HirKind::Empty => Ok(Syntax::Empty),
            HirKind::Literal(literal) => {
                let text = std::str::from_utf8(&literal.0).map_err(|_| not_text())?;
                // A class of one character is a literal.
                if text.contains('\0') {
                    return Err(no_nul(0));
                }
                self.step(text.chars().count(), times)?;
                Ok(Syntax::Literal(text.to_owned()))
            }
            HirKind::Class(class) => self.class(class, times),
            HirKind::Look(look) => {
                self.step(1, times)?;
                match look {
                    Look::Start => Ok(Syntax::Start),
                    Look::End => Ok(Syntax::End),
                    _ => Err(PatternError::new(0, "no anchors except ^ and $")),
                }
            }
            HirKind::Repetition(repetition) => {
                // Repeating a part that is always empty has no effect.
                if hir.properties().maximum_len() == Some(0) {
                    let once = self.take(&repetition.sub, times)?;
                    return Ok(if repetition.min == 0 { Syntax::Empty } else { once });
                }
                let (least, most) = (repetition.min, repetition.max);
                let written = most.unwrap_or(least).max(1);
                if written > MAX_REPETITIONS {
                    return Err(PatternError::new(0, format!("at most {MAX_REPETITIONS} repetitions")));
                }
                let times = times.saturating_mul(usize::try_from(written).unwrap_or(usize::MAX));
                let part = Box::new(self.take(&repetition.sub, times)?);
                Ok(Syntax::Repeat { part, least, most })
            }
            HirKind::Capture(capture) => self.take(&capture.sub, times),
            HirKind::Concat(parts) => Ok(Syntax::Sequence(self.take_all(parts, times)?)),
            HirKind::Alternation(parts) => Ok(Syntax::Alternatives(self.take_all(parts, times)?)),
        }
    }

    fn take_all(&mut self, parts: &[Hir], times: usize) -> Result<Vec<Syntax>, PatternError> {
        parts.iter().map(|part| self.take(part, times)).collect()
    }

    fn class(&mut self, class: &Class, times: usize) -> Result<Syntax, PatternError> {
        let class = match class {
            Class::Unicode(class) => class,
            // The representation of a class without characters.
            Class::Bytes(class) if class.ranges().is_empty() => return Err(no_characters()),
            Class::Bytes(_) => return Err(not_text()),
        };
        let first = |start: char| if start == '\0' { '\u{1}' } else { start };
        let ranges: Vec<_> = class
            .iter()
            .filter(|range| range.end() != '\0')
            .map(|range| (first(range.start()), range.end()))
            .collect();
        if ranges.is_empty() {
            return Err(no_characters());
        }
        self.ranges += ranges.len();
        self.step(1, times)?;
        Ok(Syntax::Class(ranges))
    }

    fn step(&mut self, steps: usize, times: usize) -> Result<(), PatternError> {
        self.steps = self.steps.saturating_add(steps.saturating_mul(times));
        if self.steps > MAX_STEPS || self.ranges > MAX_RANGES { Err(too_complex()) } else { Ok(()) }
    }
}

fn no_nul(offset: usize) -> PatternError {
    PatternError::new(offset, "a pattern without NUL characters")
}

fn not_text() -> PatternError {
    PatternError::new(0, "a pattern of characters, not bytes")
}

fn no_characters() -> PatternError {
    PatternError::new(0, "a pattern without empty classes")
}

fn too_complex() -> PatternError {
    let expected = format!(
        "a simpler pattern: at most {MAX_STEPS} characters with repetitions written out, and few large classes"
    );
    PatternError::new(0, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_anywhere_in_a_text() {
        for (pattern, text, found) in [
            ("", "", true),
            ("b", "abc", true),
            ("^b", "abc", false),
            ("^a.c$", "abc", true),
            ("a.c", "a\nc", false),
            ("(?s)a.c", "a\nc", true),
            ("a$", "a\n", false),
            ("(?i)STRASSE", "straße", false),
            ("(?i)ÄÖ", "äö", true),
            (r"^\w+\s\d{2,3}$", "größe 42", true),
            ("[^a-z]", "abc", false),
            (r"\x41|\u{1F600}", "x😀", true),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().is_found_in(text), found, "{pattern} in {text}");
        }
    }

    #[test]
    fn a_pattern_has_a_syntax_tree() {
        let syntax = |text| Pattern::parse(text).unwrap().syntax;
        assert_eq!(syntax("(?:)"), Syntax::Empty);
        assert_eq!(syntax("(?:(?:)){3}"), Syntax::Empty);
        assert_eq!(syntax("(?:^)"), Syntax::Start);
        assert_eq!(syntax("(?i)k"), Syntax::Class(vec![('K', 'K'), ('k', 'k'), ('\u{212a}', '\u{212a}')]));
        assert_eq!(syntax("[^b]"), Syntax::Class(vec![('\u{1}', 'a'), ('c', '\u{10ffff}')]));
        let digits = Box::new(Syntax::Class(vec![('0', '9')]));
        let digits = Syntax::Repeat { part: digits, least: 2, most: Some(9) };
        assert_eq!(syntax("a[0-9]{2,9}?"), Syntax::Sequence(vec![Syntax::Literal("a".into()), digits]));
    }

    #[test]
    fn errors_say_where_a_pattern_is_wrong() {
        for (pattern, offset, expected) in [
            ("ab(c", 2, "a regular expression (unclosed group)"),
            ("ä*+**{", 6, "a regular expression"),
            (r"a\b", 1, "no anchors except ^ and $"),
            ("a(?:^|b$)(?:^|$)c|^a$^$^", 0, "at most 4 anchors in a row"),
            ("(?:a|b$)?^", 6, "no anchors in repetitions"),
            ("(?i)(?m)^a", 6, "no flags except i, s, U and x"),
            ("a(?-u:b)", 4, "no flags except i, s, U and x"),
            ("ab{256}", 2, "at most 255 repetitions"),
            (
                "(?:ab{99}){9}",
                0,
                "a simpler pattern: at most 150 characters with repetitions written out, and few large classes",
            ),
            (r"(\w\d){7}(?:\w\w\w\w\w\w\w)", 0, "a simpler pattern"),
            (r"a\x00", 1, "a pattern without NUL characters"),
            (r"a[^\s\S]", 0, "a pattern without empty classes"),
            (r"a[\x00]", 0, "a pattern without NUL characters"),
            (r"(a)\1", 3, "a regular expression (backreferences are not supported)"),
            ("a(?=b)", 1, "a regular expression (look-around"),
        ] {
            let error = Pattern::parse(pattern).expect_err(pattern);
            assert_eq!(error.offset, offset, "{pattern}: {}", error.expected);
            assert!(error.expected.starts_with(expected), "{pattern}: {}", error.expected);
        }
        assert!(Pattern::parse(&"a".repeat(257)).is_err());
        assert!(Pattern::parse(r"^[\w.+-]{1,64}@[a-z0-9.-]{1,63}\.[a-z]{2,9}$").is_ok());
    }
}
