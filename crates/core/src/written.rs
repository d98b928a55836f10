//! Dates and times that are written in full: the valid numbers of their parts, and the errors for wrong
//! texts.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::syntax::{Cursor, SyntaxError};

/// Parses a day, exactly in the form `2026-11-21`.
pub fn day(text: &str) -> Result<Date, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let day = date(&mut cursor)?;
    cursor.end("the end, because a day has no time")?;
    Ok(day)
}

/// Parses a time in the format of jiff, which includes RFC 3339.
pub fn time(text: &str) -> Result<Timestamp, SyntaxError> {
    text.parse().map_err(|_| {
        let beyond = || SyntaxError::new(1, format!("a time from {} to {}", Timestamp::MIN, Timestamp::MAX));
        check_time(&mut Cursor::new(text)).err().unwrap_or_else(beyond)
    })
}

/// The month with this number. The error says what was expected.
pub(crate) fn month(number: u32) -> Result<i8, String> {
    within("a month", (1, 12), number)
}

/// The day with this number in a month. The error says what was expected.
pub(crate) fn day_of_month(year: i16, month: i8, number: u32) -> Result<i8, String> {
    let Ok(first) = Date::new(year, month, 1) else {
        return within("a day", (1, 31), number);
    };
    let last = first.days_in_month();
    if (1..=u32::from(last.unsigned_abs())).contains(&number) {
        return within("a day", (1, last), number);
    }
    let month = first.strftime("%B %Y");
    Err(format!("a day from 01 to {last}, because {month} has {last} days"))
}

/// The hour with this number. The error says what was expected.
pub(crate) fn hour(number: u32) -> Result<i8, String> {
    within("an hour", (0, 23), number)
}

/// The minute with this number. The error says what was expected.
pub(crate) fn minute(number: u32) -> Result<i8, String> {
    within("a minute", (0, 59), number)
}

/// The second with this number. The error says what was expected.
pub(crate) fn second(number: u32) -> Result<i8, String> {
    within("a second", (0, 59), number)
}

fn within(part: &str, (first, last): (i8, i8), number: u32) -> Result<i8, String> {
    let read = i8::try_from(number).ok().filter(|number| (first..=last).contains(number));
    read.ok_or_else(|| format!("{part} from {first:02} to {last}"))
}

/// Reads a date such as `2026-11-21`.
pub(crate) fn date(cursor: &mut Cursor) -> Result<Date, SyntaxError> {
    let year = whole_part(cursor, 4, "a year of four digits, such as 2026", |year| {
        i16::try_from(year).map_err(|_| "a year of four digits".to_owned())
    })?;
    cursor.require("-", "- and a month, as in 2026-11-21")?;
    let month = whole_part(cursor, 2, "a month of two digits, such as 02", month)?;
    cursor.require("-", "- and a day, as in 2026-11-21")?;
    let of_month = |day| day_of_month(year, month, day);
    let day = whole_part(cursor, 2, "a day of two digits, such as 03", of_month)?;
    Ok(Date::new(year, month, day).expect("its parts were checked"))
}

/// Reads a time as in RFC 3339. Minutes and seconds are optional.
fn check_time(cursor: &mut Cursor) -> Result<(), SyntaxError> {
    date(cursor)?;
    if !["T", "t", " "].iter().any(|separator| cursor.eat(separator)) {
        return Err(cursor.expected("T and an hour, as in 2026-11-21T09:30:00Z"));
    }
    whole_part(cursor, 2, "an hour of two digits, such as 09", hour)?;
    if cursor.eat(":") {
        whole_part(cursor, 2, "a minute of two digits, such as 05", minute)?;
    }
    if cursor.eat(":") {
        // jiff reads a leap second as the second before it.
        let leap = |number| if number == 60 { Ok(59) } else { second(number) };
        whole_part(cursor, 2, "a second of two digits, such as 05", leap)?;
        if cursor.eat(".") || cursor.eat(",") {
            let decimals = *cursor;
            let digits = cursor.take_while(|c| c.is_ascii_digit());
            if !(1..=9).contains(&digits.len()) {
                return Err(decimals.expected("one to nine decimals"));
            }
        }
    }
    if cursor.eat("Z") || cursor.eat("z") {
        return cursor.end("the end after Z");
    }
    if !cursor.eat("+") && !cursor.eat("-") {
        return Err(cursor.expected("Z for UTC, or an offset such as +01:00"));
    }
    let hours = |number| within("hours", (0, 25), number);
    whole_part(cursor, 2, "hours of two digits, such as 01", hours)?;
    if cursor.eat(":") {
        whole_part(cursor, 2, "minutes of two digits, such as 30", minute)?;
    }
    cursor.end("the end after the offset")
}

/// Reads a number of exactly `digits` digits, after which no further digit may follow. `read` converts the
/// number.
fn whole_part<T>(
    cursor: &mut Cursor,
    digits: usize,
    expected: &str,
    read: impl Fn(u32) -> Result<T, String>,
) -> Result<T, SyntaxError> {
    if cursor.peek_while(|c| c.is_ascii_digit()).len() != digits {
        return Err(cursor.expected(expected));
    }
    part(cursor, digits, expected, read)
}

/// Reads a number of exactly `digits` digits. `read` converts the number, or returns what was expected.
pub(crate) fn part<T>(
    cursor: &mut Cursor,
    digits: usize,
    expected: &str,
    read: impl Fn(u32) -> Result<T, String>,
) -> Result<T, SyntaxError> {
    let start = *cursor;
    let number = cursor.digits(digits, expected)?;
    let found = &start.rest()[..digits];
    read(number).map_err(|expected| SyntaxError::new(start.position(), expected).found(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check<T: std::fmt::Debug>(read: impl Fn(&str) -> Result<T, SyntaxError>, table: &[(&str, &str)]) {
        for (text, expected) in table {
            assert_eq!(read(text).unwrap_err().to_string(), format!("at character {expected}"), "{text}");
        }
    }

    #[test]
    fn errors_say_where_a_day_is_wrong() {
        const YEAR: &str = "1: expected a year of four digits, such as 2026, found the end";
        check(
            day,
            &[
                ("", YEAR),
                ("yesterday", "1: expected a year of four digits, such as 2026, found \"yesterday\""),
                ("12345-01-01", "1: expected a year of four digits, such as 2026, found 12345"),
                ("2026", "5: expected - and a month, as in 2026-11-21, found the end"),
                ("2026/11/21", "5: expected - and a month, as in 2026-11-21, found \"/\""),
                ("2026-1-21", "6: expected a month of two digits, such as 02, found 1"),
                ("2026-13-01", "6: expected a month from 01 to 12, found 13"),
                ("2026-00-01", "6: expected a month from 01 to 12, found 00"),
                ("2026-11", "8: expected - and a day, as in 2026-11-21, found the end"),
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
                ("2026-11-21T09", "11: expected the end, because a day has no time, found \"T09\""),
            ],
        );
        assert_eq!(day("2024-02-29"), Ok(jiff::civil::date(2024, 2, 29)));
    }

    #[test]
    fn errors_say_where_a_time_is_wrong() {
        const ZONE: &str = "expected Z for UTC, or an offset such as +01:00";
        check(
            time,
            &[
                (
                    "2026-02-30T00:00:00Z",
                    "9: expected a day from 01 to 28, because February 2026 has 28 days, found 30",
                ),
                ("2026-11-21", "11: expected T and an hour, as in 2026-11-21T09:30:00Z, found the end"),
                ("2026-11-21T25:00:00Z", "12: expected an hour from 00 to 23, found 25"),
                ("2026-11-21T9:00:00Z", "12: expected an hour of two digits, such as 09, found 9"),
                ("2026-11-21T09:60:00Z", "15: expected a minute from 00 to 59, found 60"),
                ("2026-11-21T09:30:61Z", "18: expected a second from 00 to 59, found 61"),
                ("2026-11-21T09:30:15.Z", "21: expected one to nine decimals, found \"Z\""),
                (
                    "2026-11-21T09:30:15.1234567890Z",
                    "21: expected one to nine decimals, found \"1234567890Z\"",
                ),
                ("2026-11-21T09:30:15", &format!("20: {ZONE}, found the end")),
                ("2026-11-21T09:30", &format!("17: {ZONE}, found the end")),
                ("2026-11-21T09:30:15é", &format!("20: {ZONE}, found \"é\"")),
                ("2026-11-21T09:30:15Zulu", "21: expected the end after Z, found \"ulu\""),
                ("2026-11-21T09:30:15+1", "21: expected hours of two digits, such as 01, found 1"),
                ("2026-11-21T09:30:15+99:00", "21: expected hours from 00 to 25, found 99"),
                ("2026-11-21T09:30:15+01:00x", "26: expected the end after the offset, found \"x\""),
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
        fn printed_days_parse_to_the_same_day(days in 0_i64..3_652_000) {
            let shown = jiff::civil::date(0, 1, 1).saturating_add(jiff::Span::new().days(days));
            prop_assert_eq!(day(&shown.to_string()), Ok(shown));
        }

        #[test]
        fn any_text_is_parsed_or_has_an_error(text in "[-0-9T:.Z+ é]{0,30}") {
            let _ = (day(&text), time(&text));
        }
    }
}
