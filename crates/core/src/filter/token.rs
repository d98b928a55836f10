//! Tokens of a filter, which keep the position of each character.

use crate::syntax::SyntaxError;

/// A word, number or quoted text, without its quotes and escapes. Positions are counted in characters, from
/// 1.
#[derive(Debug)]
pub(super) struct Token {
    /// The position of the token, including its quote.
    pub(super) position: usize,
    pub(super) text: String,
    /// The position of each character of `text`.
    written_at: Vec<usize>,
    end: usize,
}

impl Token {
    /// An empty token, to which characters are added.
    pub(super) fn starting(position: usize) -> Self {
        Self { position, text: String::new(), written_at: Vec::new(), end: position }
    }

    /// A token without quotes and escapes.
    pub(super) fn plain(position: usize, text: &str) -> Self {
        let written_at: Vec<_> = (position..).take(text.chars().count()).collect();
        let end = position + written_at.len();
        Self { position, text: text.to_owned(), written_at, end }
    }

    /// Adds a character with its position.
    pub(super) fn push(&mut self, position: usize, character: char) {
        self.written_at.push(position);
        self.text.push(character);
    }

    /// Completes the token. `end` is the position of its closing quote.
    pub(super) fn ending(mut self, end: usize) -> Self {
        self.end = end;
        self
    }

    /// The position of the character at byte `offset` of the text.
    pub(super) fn place_of(&self, offset: usize) -> usize {
        let index = self.text[..offset].chars().count();
        self.written_at.get(index).copied().unwrap_or(self.end)
    }

    /// The error that `expected` was expected in place of this token.
    pub(super) fn expected(&self, expected: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.position, expected).found(&self.text)
    }
}
