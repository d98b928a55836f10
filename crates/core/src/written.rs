//! Dates and times that people write in full: what numbers their parts take, and where and why a text is none.

use jiff::Timestamp;
use jiff::civil::Date;

/// Why a text is no date or no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: expected {expected}")]
pub struct WrittenError {
    /// The character at which it goes wrong, from 1.
    pub position: usize,
    /// What was expected there, and what was found where that is a number.
    pub expected: String,
}

/// Characters of a wrong number that an error repeats.
const MAX_SHOWN_CHARS: usize = 20;

/// Reads a day, exactly `2026-11-21`.
pub fn day(text: &str) -> Result<Date, WrittenError> {
    let mut reader = Reader { text, at: 0 };
    let day = reader.date()?;
    reader.end("the end, as a day has no time")?;
    Ok(day)
}

/// Reads a time as jiff does, of which RFC 3339 is a part.
pub fn time(text: &str) -> Result<Timestamp, WrittenError> {
    text.parse().map_err(|_| {
        let mut reader = Reader { text, at: 0 };
        let beyond = || WrittenError {
            position: 1,
            expected: format!("a time from {} to {}", Timestamp::MIN, Timestamp::MAX),
        };
        reader.time().err().unwrap_or_else(beyond)
    })
}

/// The month of that number, or what was expected and found.
pub(crate) fn month(number: u32) -> Result<i8, String> {
    within("a month", (1, 12), number)
}

/// The day of that number of a month, or what was expected and found.
pub(crate) fn day_of_month(year: i16, month: i8, number: u32) -> Result<i8, String> {
    let Ok(first) = Date::new(year, month, 1) else {
        return within("a day", (1, 31), number);
    };
    let last = first.days_in_month();
    if (1..=u32::from(last.unsigned_abs())).contains(&number) {
        return within("a day", (1, last), number);
    }
    let month = first.strftime("%B %Y");
    Err(format!("a day from 01 to {last}, because {month} has {last} days, found {number:02}"))
}

/// The hour of that number, or what was expected and found.
pub(crate) fn hour(number: u32) -> Result<i8, String> {
    within("an hour", (0, 23), number)
}

/// The minute of that number, or what was expected and found.
pub(crate) fn minute(number: u32) -> Result<i8, String> {
    within("a minute", (0, 59), number)
}

/// The second of that number, or what was expected and found.
pub(crate) fn second(number: u32) -> Result<i8, String> {
    within("a second", (0, 59), number)
}

fn within(part: &str, (first, last): (i8, i8), number: u32) -> Result<i8, String> {
    let read = i8::try_from(number).ok().filter(|number| (first..=last).contains(number));
    read.ok_or_else(|| format!("{part} from {first:02} to {last}, found {number:02}"))
}

struct Reader<'a> {
    text: &'a str,
    /// The next byte, always at the start of a character.
    at: usize,
}

impl Reader<'_> {
    fn date(&mut self) -> Result<Date, WrittenError> {
        let year = self.part(4, "a year of four digits, such as 2026", |year| {
            i16::try_from(year).map_err(|_| "a year of four digits".to_owned())
        })?;
        self.sign("-", "- and a month, as in 2026-11-21")?;
        let month = self.part(2, "a month of two digits, such as 02", month)?;
        self.sign("-", "- and a day, as in 2026-11-21")?;
        let day = self.part(2, "a day of two digits, such as 03", |day| day_of_month(year, month, day))?;
        Ok(Date::new(year, month, day).expect("its parts were checked"))
    }

    /// A time as in RFC 3339, where minutes and seconds may be left out.
    fn time(&mut self) -> Result<(), WrittenError> {
        self.date()?;
        if !["T", "t", " "].iter().any(|separator| self.eat(separator)) {
            return Err(self.expected("T and an hour, as in 2026-11-21T09:30:00Z"));
        }
        self.part(2, "an hour of two digits, such as 09", hour)?;
        if self.eat(":") {
            self.part(2, "a minute of two digits, such as 05", minute)?;
        }
        if self.eat(":") {
            // jiff reads a leap second as the second before it.
            let leap = |number| if number == 60 { Ok(59) } else { second(number) };
            self.part(2, "a second of two digits, such as 05", leap)?;
            if self.eat(".") || self.eat(",") {
                let digits = self.digits();
                if !(1..=9).contains(&digits) {
                    return Err(self.expected("one to nine decimals"));
                }
                self.at += digits;
            }
        }
        if self.eat("Z") || self.eat("z") {
            return self.end("the end after Z");
        }
        if !self.eat("+") && !self.eat("-") {
            return Err(self.expected("Z for UTC, or an offset such as +01:00"));
        }
        self.part(2, "hours of two digits, such as 01", |number| within("hours", (0, 25), number))?;
        if self.eat(":") {
            self.part(2, "minutes of two digits, such as 30", minute)?;
        }
        self.end("the end after the offset")
    }

    /// A number of exactly so many digits, read with `read`.
    fn part<T>(
        &mut self,
        digits: usize,
        expected: &str,
        read: impl Fn(u32) -> Result<T, String>,
    ) -> Result<T, WrittenError> {
        let rest = &self.text[self.at..];
        if self.digits() != digits {
            let found = rest.chars().take_while(|c| c.is_alphanumeric()).take(MAX_SHOWN_CHARS);
            let found: String = found.collect();
            let found = if found.is_empty() { found } else { format!(", found {found}") };
            return Err(self.expected(format!("{expected}{found}")));
        }
        let number = rest[..digits].parse().expect("it is a few digits");
        let part = read(number).map_err(|expected| self.expected(expected))?;
        self.at += digits;
        Ok(part)
    }

    /// How many digits come next.
    fn digits(&self) -> usize {
        self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count()
    }

    /// Goes behind `sign` if it is next.
    fn eat(&mut self, sign: &str) -> bool {
        let is_next = self.text[self.at..].starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    fn sign(&mut self, sign: &str, expected: &str) -> Result<(), WrittenError> {
        if self.eat(sign) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn end(&self, expected: &str) -> Result<(), WrittenError> {
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn expected(&self, expected: impl Into<String>) -> WrittenError {
        WrittenError { position: self.text[..self.at].chars().count() + 1, expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check<T: std::fmt::Debug>(read: impl Fn(&str) -> Result<T, WrittenError>, table: &[(&str, &str)]) {
        for (text, expected) in table {
            assert_eq!(read(text).unwrap_err().to_string(), format!("at character {expected}"), "{text}");
        }
    }

    #[test]
    fn a_wrong_day_says_where_and_why() {
        const YEAR: &str = "1: expected a year of four digits, such as 2026";
        check(
            day,
            &[
                ("", YEAR),
                ("yesterday", "1: expected a year of four digits, such as 2026, found yesterday"),
                ("12345-01-01", "1: expected a year of four digits, such as 2026, found 12345"),
                ("2026", "5: expected - and a month, as in 2026-11-21"),
                ("2026/11/21", "5: expected - and a month, as in 2026-11-21"),
                ("2026-1-21", "6: expected a month of two digits, such as 02, found 1"),
                ("2026-13-01", "6: expected a month from 01 to 12, found 13"),
                ("2026-00-01", "6: expected a month from 01 to 12, found 00"),
                ("2026-11", "8: expected - and a day, as in 2026-11-21"),
                (
                    "2026-02-30",
                    "9: expected a day from 01 to 28, because February 2026 has 28 days, found 30",
                ),
                (
                    "2025-02-29",
                    "9: expected a day from 01 to 28, because February 2025 has 28 days, found 29",
                ),
                (
                    "2024-02-30",
                    "9: expected a day from 01 to 29, because February 2024 has 29 days, found 30",
                ),
                (
                    "2026-11-31",
                    "9: expected a day from 01 to 30, because November 2026 has 30 days, found 31",
                ),
                (
                    "2026-11-00",
                    "9: expected a day from 01 to 30, because November 2026 has 30 days, found 00",
                ),
                ("2026-11-021", "9: expected a day of two digits, such as 03, found 021"),
                ("2026-11-21T09", "11: expected the end, as a day has no time"),
            ],
        );
        assert_eq!(day("2024-02-29"), Ok(jiff::civil::date(2024, 2, 29)));
    }

    #[test]
    fn a_wrong_time_says_where_and_why() {
        const ZONE: &str = "expected Z for UTC, or an offset such as +01:00";
        check(
            time,
            &[
                (
                    "2026-02-30T00:00:00Z",
                    "9: expected a day from 01 to 28, because February 2026 has 28 days, found 30",
                ),
                ("2026-11-21", "11: expected T and an hour, as in 2026-11-21T09:30:00Z"),
                ("2026-11-21T25:00:00Z", "12: expected an hour from 00 to 23, found 25"),
                ("2026-11-21T9:00:00Z", "12: expected an hour of two digits, such as 09, found 9"),
                ("2026-11-21T09:60:00Z", "15: expected a minute from 00 to 59, found 60"),
                ("2026-11-21T09:30:61Z", "18: expected a second from 00 to 59, found 61"),
                ("2026-11-21T09:30:15.Z", "21: expected one to nine decimals"),
                ("2026-11-21T09:30:15.1234567890Z", "21: expected one to nine decimals"),
                ("2026-11-21T09:30:15", &format!("20: {ZONE}")),
                ("2026-11-21T09:30", &format!("17: {ZONE}")),
                ("2026-11-21T09:30:15é", &format!("20: {ZONE}")),
                ("2026-11-21T09:30:15Zulu", "21: expected the end after Z"),
                ("2026-11-21T09:30:15+1", "21: expected hours of two digits, such as 01, found 1"),
                ("2026-11-21T09:30:15+99:00", "21: expected hours from 00 to 25, found 99"),
                ("2026-11-21T09:30:15+01:00x", "26: expected the end after the offset"),
                (
                    "9999-12-31T23:59:59Z",
                    "1: expected a time from -009999-01-02T01:59:59Z to 9999-12-30T22:00:00.999999999Z",
                ),
            ],
        );
        assert_eq!(time("2026-11-21T09:30:60Z"), "2026-11-21T09:30:59Z".parse().map_err(|_| unreachable!()));
    }

    proptest! {
        #[test]
        fn a_day_is_read_as_it_is_shown(days in 0_i64..3_652_000) {
            let shown = jiff::civil::date(0, 1, 1).saturating_add(jiff::Span::new().days(days));
            prop_assert_eq!(day(&shown.to_string()), Ok(shown));
        }

        #[test]
        fn any_text_is_read_or_told(text in "[-0-9T:.Z+ é]{0,30}") {
            let _ = (day(&text), time(&text));
        }
    }
}
