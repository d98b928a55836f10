//! Parsing of short texts that people write: a cursor that tracks its position, and an error with the
//! position at which a text is wrong. Calendars, ranges, filters and dates are parsed with it.

use std::fmt;

/// The error that a text is wrong at a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The position of the error, in characters from 1.
    pub position: usize,
    /// What was expected there.
    pub expected: String,
    /// What was found there. Empty at the end of the text. None if the whole text is wrong, for example
    /// because it is too long.
    pub found: Option<String>,
}

impl SyntaxError {
    /// An error at a position, in characters from 1.
    pub fn new(position: usize, expected: impl Into<String>) -> Self {
        Self { position, expected: expected.into(), found: None }
    }

    /// The same error with the text that was found, which is truncated if it is long.
    #[must_use]
    pub fn found(self, found: &str) -> Self {
        Self { found: Some(shortened(found).to_owned()), ..self }
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, expected, found } = self;
        write!(f, "at character {position}: expected {expected}")?;
        match found.as_deref() {
            None => Ok(()),
            Some("") => f.write_str(", found the end"),
            Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => write!(f, ", found {number}"),
            Some(found) => write!(f, ", found {found:?}"),
        }
    }
}

impl std::error::Error for SyntaxError {}

/// The maximum number of characters of a caller's text in an error.
const MAX_SHOWN_CHARS: usize = 40;

fn shortened(text: &str) -> &str {
    text.char_indices().nth(MAX_SHOWN_CHARS).map_or(text, |(end, _)| &text[..end])
}

/// A position in a text that is read from left to right. A copy keeps its position, so an error can refer
/// back to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    /// The position of `rest` in the text, in characters from 1.
    position: usize,
}

impl<'a> Cursor<'a> {
    /// The start of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, position: 1 }
    }

    /// The unread rest of the text.
    pub(crate) fn rest(&self) -> &'a str {
        self.rest
    }

    /// The position of the next character, in characters from 1.
    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// Whether everything has been read.
    pub(crate) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next character, which stays unread.
    pub(crate) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Reads the next character.
    pub(crate) fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.advance(character.len_utf8());
        Some(character)
    }

    /// Reads `expected` if it is next, and returns whether it was.
    pub(crate) fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.rest.starts_with(expected);
        if is_next {
            self.advance(expected.len());
        }
        is_next
    }

    /// Reads the next characters as long as `belongs` is true.
    pub(crate) fn take_while(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let word = self.peek_while(belongs);
        self.advance(word.len());
        word
    }

    /// The next characters as long as `belongs` is true, which stay unread.
    pub(crate) fn peek_while(&self, belongs: impl Fn(char) -> bool) -> &'a str {
        &self.rest[..self.rest.find(|character| !belongs(character)).unwrap_or(self.rest.len())]
    }

    /// Reads `sign`, which must be next.
    pub(crate) fn require(&mut self, sign: &str, expected: &str) -> Result<(), SyntaxError> {
        if self.eat(sign) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Checks that everything has been read.
    pub(crate) fn end(&self, expected: &str) -> Result<(), SyntaxError> {
        if self.is_at_end() { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// Reads a number of exactly `digits` digits, at most nine. Further digits can follow, and stay unread.
    pub(crate) fn digits(&mut self, digits: usize, expected: &str) -> Result<u32, SyntaxError> {
        let found = self.rest.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = self.rest[..found].parse().ok().filter(|_| found == digits);
        let number = number.ok_or_else(|| self.expected(expected))?;
        self.advance(found);
        Ok(number)
    }

    /// Reads a number of one to `most` digits, where `most` is at most nine. No further digit may follow.
    pub(crate) fn number(&mut self, most: usize, expected: &str) -> Result<u32, SyntaxError> {
        let digits = self.peek_while(|character| character.is_ascii_digit());
        let number = digits.parse().ok().filter(|_| digits.len() <= most);
        let number = number.ok_or_else(|| self.expected(expected))?;
        self.advance(digits.len());
        Ok(number)
    }

    /// The error that `expected` was expected in place of the next word, number or sign.
    pub(crate) fn expected(&self, expected: impl Into<String>) -> SyntaxError {
        let word = self.peek_while(|character| character.is_alphanumeric() || character == '_');
        let sign = self.peek().map_or(0, char::len_utf8);
        let found = if word.is_empty() { &self.rest[..sign] } else { word };
        SyntaxError::new(self.position, expected).found(found)
    }

    fn advance(&mut self, bytes: usize) {
        let (read, rest) = self.rest.split_at(bytes);
        self.position += read.chars().count();
        self.rest = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_position_and_what_was_expected_and_found() {
        let mut cursor = Cursor::new("größe 12x ) ");
        assert_eq!(cursor.take_while(char::is_alphabetic), "größe");
        assert!(cursor.eat(" "));
        let number = cursor.number(2, "a number").unwrap();
        assert_eq!((number, cursor.position()), (12, 9));
        let error = cursor.require(")", "a bracket").unwrap_err();
        assert_eq!(error.to_string(), "at character 9: expected a bracket, found \"x\"");
        assert!(cursor.eat("x "));
        assert_eq!(cursor.expected("a word").found.as_deref(), Some(")"));
        assert_eq!((cursor.next(), cursor.next(), cursor.next()), (Some(')'), Some(' '), None));
        let error = cursor.expected("a word");
        assert_eq!(error.to_string(), "at character 13: expected a word, found the end");
        assert!(cursor.is_at_end() && cursor.end("the end").is_ok());
    }

    #[test]
    fn a_copy_keeps_its_position() {
        let text = "1234567890".repeat(5);
        let mut cursor = Cursor::new(&text);
        let start = cursor;
        assert!(cursor.number(5, "five digits").is_err());
        assert_eq!(cursor.digits(4, "four digits"), Ok(1234));
        let error = start.expected("a year");
        assert_eq!(error, SyntaxError::new(1, "a year").found(&text[..40]));
        let whole = SyntaxError::new(1, "at most 8 bytes");
        assert_eq!(whole.to_string(), "at character 1: expected at most 8 bytes");
    }
}
