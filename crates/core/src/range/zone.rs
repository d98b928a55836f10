//! Time zones in ranges.

use std::fmt;

use jiff::tz::TimeZone;

use super::{sign, skip_spaces};
use crate::syntax::{Cursor, SyntaxError};
use crate::zone;

const ZONE: &str = "a time zone such as UTC or Europe/London";

/// A time zone of the IANA database, and the name under which it was requested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    pub(super) zone: TimeZone,
}

impl Zone {
    /// The time zone of `Z` after a time.
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Reads a time zone such as `[Europe/London]`, if a bracket is next.
    pub(super) fn in_brackets(cursor: &mut Cursor) -> Result<Option<Self>, SyntaxError> {
        let mut ahead = *cursor;
        skip_spaces(&mut ahead);
        if !ahead.eat("[") {
            return Ok(None);
        }
        *cursor = ahead;
        let zone = Self::name(cursor)?;
        sign(cursor, "]", "]")?;
        Ok(Some(zone))
    }

    /// Reads a time zone such as `,Europe/London`, with or without quotes, if a comma is next.
    pub(super) fn argument(cursor: &mut Cursor) -> Result<Option<Self>, SyntaxError> {
        skip_spaces(cursor);
        if !cursor.eat(",") {
            return Ok(None);
        }
        skip_spaces(cursor);
        let quote = ["\"", "'"].into_iter().find(|quote| cursor.eat(quote));
        let zone = Self::name(cursor)?;
        if let Some(quote) = quote {
            cursor.require(quote, "the closing quote")?;
        }
        Ok(Some(zone))
    }

    fn name(cursor: &mut Cursor) -> Result<Self, SyntaxError> {
        skip_spaces(cursor);
        let start = *cursor;
        let name =
            cursor.take_while(|character| character.is_ascii_alphanumeric() || "/_+-".contains(character));
        let zone = zone::zone(name).map_err(|_| match name {
            "" => start.expected(ZONE),
            name => start.expected(ZONE).found(name),
        })?;
        Ok(Self { name: name.to_owned(), zone })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
