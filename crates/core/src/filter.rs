//! Filters: which events a question is about. Two spellings, one meaning: a JSON
//! object of fields and values, or an expression `field = value AND …`.

use crate::quantity::Quantity;
use crate::usage::{Field, UsageEvent};

/// A filter: events that satisfy every condition. No condition: all events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// The conditions.
    pub conditions: Vec<Equals>,
}

/// A field has a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equals {
    /// The field.
    pub field: Field,
    /// The value.
    pub value: Value,
}

/// A value that a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a field of text, or an attribute.
    Text(String),
    /// Of a field that is a number.
    Number(Quantity),
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}")]
pub struct FilterError {
    /// The character at which it goes wrong, from 1.
    pub position: usize,
    /// What was expected there.
    pub expected: String,
}

impl FilterError {
    fn new(position: usize, expected: impl Into<String>) -> Self {
        Self { position, expected: expected.into() }
    }
}

/// Bytes of a filter: far more than a person writes, and little to parse.
const MAX_BYTES: usize = 8 * 1024;
/// Conditions of a filter.
const MAX_CONDITIONS: usize = 64;

impl Filter {
    /// Reads a filter in either spelling. An empty text filters nothing.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.len() > MAX_BYTES {
            return Err(FilterError::new(1, format!("at most {MAX_BYTES} bytes")));
        }
        let conditions = if text.trim().is_empty() {
            Vec::new()
        } else if text.trim_start().starts_with('{') {
            from_json(text)?
        } else {
            from_expression(text)?
        };
        if conditions.len() > MAX_CONDITIONS {
            return Err(FilterError::new(1, format!("at most {MAX_CONDITIONS} conditions")));
        }
        Ok(Self { conditions })
    }

    /// Whether an event satisfies every condition.
    #[must_use]
    pub fn matches(&self, event: &UsageEvent<'_>) -> bool {
        self.conditions.iter().all(|condition| condition.matches(event))
    }
}

impl Equals {
    /// `field = text`, with the text read as a number where the field is one.
    fn new(name: &str, text: &str) -> Result<Self, String> {
        let field = Field::named(name);
        let value = match field {
            Field::Text(_) | Field::Attribute(_) => Value::Text(text.to_owned()),
            Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
                let number = text.parse().map_err(|_| format!("a number, because {name} is one"))?;
                Value::Number(number)
            }
        };
        if name.contains('\0') || text.contains('\0') {
            return Err("text without NUL characters".to_owned());
        }
        Ok(Self { field, value })
    }

    fn matches(&self, event: &UsageEvent<'_>) -> bool {
        match (&self.field, &self.value) {
            (Field::Text(field), Value::Text(text)) => event.text(*field) == text,
            // An absent text is empty, as it is in a series' labels.
            (Field::Attribute(name), Value::Text(text)) => event.attribute(name).unwrap_or("") == text,
            (Field::HttpStatus, Value::Number(number)) => {
                event.http_status.is_some_and(|status| Quantity::from(i64::from(status)) == *number)
            }
            (Field::Duration, Value::Number(number)) => {
                event.duration_ms.is_some_and(|measure| Quantity::from(measure) == *number)
            }
            (Field::ResponseSize, Value::Number(number)) => {
                event.response_bytes.is_some_and(|measure| Quantity::from(measure) == *number)
            }
            (Field::Value, Value::Number(number)) => event.value == Some(*number),
            // `new` gives every field a value of its kind.
            (Field::Text(_) | Field::Attribute(_), Value::Number(_)) | (_, Value::Text(_)) => false,
        }
    }
}

fn from_json(text: &str) -> Result<Vec<Equals>, FilterError> {
    let parsed: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
        let before: usize = lines.map(|line| line.chars().count()).sum();
        FilterError::new(before + error.column().max(1), format!("a JSON object ({error})"))
    })?;
    let mut conditions = Vec::new();
    collect(&parsed, text, &mut conditions)?;
    Ok(conditions)
}

fn collect(object: &serde_json::Value, text: &str, conditions: &mut Vec<Equals>) -> Result<(), FilterError> {
    let Some(object) = object.as_object() else {
        return Err(FilterError::new(1, "a JSON object of fields and values"));
    };
    for (name, value) in object {
        let wrong = |expected: String| FilterError::new(position_of_key(text, name), expected);
        if name == "$and" {
            let parts = value.as_array().ok_or_else(|| wrong("a list of objects after $and".into()))?;
            for part in parts {
                collect(part, text, conditions)?;
            }
            continue;
        }
        if name.is_empty() || name.starts_with('$') {
            return Err(wrong("the name of a field, or $and".into()));
        }
        let value = match value.as_object() {
            Some(operator) if operator.len() == 1 => operator.get("$eq"),
            Some(_) => None,
            None => Some(value),
        };
        let text = match value {
            Some(serde_json::Value::String(text)) => text.clone(),
            Some(number @ serde_json::Value::Number(_)) => number.to_string(),
            Some(flag @ serde_json::Value::Bool(_)) => flag.to_string(),
            _ => return Err(wrong(format!("a text or a number as the value of {name}, or {{\"$eq\": …}}"))),
        };
        conditions.push(Equals::new(name, &text).map_err(wrong)?);
    }
    Ok(())
}

/// Where a key stands in the text, for the message.
fn position_of_key(text: &str, name: &str) -> usize {
    let key = serde_json::Value::from(name).to_string();
    text.find(&key).map_or(1, |at| text[..at].chars().count() + 1)
}

fn from_expression(text: &str) -> Result<Vec<Equals>, FilterError> {
    let mut tokens = Tokens { text, at: 0 };
    let mut conditions = Vec::new();
    loop {
        let (position, name) = tokens.word("the name of a field")?;
        tokens.equals_sign()?;
        let (value_position, value) = tokens.value()?;
        let condition = Equals::new(&name, &value)
            .map_err(|expected| FilterError::new(value_position.max(position), expected))?;
        conditions.push(condition);
        if tokens.at_end() {
            return Ok(conditions);
        }
        let (position, word) = tokens.word("AND or the end")?;
        if word != "AND" {
            return Err(FilterError::new(position, "AND or the end"));
        }
    }
}

struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl Tokens<'_> {
    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn at_end(&mut self) -> bool {
        self.skip_spaces();
        self.at == self.text.len()
    }

    fn position(&self) -> usize {
        self.text[..self.at].chars().count() + 1
    }

    /// A bare word: a name, a number or AND.
    fn word(&mut self, expected: &str) -> Result<(usize, String), FilterError> {
        self.skip_spaces();
        let position = self.position();
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        let rest = &self.text[self.at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(FilterError::new(position, expected));
        }
        self.at += end;
        Ok((position, rest[..end].to_owned()))
    }

    fn equals_sign(&mut self) -> Result<(), FilterError> {
        self.skip_spaces();
        if !self.text[self.at..].starts_with('=') {
            return Err(FilterError::new(self.position(), "="));
        }
        self.at += 1;
        Ok(())
    }

    /// A bare word or a text in quotes, in which \ takes the next character as it is.
    fn value(&mut self) -> Result<(usize, String), FilterError> {
        self.skip_spaces();
        let position = self.position();
        let mut characters = self.text[self.at..].char_indices();
        let Some((_, quote @ ('"' | '\''))) = characters.next() else {
            return self.word("a text in quotes, or a number");
        };
        let mut value = String::new();
        while let Some((index, character)) = characters.next() {
            if character == quote {
                self.at += index + 1;
                return Ok((position, value));
            }
            let taken =
                if character == '\\' { characters.next().map(|(_, next)| next) } else { Some(character) };
            value.extend(taken);
        }
        Err(FilterError::new(self.text.chars().count() + 1, format!("{quote} at the end of the text")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::TextField;
    use proptest::prelude::*;

    fn event() -> UsageEvent<'static> {
        let mut event = UsageEvent {
            http_status: Some(200),
            duration_ms: Some(7),
            attributes: vec![("queue", "orders")],
            ..UsageEvent::default()
        };
        event.texts[TextField::Application as usize] = "api";
        event
    }

    #[test]
    fn both_spellings_mean_the_same() {
        for (json, expression) in [
            (r#"{"application":"api"}"#, r#"application = "api""#),
            (r#"{"application":{"$eq":"api"},"queue":"orders"}"#, "application=api AND queue='orders'"),
            (r#"{"$and":[{"httpstatus":200},{"duration":"7"}]}"#, "httpstatus = 200 AND duration = 7"),
            (r#"{"detail":"a \"b\" c"}"#, r#"detail = "a \"b\" c""#),
        ] {
            assert_eq!(Filter::parse(json), Filter::parse(expression), "{json}");
            assert!(Filter::parse(json).is_ok(), "{json}");
        }
        assert_eq!(Filter::parse("  "), Ok(Filter::default()));
    }

    #[test]
    fn every_condition_must_hold() {
        for (text, expected) in [
            ("", true),
            ("application = api", true),
            ("application = Api", false),
            ("application = api AND httpstatus = 404", false),
            ("httpstatus = 200.0 AND duration = 7 AND queue = orders", true),
            ("response_size = 0", false),
            ("queue = \"\"", false),
            ("topic = \"\"", true),
            ("user = \"\"", true),
        ] {
            assert_eq!(Filter::parse(text).unwrap().matches(&event()), expected, "{text}");
        }
    }

    #[test]
    fn a_wrong_filter_says_where_and_what() {
        for (text, position, expected) in [
            ("application", 12, "="),
            ("application = ", 15, "a text in quotes, or a number"),
            ("application = \"api", 19, "\" at the end of the text"),
            ("a = b OR c = d", 7, "AND or the end"),
            ("a = b AND", 10, "the name of a field"),
            ("httpstatus = ok", 14, "a number, because httpstatus is one"),
            ("{\"httpstatus\":\"ok\"}", 2, "a number, because httpstatus is one"),
            ("{\"a\":1,\"$or\":[]}", 8, "the name of a field, or $and"),
            ("{\"a\":null}", 2, "a text or a number as the value of a, or {\"$eq\": …}"),
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert_eq!((error.position, error.expected.as_str()), (position, expected), "{text}");
        }
        assert_eq!(Filter::parse("{\"a\":\n1,}").unwrap_err().position, 9);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "[{}\"'=$a-z0-9 \\\\:,\\PC]{0,40}") {
            let _ = Filter::parse(&text);
        }
    }
}
