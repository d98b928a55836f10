//! Parses filters that are written as a JSON object. The text is parsed directly, not as a general JSON
//! value, so that repeated keys keep all conditions, numbers stay exact, and errors have a position.

use super::reading::{Builder, within_depth};
use super::token::Token;
use super::{Condition, Operator};
use crate::syntax::{Cursor, SyntaxError};
use crate::usage::Field;

const OPERATORS: &str = "$eq, $ne, $gt, $gte, $lt, $lte, $in, $nin, $regex, $exists or $not";

pub(super) fn read(text: &str, about: Option<&[Field]>) -> Result<Condition, SyntaxError> {
    let mut reader = Reader { cursor: Cursor::new(text), builder: Builder::new(about) };
    let condition = reader.object()?;
    reader.skip_spaces();
    reader.cursor.end("the end")?;
    Ok(condition)
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    builder: Builder<'a>,
}

impl Reader<'_> {
    fn skip_spaces(&mut self) {
        self.cursor.take_while(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
    }

    fn eat(&mut self, sign: &str) -> bool {
        self.skip_spaces();
        self.cursor.eat(sign)
    }

    fn expect(&mut self, sign: &str, expected: &str) -> Result<(), SyntaxError> {
        self.skip_spaces();
        self.cursor.require(sign, expected)
    }

    /// The position of the next token, and its first character.
    fn next(&mut self) -> (usize, Option<char>) {
        self.skip_spaces();
        (self.cursor.position(), self.cursor.peek())
    }

    /// Parses the members of an object. `read` is called after the colon of each.
    fn members(
        &mut self,
        expected: &str,
        mut read: impl FnMut(&mut Self, Token) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        let (at, _) = self.next();
        self.expect("{", expected)?;
        self.builder.enter(at)?;
        if !self.eat("}") {
            loop {
                let name = self.string("a name in double quotes")?;
                self.expect(":", ":")?;
                read(self, name)?;
                if self.eat("}") {
                    break;
                }
                self.expect(",", ", or }")?;
            }
        }
        self.builder.leave();
        Ok(())
    }

    /// Parses the elements of a list, each with `read`.
    fn elements(
        &mut self,
        expected: &str,
        mut read: impl FnMut(&mut Self) -> Result<(), SyntaxError>,
    ) -> Result<(), SyntaxError> {
        self.expect("[", expected)?;
        if self.eat("]") {
            return Ok(());
        }
        loop {
            read(self)?;
            if self.eat("]") {
                return Ok(());
            }
            self.expect(",", ", or ]")?;
        }
    }

    /// Parses an object of fields and their conditions.
    fn object(&mut self) -> Result<Condition, SyntaxError> {
        let (at, _) = self.next();
        let mut parts = Vec::new();
        self.members("a JSON object of fields and values", |reader, name| {
            parts.push(reader.member(&name)?);
            Ok(())
        })?;
        within_depth(Condition::all(parts), at)
    }

    /// Parses a member of an object of fields.
    fn member(&mut self, name: &Token) -> Result<Condition, SyntaxError> {
        match name.text.as_str() {
            "$and" => {
                let parts = self.objects()?;
                within_depth(Condition::all(parts), name.position)
            }
            "$or" => {
                let parts = self.objects()?;
                within_depth(Condition::any(parts), name.position)
            }
            "$nor" => {
                let parts = self.objects()?;
                within_depth(Condition::any(parts).negated(), name.position)
            }
            operator if operator.starts_with('$') => {
                Err(name.expected("the name of a field, $and, $or or $nor"))
            }
            field => {
                let field = self.builder.field(field).map_err(|expected| name.expected(expected))?;
                self.demand(&field)
            }
        }
    }

    /// Parses a list of objects of fields, none of which is empty.
    fn objects(&mut self) -> Result<Vec<Condition>, SyntaxError> {
        let (list, _) = self.next();
        let mut parts = Vec::new();
        self.elements("a list of objects", |reader| {
            let (at, _) = reader.next();
            let part = reader.object()?;
            if part == Condition::EVERYTHING {
                return Err(SyntaxError::new(at, "an object with a condition"));
            }
            parts.push(part);
            Ok(())
        })?;
        if parts.is_empty() { Err(SyntaxError::new(list, "at least one object")) } else { Ok(parts) }
    }

    /// Parses the value of a field, or an object of operators.
    fn demand(&mut self, field: &Field) -> Result<Condition, SyntaxError> {
        if let (_, Some('{')) = self.next() {
            return self.operators(field);
        }
        let value = self
            .value(&format!("a string, a number or an object such as {{\"$gt\": 5}} for {}", field.name()))?;
        self.builder.compare(field, Operator::Equal, &value)
    }

    fn operators(&mut self, field: &Field) -> Result<Condition, SyntaxError> {
        let (at, _) = self.next();
        let mut parts = Vec::new();
        self.members("an object of operators", |reader, name| {
            parts.push(reader.operator(field, &name)?);
            Ok(())
        })?;
        if parts.is_empty() {
            return Err(SyntaxError::new(at, format!("an operator: {OPERATORS}")));
        }
        within_depth(Condition::all(parts), at)
    }

    fn operator(&mut self, field: &Field, name: &Token) -> Result<Condition, SyntaxError> {
        let comparison = match name.text.as_str() {
            "$eq" | "$ne" => Operator::Equal,
            "$gt" => Operator::Greater,
            "$gte" => Operator::GreaterOrEqual,
            "$lt" => Operator::Less,
            "$lte" => Operator::LessOrEqual,
            "$in" => return self.one_of(field),
            "$nin" => return Ok(self.one_of(field)?.negated()),
            "$regex" => {
                let pattern = self.string("a pattern in double quotes")?;
                return self.builder.matches(field, &pattern);
            }
            "$exists" => return self.exists(field, name.position),
            "$not" => return within_depth(self.operators(field)?.negated(), name.position),
            _ => return Err(name.expected(OPERATORS)),
        };
        let value = self.value("a string or a number")?;
        let condition = self.builder.compare(field, comparison, &value)?;
        Ok(if name.text == "$ne" { condition.negated() } else { condition })
    }

    fn one_of(&mut self, field: &Field) -> Result<Condition, SyntaxError> {
        let (at, _) = self.next();
        let mut values = Vec::new();
        self.elements("a list of values", |reader| {
            values.push(reader.value("a string or a number")?);
            Ok(())
        })?;
        self.builder.one_of(field, at, &values)
    }

    fn exists(&mut self, field: &Field, at: usize) -> Result<Condition, SyntaxError> {
        let present = self.builder.present(field, at)?;
        self.skip_spaces();
        let start = self.cursor;
        match self.cursor.take_while(|c| c.is_ascii_alphanumeric()) {
            "true" => Ok(present),
            "false" => Ok(present.negated()),
            _ => Err(start.expected("true or false")),
        }
    }

    /// Parses a string, a number as it is written, or a boolean as text.
    fn value(&mut self, expected: &str) -> Result<Token, SyntaxError> {
        let (at, first) = self.next();
        let start = self.cursor;
        if first == Some('"') {
            return self.string(expected);
        }
        let word = self.cursor.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.'));
        if matches!(word, "true" | "false") || is_number(word) {
            Ok(Token::plain(at, word))
        } else {
            Err(start.expected(expected))
        }
    }

    /// Parses a string in double quotes.
    fn string(&mut self, expected: &str) -> Result<Token, SyntaxError> {
        let (at, _) = self.next();
        self.expect("\"", expected)?;
        let mut token = Token::starting(at);
        while let (at, Some(character)) = (self.cursor.position(), self.cursor.next()) {
            match character {
                '"' => return Ok(token.ending(at)),
                '\\' => {
                    let escaped = self.escaped(at)?;
                    token.push(at, escaped);
                }
                '\0'..' ' => return Err(SyntaxError::new(at, "\\u and four digits for a control character")),
                _ => token.push(at, character),
            }
        }
        Err(self.cursor.expected("\" at the end of the text"))
    }

    /// Parses the text after a backslash at `at`.
    fn escaped(&mut self, at: usize) -> Result<char, SyntaxError> {
        let expected = "an escape of JSON such as \\\\, \\\" or \\n";
        let character = match self.cursor.next() {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let unit = self.four_digits().ok_or_else(|| SyntaxError::new(at, "four digits after \\u"))?;
                let units = if (0xd800..0xdc00).contains(&unit) && self.cursor.eat("\\u") {
                    [Some(unit), self.four_digits()]
                } else {
                    [Some(unit), None]
                };
                let mut decoded = char::decode_utf16(units.into_iter().flatten());
                match (decoded.next(), decoded.next()) {
                    (Some(Ok(character)), None) => character,
                    _ => return Err(SyntaxError::new(at, "both halves of a surrogate pair")),
                }
            }
            _ => return Err(SyntaxError::new(at, expected)),
        };
        Ok(character)
    }

    /// Parses four hexadecimal digits.
    fn four_digits(&mut self) -> Option<u16> {
        let digits =
            self.cursor.rest().get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.cursor.eat(digits);
        u16::from_str_radix(digits, 16).ok()
    }
}

/// Whether a text is a number in JSON.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (text, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && digits(fraction)
        && digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))
}
