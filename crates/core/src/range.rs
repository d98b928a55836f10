//! Time ranges and the grammar in which people write them.

use jiff::ToSpan;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::timestamp::Timestamp;

/// A half-open range of time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    /// The first instant in it.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

impl TimeRange {
    /// All time that an event can have.
    pub const ALL: Self = Self { start: Timestamp::EPOCH, end: Timestamp::END };
}

/// Why a text is no range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}")]
pub struct RangeError {
    /// The character at which it goes wrong, from 1.
    pub position: usize,
    /// What was expected there.
    pub expected: &'static str,
}

const DATE: &str = "a date such as 2024, 2024-11, 2024M11, 2024-11-20, 2024-11-20T10, \
                    2024-11-20T10:30 or 2024-11-20T10:30:15";

impl TimeRange {
    /// Reads a range: `from(d)`, `to(d)`, `between(d,d)`, `within(d)` or `d`.
    ///
    /// A start is the first instant of the period that it names and an end the last
    /// one. `from` ends at `horizon`, the furthest that an event may lie ahead.
    pub fn parse(text: &str, horizon: Timestamp) -> Result<Self, RangeError> {
        let mut reader = Reader { text, at: 0 };
        let range = reader.range(horizon)?;
        reader.skip_spaces();
        if reader.at < text.len() {
            return Err(reader.expected("the end"));
        }
        if range.start >= range.end {
            return Err(RangeError { position: 1, expected: "a range that ends after it starts" });
        }
        Ok(range)
    }
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte, always at the start of a character.
    at: usize,
}

impl Reader<'_> {
    fn range(&mut self, horizon: Timestamp) -> Result<TimeRange, RangeError> {
        self.skip_spaces();
        let name = self.rest().split(|c: char| !c.is_ascii_lowercase()).next().unwrap_or("").to_owned();
        if name.is_empty() {
            return self.period();
        }
        if !matches!(name.as_str(), "from" | "to" | "between" | "within") {
            return Err(self.expected("from(…), to(…), between(…,…), within(…) or a date"));
        }
        self.at += name.len();
        self.symbol('(', "(")?;
        let first = self.period()?;
        let range = match name.as_str() {
            "from" => TimeRange { start: first.start, end: horizon.max(first.end) },
            "to" => TimeRange { start: Timestamp::EPOCH, end: first.end },
            "within" => first,
            _ => {
                self.symbol(',', ", and the end of the range")?;
                TimeRange { start: first.start, end: self.period()?.end }
            }
        };
        self.symbol(')', ")")?;
        Ok(range)
    }

    /// A date of any precision, as the period that it names.
    fn period(&mut self) -> Result<TimeRange, RangeError> {
        self.skip_spaces();
        let begin = self.at;
        let out_of_range = |reader: &Self| {
            let position = reader.text[..begin].chars().count() + 1;
            RangeError { position, expected: "a date that exists, from 1970 to 9999" }
        };
        let year = self.digits(4)?;
        let (mut fields, mut span) = ([year, 1, 1, 0, 0, 0], 1.year());
        // Every further field with what stands before it.
        let steps = [(['-', 'M'], 1.month()), (['-', '-'], 1.day()), (['T', ' '], 1.hour())];
        let times = [([':', ':'], 1.minute()), ([':', ':'], 1.second())];
        for (index, (separators, step)) in steps.into_iter().chain(times).enumerate() {
            let Some(next) = self.rest().chars().next().filter(|next| separators.contains(next)) else {
                break;
            };
            // A space only belongs to the date where an hour follows it.
            if next == ' ' && !self.rest()[1..].starts_with(|c: char| c.is_ascii_digit()) {
                break;
            }
            self.at += 1;
            fields[index + 1] = self.digits(2)?;
            span = step;
            if next == 'M' {
                break;
            }
        }
        if self.at - begin > "2024-11-20".len() && self.rest().starts_with('Z') {
            self.at += 1;
        }
        let [year, month, day, hour, minute, second] = fields;
        let small = |number: i16| i8::try_from(number).unwrap_or(-1);
        let start =
            DateTime::new(year, small(month), small(day), small(hour), small(minute), small(second), 0)
                .map_err(|_| out_of_range(self))?;
        let instant = |at: DateTime| {
            let zoned = at.to_zoned(TimeZone::UTC).ok()?;
            Some(Timestamp::from(zoned.timestamp())).filter(|at| *at >= Timestamp::EPOCH)
        };
        let start_instant = instant(start).ok_or_else(|| out_of_range(self))?;
        let end = start.checked_add(span).ok().and_then(instant).unwrap_or(Timestamp::END);
        Ok(TimeRange { start: start_instant, end })
    }

    fn digits(&mut self, count: usize) -> Result<i16, RangeError> {
        let digits = self.rest().bytes().take(count).take_while(u8::is_ascii_digit).count();
        if digits < count {
            self.at += digits;
            return Err(self.expected(DATE));
        }
        let number = self.rest()[..count].parse().expect("up to four digits");
        self.at += count;
        Ok(number)
    }

    fn symbol(&mut self, symbol: char, expected: &'static str) -> Result<(), RangeError> {
        self.skip_spaces();
        if !self.rest().starts_with(symbol) {
            return Err(self.expected(expected));
        }
        self.at += symbol.len_utf8();
        Ok(())
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(' ').len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> RangeError {
        RangeError { position: self.text[..self.at].chars().count() + 1, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn horizon() -> Timestamp {
        "2024-12-24T18:00:00Z".parse::<jiff::Timestamp>().unwrap().into()
    }

    fn shown(text: &str) -> String {
        match TimeRange::parse(text, horizon()) {
            Ok(range) => format!("{} {}", range.start, range.end),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_date_is_its_whole_period() {
        for (text, expected) in [
            ("2024", "2024-01-01T00:00:00Z 2025-01-01T00:00:00Z"),
            ("2024-02", "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z"),
            ("2024M10", "2024-10-01T00:00:00Z 2024-11-01T00:00:00Z"),
            ("2024-02-29", "2024-02-29T00:00:00Z 2024-03-01T00:00:00Z"),
            ("2024-02-29T23", "2024-02-29T23:00:00Z 2024-03-01T00:00:00Z"),
            ("2024-02-29T23:59", "2024-02-29T23:59:00Z 2024-03-01T00:00:00Z"),
            ("2024-02-29 23:59:59", "2024-02-29T23:59:59Z 2024-03-01T00:00:00Z"),
            ("2024-02-29T23:59:59Z", "2024-02-29T23:59:59Z 2024-03-01T00:00:00Z"),
            ("within(2024-02)", "2024-02-01T00:00:00Z 2024-03-01T00:00:00Z"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn both_ends_are_included() {
        assert_eq!(shown("between(2024-11-01,2024-11-30)"), "2024-11-01T00:00:00Z 2024-12-01T00:00:00Z");
        assert_eq!(shown(" between( 2024 , 2024-06 ) "), "2024-01-01T00:00:00Z 2024-07-01T00:00:00Z");
        assert_eq!(shown("from(2024-11-20)"), "2024-11-20T00:00:00Z 2024-12-24T18:00:00Z");
        assert_eq!(shown("to(2024-11-20)"), "1970-01-01T00:00:00Z 2024-11-21T00:00:00Z");
    }

    #[test]
    fn a_wrong_range_says_where_and_what() {
        for (text, position, expected) in [
            ("", 1, DATE),
            ("yesterday", 1, "from(…), to(…), between(…,…), within(…) or a date"),
            ("from 2024", 6, "("),
            ("from(2024", 10, ")"),
            ("between(2024)", 13, ", and the end of the range"),
            ("2024-1", 7, DATE),
            ("2024-13", 1, "a date that exists, from 1970 to 9999"),
            ("between(2024,2023-02-29)", 14, "a date that exists, from 1970 to 9999"),
            ("1969", 1, "a date that exists, from 1970 to 9999"),
            ("2024-11-20T10:30:15x", 20, "the end"),
            ("between(2024-02,2024-01)", 1, "a range that ends after it starts"),
        ] {
            let error = TimeRange::parse(text, horizon()).unwrap_err();
            assert_eq!((error.position, error.expected), (position, expected), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "(from|between|to|)\\(?[0-9TM:, Z-]{0,30}\\)?\\PC?") {
            if let Ok(range) = TimeRange::parse(&text, horizon()) {
                prop_assert!(range.start < range.end);
            }
        }
    }
}
