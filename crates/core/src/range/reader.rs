//! Reads a text from left to right and knows where in it. Which tokens a range is
//! made of is not its business.

use super::RangeError;

/// Where something stands in a text: the number of its character, from 1. It is for
/// errors and no part of what was said, so all positions are equal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position(usize);

impl Position {
    /// The error that something else was expected here.
    pub(super) fn expected(self, expected: impl Into<String>) -> RangeError {
        RangeError { position: self.0, expected: expected.into() }
    }
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

pub(super) struct Reader<'a> {
    text: &'a str,
    /// The next byte, always at the start of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What is still to be read.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn position(&self) -> Position {
        Position(self.text[..self.at].chars().count() + 1)
    }

    /// The error that something else was expected next.
    pub(super) fn expected(&self, expected: &'static str) -> RangeError {
        self.position().expected(expected)
    }

    pub(super) fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn skip_spaces(&mut self) {
        self.word(|character| character == ' ');
    }

    /// The characters from here on that belong, possibly none.
    pub(super) fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = &rest[..rest.find(|character| !belongs(character)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    /// Whether `character` came next; then it is read.
    pub(super) fn take(&mut self, character: char) -> bool {
        let found = self.rest().starts_with(character);
        if found {
            self.at += character.len_utf8();
        }
        found
    }

    /// A character that must come, after any spaces.
    pub(super) fn symbol(&mut self, symbol: char, expected: &'static str) -> Result<(), RangeError> {
        self.skip_spaces();
        if self.take(symbol) { Ok(()) } else { Err(self.expected(expected)) }
    }

    /// A number of exactly `digits` digits, of which more may follow that are no part
    /// of it.
    pub(super) fn digits(&mut self, digits: usize, expected: &'static str) -> Result<u32, RangeError> {
        let found = self.rest().bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = self.rest()[..found].parse().ok().filter(|_| found == digits);
        let number = number.ok_or_else(|| self.expected(expected))?;
        self.at += found;
        Ok(number)
    }

    /// A number of at least one and at most `most` digits, of which no more may follow.
    pub(super) fn number(&mut self, most: usize, expected: &'static str) -> Result<u32, RangeError> {
        let position = self.position();
        let number = self.word(|character| character.is_ascii_digit());
        let small = number.len() <= most;
        number.parse().ok().filter(|_| small).ok_or_else(|| position.expected(expected))
    }
}
