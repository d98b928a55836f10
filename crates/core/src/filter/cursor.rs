//! A place in the text of a filter, and texts read from it whose characters remember
//! where they stood.

/// What is wrong at a byte of the text.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) at: usize,
    pub(super) expected: String,
}

impl Wrong {
    pub(super) fn new(at: usize, expected: impl Into<String>) -> Self {
        Self { at, expected: expected.into() }
    }
}

/// A word, number or quoted text, without its quotes and escapes.
#[derive(Debug)]
pub(super) struct Token {
    /// The byte at which it begins.
    pub(super) at: usize,
    pub(super) text: String,
    /// The byte at which each character of `text` is written.
    written_at: Vec<usize>,
    end: usize,
}

impl Token {
    /// A token that is to be read; `at` is its first byte, with the quote.
    pub(super) fn starting(at: usize) -> Self {
        Self { at, text: String::new(), written_at: Vec::new(), end: at }
    }

    /// A token that is written as it is.
    pub(super) fn plain(at: usize, text: &str) -> Self {
        let written_at = text.char_indices().map(|(offset, _)| at + offset).collect();
        Self { at, text: text.to_owned(), written_at, end: at + text.len() }
    }

    /// Adds a character that is written at `at`.
    pub(super) fn push(&mut self, at: usize, character: char) {
        self.written_at.push(at);
        self.text.push(character);
    }

    /// The token is complete; `end` is the byte of its closing quote.
    pub(super) fn ending(mut self, end: usize) -> Self {
        self.end = end;
        self
    }

    /// The byte at which the character at byte `offset` of its text is written.
    pub(super) fn place_of(&self, offset: usize) -> usize {
        let index = self.text[..offset].chars().count();
        self.written_at.get(index).copied().unwrap_or(self.end)
    }
}

/// A place in a text.
pub(super) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The byte at which it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The next character and the byte at which it stands.
    pub(super) fn next(&mut self) -> Option<(usize, char)> {
        let character = self.peek()?;
        let at = self.at;
        self.at += character.len_utf8();
        Some((at, character))
    }

    /// Goes behind `expected` if it is next.
    pub(super) fn eat(&mut self, expected: &str) -> bool {
        let is_next = self.rest().starts_with(expected);
        if is_next {
            self.at += expected.len();
        }
        is_next
    }

    /// Goes behind the characters that are of a kind.
    pub(super) fn take_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    /// Something else was expected here.
    pub(super) fn wrong(&self, expected: impl Into<String>) -> Wrong {
        Wrong::new(self.at, expected)
    }
}
