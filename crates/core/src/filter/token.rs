//! Texts read from a filter, whose characters remember where they stood.

use crate::syntax::SyntaxError;

/// A word, number or quoted text, without its quotes and escapes. Positions are characters of the filter, from 1.
#[derive(Debug)]
pub(super) struct Token {
    /// Where it begins, with its quote.
    pub(super) position: usize,
    pub(super) text: String,
    /// Where each character of `text` is written.
    written_at: Vec<usize>,
    end: usize,
}

impl Token {
    /// A token that is to be read.
    pub(super) fn starting(position: usize) -> Self {
        Self { position, text: String::new(), written_at: Vec::new(), end: position }
    }

    /// A token that is written as it is.
    pub(super) fn plain(position: usize, text: &str) -> Self {
        let written_at: Vec<_> = (position..).take(text.chars().count()).collect();
        let end = position + written_at.len();
        Self { position, text: text.to_owned(), written_at, end }
    }

    /// Adds a character that is written there.
    pub(super) fn push(&mut self, position: usize, character: char) {
        self.written_at.push(position);
        self.text.push(character);
    }

    /// The token is complete; `end` is where its closing quote stands.
    pub(super) fn ending(mut self, end: usize) -> Self {
        self.end = end;
        self
    }

    /// Where the character at byte `offset` of its text is written.
    pub(super) fn place_of(&self, offset: usize) -> usize {
        let index = self.text[..offset].chars().count();
        self.written_at.get(index).copied().unwrap_or(self.end)
    }

    /// The error that something else was expected than this text.
    pub(super) fn expected(&self, expected: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.position, expected).found(&self.text)
    }
}
