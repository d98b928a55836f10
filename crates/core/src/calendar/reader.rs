//! Parses the text form of holidays. Errors say where a text is wrong.

use jiff::civil::Weekday;

use super::holiday::{
    EASTER_REACH_DAYS, Holiday, HolidayDay, MONTHS, ORDINALS, Shift, YEARS, is_name, longest_month, weekday,
};
use crate::syntax::{Cursor, SyntaxError};
use crate::written;

const DAY: &str = "a holiday such as 2024-12-27, every Sunday, last Monday in May, 25 of December or \
                   easter - 2 days";

const YEAR: &str = "a year from 1 to 9999";

/// Parses a holiday.
pub(super) struct Reader<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { cursor: Cursor::new(text) }
    }

    /// Parses the whole text.
    pub(super) fn holiday(mut self) -> Result<Holiday, SyntaxError> {
        let day = self.day()?;
        let mut holiday = Holiday { day, shift: None, from_year: None, to_year: None };
        let dated = matches!(day, HolidayDay::Date(_));
        // The position of the last year, for the error that it is earlier than the first year.
        let mut last_year = self.cursor;
        loop {
            let comma = self.symbol(",");
            self.skip_spaces();
            if self.cursor.is_at_end() && !comma {
                break;
            }
            let (may_shift, may_begin, may_end) = (
                holiday.shift.is_none() && holiday.from_year.is_none() && holiday.to_year.is_none(),
                !dated && holiday.from_year.is_none() && holiday.to_year.is_none(),
                !dated && holiday.to_year.is_none(),
            );
            if may_shift && self.keyword("shifted") {
                holiday.shift = Some(if self.keyword("back") { Shift::Previous } else { Shift::Next });
            } else if may_begin && self.keyword("from") {
                holiday.from_year = Some(self.year()?);
            } else if may_end && self.keyword("to") {
                self.skip_spaces();
                last_year = self.cursor;
                holiday.to_year = Some(self.year()?);
            } else {
                return Err(self.cursor.expected(match (may_shift, may_begin, may_end) {
                    (true, true, _) => "shifted, shifted back, from a year, to a year, or the end",
                    (true, false, _) => "shifted, shifted back, or the end",
                    (false, true, _) => "from a year, to a year, or the end",
                    (false, false, true) => "to a year, or the end",
                    (false, false, false) => "the end",
                }));
            }
        }
        if holiday.fault().is_some() {
            // All other faults were found while parsing.
            return Err(last_year.expected("a year that is not before the first one"));
        }
        Ok(holiday)
    }

    fn day(&mut self) -> Result<HolidayDay, SyntaxError> {
        self.skip_spaces();
        let mut ahead = self.cursor;
        if !ahead.take_while(|c| c.is_ascii_digit()).is_empty() {
            return if ahead.eat("-") { self.date() } else { self.day_of_month() };
        }
        if self.keyword("every") {
            return Ok(HolidayDay::Every(self.weekday()?));
        }
        if self.keyword("easter") {
            return self.easter();
        }
        for (nth, name) in ORDINALS {
            if self.keyword(name) {
                let weekday = self.weekday()?;
                self.of_month("in")?;
                return Ok(HolidayDay::Nth { nth, weekday, month: self.month()? });
            }
        }
        Err(self.cursor.expected(DAY))
    }

    /// Parses a date such as `2024-12-27`, in the year 1 or later.
    fn date(&mut self) -> Result<HolidayDay, SyntaxError> {
        let start = self.cursor;
        let date = written::date(&mut self.cursor)?;
        if matches!(self.cursor.peek(), Some('-' | '0'..='9')) {
            return Err(self.cursor.expected("the end of the date"));
        }
        if !YEARS.contains(&date.year()) {
            return Err(start.expected(YEAR));
        }
        Ok(HolidayDay::Date(date))
    }

    /// Parses a day of a month such as `25 of December`.
    fn day_of_month(&mut self) -> Result<HolidayDay, SyntaxError> {
        let start = self.cursor;
        let day = self.number(31, "a day of a month, from 1 to 31")?;
        self.of_month("of")?;
        let month = self.month()?;
        let last = longest_month(month);
        match i8::try_from(day) {
            Ok(day) if (1..=last).contains(&day) => Ok(HolidayDay::DayOfMonth { day, month }),
            _ => {
                let (_, name) = (1..).zip(MONTHS).find(|(number, _)| *number == month).expect("it was read");
                Err(start.expected(format!("a day from 1 to {last}, because {name} has at most {last} days")))
            }
        }
    }

    /// Parses the text after `easter`.
    fn easter(&mut self) -> Result<HolidayDay, SyntaxError> {
        let sign = if self.symbol("+") {
            1
        } else if self.symbol("-") {
            -1
        } else {
            return Ok(HolidayDay::Easter { days: 0 });
        };
        let days = self.number(EASTER_REACH_DAYS, "a number of days, at most 366")?;
        if self.keyword("days") || self.keyword("day") {
            Ok(HolidayDay::Easter { days: sign * days })
        } else {
            Err(self.cursor.expected("days"))
        }
    }

    fn year(&mut self) -> Result<i16, SyntaxError> {
        self.skip_spaces();
        let start = self.cursor;
        let year = self.number(*YEARS.end(), YEAR)?;
        if !YEARS.contains(&year) {
            return Err(start.expected(YEAR));
        }
        Ok(year)
    }

    fn weekday(&mut self) -> Result<Weekday, SyntaxError> {
        self.skip_spaces();
        let word = self.word();
        let weekday = weekday(word).ok_or_else(|| self.cursor.expected("a day of the week"))?;
        self.cursor.eat(word);
        Ok(weekday)
    }

    /// Parses a month, which is counted from 1.
    fn month(&mut self) -> Result<i8, SyntaxError> {
        self.skip_spaces();
        let word = self.word();
        let month = (1..).zip(MONTHS).find(|(_, name)| is_name(word, name));
        let (number, _) = month.ok_or_else(|| self.cursor.expected("a month"))?;
        self.cursor.eat(word);
        Ok(number)
    }

    /// Parses the word between a day and its month. `of` and `in` are accepted in both cases.
    fn of_month(&mut self, word: &'static str) -> Result<(), SyntaxError> {
        if self.keyword("of") || self.keyword("in") { Ok(()) } else { Err(self.cursor.expected(word)) }
    }

    fn number(&mut self, most: i16, expected: &'static str) -> Result<i16, SyntaxError> {
        self.skip_spaces();
        let start = self.cursor;
        match self.cursor.take_while(|c| c.is_ascii_digit()).parse() {
            Ok(number) if number <= most => Ok(number),
            _ => Err(start.expected(expected)),
        }
    }

    /// Reads a word if it is next.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.skip_spaces();
        let word = self.word();
        word.eq_ignore_ascii_case(keyword) && self.cursor.eat(word)
    }

    /// Reads a sign if it is next.
    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_spaces();
        self.cursor.eat(symbol)
    }

    /// The next letters.
    fn word(&self) -> &'a str {
        self.cursor.peek_while(char::is_alphanumeric)
    }

    fn skip_spaces(&mut self) {
        self.cursor.take_while(char::is_whitespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_where_a_holiday_is_wrong() {
        for (text, position, expected) in [
            ("", 1, DAY),
            ("  Festivus", 3, DAY),
            ("2023-02-29", 9, "a day from 01 to 28, because February 2023 has 28 days"),
            (" 2023-13-01", 7, "a month from 01 to 12"),
            ("2023-2-3", 6, "a month of two digits, such as 02"),
            ("0000-01-01", 1, "a year from 1 to 9999"),
            ("2023-02-03, from 2024", 13, "shifted, shifted back, or the end"),
            ("every day", 7, "a day of the week"),
            ("fifth Monday in May", 1, DAY),
            ("last Monday May", 13, "in"),
            ("last Monday in Mai", 16, "a month"),
            ("31 of April", 1, "a day from 1 to 30, because April has at most 30 days"),
            ("32 of May", 1, "a day of a month, from 1 to 31"),
            ("0 of May", 1, "a day from 1 to 31, because May has at most 31 days"),
            ("25 December", 4, "of"),
            ("easter - x", 10, "a number of days, at most 366"),
            ("easter - 2", 11, "days"),
            ("easter + 400 days", 10, "a number of days, at most 366"),
            ("easter, shifted, shifted", 18, "from a year, to a year, or the end"),
            ("easter, from 1990, ", 20, "to a year, or the end"),
            ("easter, from 0", 14, "a year from 1 to 9999"),
            ("easter, from 1990 to 1980", 22, "a year that is not before the first one"),
            ("easter to 1980 from 1970", 16, "the end"),
            ("25 of Dezember", 7, "a month"),
            ("1 of März", 6, "a month"),
        ] {
            let error = text.parse::<Holiday>().unwrap_err();
            assert_eq!((error.position, error.expected.as_str()), (position, expected), "{text}");
            assert!(error.found.is_some_and(|found| text.contains(&found)), "{text}");
        }
    }

    #[test]
    fn holidays_are_printed_in_one_form() {
        for (text, shown) in [
            ("2024-12-27", "2024-12-27"),
            ("EVERY fri", "every Friday"),
            ("Last mon of may", "last Monday in May"),
            ("25 of December, shifted, from 1974 to 2030", "25 of December, shifted, from 1974 to 2030"),
            ("25 of dec shifted back to 2030", "25 of December, shifted back, to 2030"),
            ("1 in jan,from 1974", "1 of January, from 1974"),
            ("Easter", "easter"),
            ("easter-2days", "easter - 2 days"),
            ("easter + 1 day", "easter + 1 day"),
        ] {
            assert_eq!(text.parse::<Holiday>().unwrap().to_string(), shown, "{text}");
        }
        assert_eq!(weekday("SUN"), Some(Weekday::Sunday));
        assert_eq!(weekday("su"), None);
    }
}
