//! Parses filters that are written as an expression in the style of AIP-160: `a = 1 AND (b > 2 OR NOT c:*)`.

use super::reading::{Builder, within_depth};
use super::token::Token;
use super::{Condition, Operator};
use crate::syntax::{Cursor, SyntaxError};
use crate::usage::Field;

/// Words that are only names or values if they are quoted.
const KEYWORDS: [&str; 4] = ["AND", "OR", "NOT", "IN"];

/// Whether a text can be written without quotes.
pub(super) fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(is_word_part)
}

/// Whether a text can be written without quotes at the start of the name of a field.
pub(super) fn is_name(text: &str) -> bool {
    is_word(text) && !text.starts_with('-') && !KEYWORDS.contains(&text)
}

fn is_word_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.')
}

pub(super) fn read(text: &str, about: Option<&[Field]>) -> Result<Condition, SyntaxError> {
    let mut reader = Reader { cursor: Cursor::new(text), builder: Builder::new(about) };
    let condition = reader.conjunction()?;
    reader.skip_spaces();
    reader.cursor.end("AND, OR or the end")?;
    Ok(condition)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    builder: Builder<'a>,
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.cursor.take_while(char::is_whitespace);
    }

    /// The next word, which stays unread.
    fn next_word(&mut self) -> &str {
        self.skip_spaces();
        self.cursor.peek_while(is_word_part)
    }

    fn eat_keyword(&mut self, keyword: &str) -> bool {
        self.next_word() == keyword && self.cursor.eat(keyword)
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip_spaces();
        self.cursor.eat(sign)
    }

    fn expect(&mut self, sign: &str, expected: &str) -> Result<(), SyntaxError> {
        self.skip_spaces();
        self.cursor.require(sign, expected)
    }

    /// Parses parts joined by AND.
    fn conjunction(&mut self) -> Result<Condition, SyntaxError> {
        self.skip_spaces();
        let at = self.cursor.position();
        let mut parts = vec![self.disjunction()?];
        while self.eat_keyword("AND") {
            parts.push(self.disjunction()?);
        }
        within_depth(Condition::all(parts), at)
    }

    /// Parses parts joined by OR.
    fn disjunction(&mut self) -> Result<Condition, SyntaxError> {
        self.skip_spaces();
        let at = self.cursor.position();
        let mut parts = vec![self.term()?];
        while self.eat_keyword("OR") {
            parts.push(self.term()?);
        }
        within_depth(Condition::any(parts), at)
    }

    /// Parses a part that can be negated.
    fn term(&mut self) -> Result<Condition, SyntaxError> {
        self.skip_spaces();
        let at = self.cursor.position();
        let mut negated = false;
        while self.eat_keyword("NOT") || self.eat("-") {
            negated = !negated;
        }
        self.skip_spaces();
        let opening = self.cursor.position();
        let condition = if self.eat("(") {
            self.builder.enter(opening)?;
            let inner = self.conjunction()?;
            self.expect(")", "AND, OR or )")?;
            self.builder.leave();
            inner
        } else {
            self.restriction()?
        };
        within_depth(if negated { condition.negated() } else { condition }, at)
    }

    /// Parses a condition on a field.
    fn restriction(&mut self) -> Result<Condition, SyntaxError> {
        let at = self.cursor.position();
        let field = self.field()?;
        self.skip_spaces();
        if self.eat(":") {
            self.expect("*", "* after :, which tests whether the field is present")?;
            return self.builder.present(&field, at);
        }
        if self.eat("=~") {
            let pattern = self.quoted("a pattern in quotes")?;
            return self.builder.matches(&field, &pattern);
        }
        if self.eat("!~") {
            let pattern = self.quoted("a pattern in quotes")?;
            return Ok(self.builder.matches(&field, &pattern)?.negated());
        }
        if self.eat("!=") {
            let value = self.value()?;
            return Ok(self.builder.compare(&field, Operator::Equal, &value)?.negated());
        }
        // Longer operators come before their prefixes.
        for operator in [
            Operator::LessOrEqual,
            Operator::GreaterOrEqual,
            Operator::Equal,
            Operator::Less,
            Operator::Greater,
        ] {
            if self.eat(operator.sign()) {
                let value = self.value()?;
                return self.builder.compare(&field, operator, &value);
            }
        }
        if self.eat_keyword("NOT") {
            if !self.eat_keyword("IN") {
                return Err(self.cursor.expected("IN"));
            }
            return Ok(self.one_of(&field)?.negated());
        }
        if self.eat_keyword("IN") {
            return self.one_of(&field);
        }
        Err(self.cursor.expected("an operator: =, !=, <, <=, >, >=, =~, !~, IN, NOT IN or :*"))
    }

    /// Parses the list after IN.
    fn one_of(&mut self, field: &Field) -> Result<Condition, SyntaxError> {
        self.skip_spaces();
        let at = self.cursor.position();
        self.expect("(", "( and the values")?;
        let mut values = vec![self.value()?];
        while self.eat(",") {
            values.push(self.value()?);
        }
        self.expect(")", ", or )")?;
        self.builder.one_of(field, at, &values)
    }

    fn field(&mut self) -> Result<Field, SyntaxError> {
        let start = self.cursor.position();
        let word = self.next_word().to_owned();
        if !is_name(&word) {
            return Err(self.cursor.expected("the name of a field"));
        }
        self.cursor.eat(&word);
        let wrong = |name: &str, expected| SyntaxError::new(start, expected).found(name);
        if word == "attributes" && self.cursor.eat("[") {
            let name = self.quoted("the name of an attribute in quotes")?;
            self.expect("]", "]")?;
            self.builder.attribute(&name.text).map_err(|expected| wrong(&name.text, expected))
        } else {
            self.builder.field(&word).map_err(|expected| wrong(&word, expected))
        }
    }

    /// Parses a word or a string in quotes.
    fn value(&mut self) -> Result<Token, SyntaxError> {
        let expected = "a number, a word or a string in quotes";
        let word = self.next_word().to_owned();
        if word.is_empty() {
            return self.quoted(expected);
        }
        if KEYWORDS.contains(&word.as_str()) {
            return Err(self.cursor.expected(expected));
        }
        let token = Token::plain(self.cursor.position(), &word);
        self.cursor.eat(&word);
        Ok(token)
    }

    /// Parses a string in quotes, in which \ escapes a quote or another \.
    fn quoted(&mut self, expected: &str) -> Result<Token, SyntaxError> {
        self.skip_spaces();
        let Some(quote @ ('"' | '\'')) = self.cursor.peek() else {
            return Err(self.cursor.expected(expected));
        };
        let mut token = Token::starting(self.cursor.position());
        self.cursor.next();
        while let (at, Some(character)) = (self.cursor.position(), self.cursor.next()) {
            if character == quote {
                return Ok(token.ending(at));
            }
            if character != '\\' {
                token.push(at, character);
                continue;
            }
            let Some(escaped @ ('\\' | '"' | '\'')) = self.cursor.peek() else {
                return Err(self.cursor.expected("\\ or a quote after \\"));
            };
            self.cursor.next();
            token.push(at, escaped);
        }
        Err(self.cursor.expected(format!("{quote} at the end of the text")))
    }
}
