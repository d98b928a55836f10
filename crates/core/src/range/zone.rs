//! Time zones as they are named in a range.

use std::fmt;

use jiff::tz::TimeZone;

use super::RangeError;
use super::reader::Reader;
use crate::zone;

const ZONE: &str = "a time zone such as UTC or Europe/London";

/// A time zone of the IANA database and the name by which it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    name: String,
    pub(super) zone: TimeZone,
}

impl Zone {
    /// What the `Z` after a time stands for.
    pub(super) fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    /// Reads `[Europe/London]`, if a bracket comes next.
    pub(super) fn in_brackets(reader: &mut Reader) -> Result<Option<Self>, RangeError> {
        let mut ahead = Reader::new(reader.rest());
        ahead.skip_spaces();
        if ahead.next() != Some('[') {
            return Ok(None);
        }
        reader.symbol('[', "[")?;
        let zone = Self::name(reader)?;
        reader.symbol(']', "]")?;
        Ok(Some(zone))
    }

    /// Reads `,Europe/London`, bare or in quotes, if a comma comes next.
    pub(super) fn argument(reader: &mut Reader) -> Result<Option<Self>, RangeError> {
        reader.skip_spaces();
        if !reader.take(',') {
            return Ok(None);
        }
        reader.skip_spaces();
        let quote = reader.next().filter(|next| ['"', '\''].contains(next));
        if let Some(quote) = quote {
            reader.take(quote);
        }
        let zone = Self::name(reader)?;
        if quote.is_some_and(|quote| !reader.take(quote)) {
            return Err(reader.expected("the closing quote"));
        }
        Ok(Some(zone))
    }

    fn name(reader: &mut Reader) -> Result<Self, RangeError> {
        reader.skip_spaces();
        let position = reader.position();
        let name = reader.word(|character| character.is_ascii_alphanumeric() || "/_+-".contains(character));
        let zone = zone::zone(name).map_err(|_| position.expected(ZONE))?;
        Ok(Self { name: name.to_owned(), zone })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
