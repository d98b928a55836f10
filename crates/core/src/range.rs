//! Time ranges and their grammar.
//!
//! | text | the range |
//! |-|-|
//! | `from(d)`, `from(d,zone)` | from the start of `d` to the latest time that an event can have |
//! | `to(d)`, `to(d,zone)` | from the first event to the end of `d` |
//! | `between(d,d)`, `between(d,d,zone)` | from the start of the first date to the end of the second |
//! | `within(d)`, `within(d,zone)`, `d` | all of `d` |
//! | `last(n)` | the last `n` buckets of a calendar |
//!
//! A date `d` names a period. A date is one of the following:
//!
//! - Written in full: `2024`, `2024Q3`, `2024-10` or `2024M10`, `2024W05` (the ISO week), `2024-11-20`,
//!   `2024-11-20T10`, `2024-11-20T10:30`, `2024-11-20T10:30:15`, `2024-11-20T10:30:15.250`. The `T` can be a space, and
//!   a time can end in `Z` for UTC.
//! - A rule relative to the time of the request, such as `T-1D`. `range/rule.rs` describes rules.
//!
//! A date can have a time zone in brackets: `2024-11-20[Europe/London]`. It cannot have both `Z` and a zone.
//! A date without a zone is in the time zone of the range, or else in the time zone of the request.
//!
//! Periods follow the clock of their time zone, so days can have 23 or 25 hours. If a local time occurs
//! twice, a period that starts at it starts at the first occurrence, and a period that ends at it ends at the
//! second. A local time that the clock skips means the end of the gap.
//!
//! Letters are case-sensitive, except for the T of a rule. Spaces are allowed between names, dates, zones and
//! signs, but not in a date, except before its hour.

mod date;
#[cfg(test)]
mod laws;
mod period;
mod rule;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;
use std::str::FromStr;

use jiff::tz::TimeZone;

use self::date::WrittenDate;
use self::period::Period;
use self::rule::DateRule;
use self::zone::Zone;
use crate::syntax::{Cursor, SyntaxError};
use crate::timestamp::Timestamp;

/// A half-open range of time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first instant in the range.
    pub start: Timestamp,
    /// The first instant after the range.
    pub end: Timestamp,
}

impl TimeRange {
    /// All time that an event can have.
    pub const ALL: Self = Self { start: Timestamp::EPOCH, end: Timestamp::END };
}

/// The reference of an expression. It is determined once for each request.
#[derive(Debug, Clone)]
pub struct Reference {
    /// The reference time, which is T in a rule.
    pub now: Timestamp,
    /// The time zone of dates that do not name one.
    pub zone: TimeZone,
    /// The end of `from(…)`: the latest time that an event can have.
    pub horizon: Timestamp,
}

/// A parsed range, which is not resolved yet.
///
/// Each expression has one printed form, which parses to an equal expression: `within(d)` is printed as `d`,
/// `2024M10` as `2024-10`, and `Z` as `[UTC]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeExpression {
    form: Form,
    /// The time zone of dates that do not name one.
    zone: Option<Zone>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    From(Point),
    To(Point),
    Between(Point, Point),
    Within(Point),
    Last { position: Position, buckets: u64 },
}

/// A position in a text, in characters from 1. Positions are only used in errors, so all of them are equal:
/// they do not affect whether expressions are equal.
#[derive(Debug, Clone, Copy)]
struct Position(usize);

impl Position {
    /// The error that `expected` was expected here.
    fn expected(self, expected: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.0, expected)
    }
}

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

/// A date in full or a date rule, with its time zone if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Point {
    position: Position,
    date: PointDate,
    zone: Option<Zone>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PointDate {
    Written(WrittenDate),
    Rule(DateRule),
}

/// The maximum length of a text in bytes: several times the length of a `between` with time zones.
const MAX_BYTES: usize = 256;

/// The maximum number of buckets of `last(n)`, which is the maximum number of points of a series.
const MAX_BUCKETS: u64 = 25_000;

const RANGE: &str = "from(…), to(…), between(…,…), within(…), last(…), a date such as 2024-11-20 or a date \
                     rule such as T-1D";

/// The dates that overlap the time that an id can contain.
const IN_TIME: &str = "a date from 1970 to 9999";

const OFFSET: &str = "Z or a time zone such as [Europe/London] in place of an offset";

const POINT: &str = "a date such as 2024-11-20 or a date rule such as T-1D";

impl RangeExpression {
    /// The number of buckets, 1 to 25,000, if this is `last(n)`.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        match self.form {
            Form::Last { buckets, .. } => Some(buckets),
            _ => None,
        }
    }

    /// Resolves the expression to a range of time, cut to [`TimeRange::ALL`]. The start is before the end.
    ///
    /// `from(…)` with a period after the horizon ends with this period. It is an error if the expression is
    /// `last(n)`, which needs a calendar, if a date is outside of the years 1970 to 9999, or if the end is
    /// not after the start.
    pub fn resolve(&self, reference: &Reference) -> Result<TimeRange, SyntaxError> {
        let place = |point: &Point| point.place(self.zone.as_ref(), reference);
        let (range, last_date) = match &self.form {
            Form::From(point) => {
                let first = place(point)?;
                let end = reference.horizon.max(first.end).min(Timestamp::END);
                (TimeRange { start: first.start, end }, point)
            }
            Form::To(point) => (TimeRange { start: Timestamp::EPOCH, end: place(point)?.end }, point),
            Form::Between(first, last) => {
                (TimeRange { start: place(first)?.start, end: place(last)?.end }, last)
            }
            Form::Within(point) => (place(point)?, point),
            Form::Last { position, .. } => {
                return Err(position.expected("a range other than last(…), which needs a calendar"));
            }
        };
        if range.start < range.end {
            return Ok(range);
        }
        Err(last_date.position.expected(match self.form {
            Form::Between(..) => "an end that is after the start",
            _ => "a time that the clock of its zone does not skip",
        }))
    }

    fn read(cursor: &mut Cursor) -> Result<Self, SyntaxError> {
        skip_spaces(cursor);
        let position = Position(cursor.position());
        let name = cursor.peek_while(|character| character.is_ascii_lowercase());
        if !matches!(name, "from" | "to" | "between" | "within" | "last") {
            return Ok(Self { form: Form::Within(Point::read(cursor, RANGE)?), zone: None });
        }
        cursor.eat(name);
        sign(cursor, "(", "(")?;
        let form = match name {
            "from" => Form::From(Point::read(cursor, POINT)?),
            "to" => Form::To(Point::read(cursor, POINT)?),
            "within" => Form::Within(Point::read(cursor, POINT)?),
            "last" => Form::Last { position, buckets: read_buckets(cursor)? },
            _ => {
                let first = Point::read(cursor, POINT)?;
                sign(cursor, ",", ", and the end of the range")?;
                Form::Between(first, Point::read(cursor, POINT)?)
            }
        };
        let zone = if name == "last" { None } else { Zone::argument(cursor)? };
        sign(cursor, ")", ")")?;
        Ok(Self { form, zone })
    }
}

fn skip_spaces(cursor: &mut Cursor) {
    cursor.take_while(|character| character == ' ');
}

/// Reads a sign, which must be next after any spaces.
fn sign(cursor: &mut Cursor, sign: &str, expected: &str) -> Result<(), SyntaxError> {
    skip_spaces(cursor);
    cursor.require(sign, expected)
}

fn read_buckets(cursor: &mut Cursor) -> Result<u64, SyntaxError> {
    const BUCKETS: &str = "a number of buckets from 1 to 25000";
    skip_spaces(cursor);
    let start = *cursor;
    let buckets = u64::from(cursor.number(5, BUCKETS)?);
    if (1..=MAX_BUCKETS).contains(&buckets) { Ok(buckets) } else { Err(start.expected(BUCKETS)) }
}

impl Point {
    /// Reads a date in full or a date rule. The error says that `expected` was expected.
    fn read(cursor: &mut Cursor, expected: &'static str) -> Result<Self, SyntaxError> {
        skip_spaces(cursor);
        let position = Position(cursor.position());
        let (date, utc) = match cursor.peek() {
            Some('0'..='9') => {
                let (date, utc) = WrittenDate::read(cursor)?;
                (PointDate::Written(date), utc)
            }
            Some('T' | 't') => (PointDate::Rule(DateRule::read(cursor)?), None),
            _ => return Err(cursor.expected(expected)),
        };
        let bracket = *cursor;
        let has_time = matches!(date, PointDate::Written(date) if date.period >= Period::Hour);
        if has_time && matches!(cursor.peek(), Some('+' | '-')) {
            return Err(bracket.expected(OFFSET));
        }
        let zone = Zone::in_brackets(cursor)?;
        if utc.is_some() && zone.is_some() {
            return Err(bracket.expected("either Z or a time zone"));
        }
        Ok(Self { position, date, zone: utc.or(zone) })
    }

    /// The range of the date's period. Empty if the clock skips the period.
    fn place(&self, of_range: Option<&Zone>, reference: &Reference) -> Result<TimeRange, SyntaxError> {
        let zone = self.zone.as_ref().or(of_range).map_or(&reference.zone, |named| &named.zone);
        let date = match &self.date {
            PointDate::Written(date) => Some((date.start, date.period)),
            PointDate::Rule(rule) => rule.resolve(reference.now, zone),
        };
        let range = date.and_then(|(start, period)| period.place(start, zone));
        range.ok_or_else(|| self.position.expected(IN_TIME).found(&self.date.to_string()))
    }
}

impl FromStr for RangeExpression {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        if text.len() > MAX_BYTES {
            let fit = text.char_indices().take_while(|(at, char)| at + char.len_utf8() <= MAX_BYTES).count();
            return Err(SyntaxError::new(fit + 1, "a range of at most 256 bytes"));
        }
        let mut cursor = Cursor::new(text);
        let expression = Self::read(&mut cursor)?;
        skip_spaces(&mut cursor);
        cursor.end("the end")?;
        Ok(expression)
    }
}

impl fmt::Display for RangeExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.form, &self.zone) {
            (Form::Within(point), None) => return write!(f, "{point}"),
            (Form::Within(point), Some(_)) => write!(f, "within({point}")?,
            (Form::From(point), _) => write!(f, "from({point}")?,
            (Form::To(point), _) => write!(f, "to({point}")?,
            (Form::Between(first, last), _) => write!(f, "between({first},{last}")?,
            (Form::Last { buckets, .. }, _) => write!(f, "last({buckets}")?,
        }
        if let Some(zone) = &self.zone {
            write!(f, ",{zone}")?;
        }
        f.write_str(")")
    }
}

impl fmt::Display for PointDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written(date) => date.fmt(f),
            Self::Rule(rule) => rule.fmt(f),
        }
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.date)?;
        match &self.zone {
            Some(zone) => write!(f, "[{zone}]"),
            None => Ok(()),
        }
    }
}
