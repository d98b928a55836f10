//! Reads the text form of holidays, and says where and why it cannot.

use jiff::civil::Weekday;

use super::CalendarError;
use super::holiday::{
    EASTER_REACH_DAYS, Holiday, HolidayDay, MONTHS, ORDINALS, Shift, YEARS, is_name, longest_month, weekday,
};
use crate::written;

const DAY: &str = "a holiday such as 2024-12-27, every Sunday, last Monday in May, 25 of December or \
                   easter - 2 days";

const YEAR: &str = "a year, 1 to 9999";

/// A place in a text.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// The next byte, always at the start of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The holiday that the whole text is.
    pub(super) fn holiday(mut self) -> Result<Holiday, CalendarError> {
        let day = self.day()?;
        let mut holiday = Holiday { day, shift: None, from_year: None, to_year: None };
        let dated = matches!(day, HolidayDay::Date(_));
        // Where the last year stands, to blame it for an order that is wrong.
        let mut year_at = self.at;
        loop {
            let comma = self.symbol(',');
            self.skip_spaces();
            if self.at == self.text.len() && !comma {
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
                year_at = self.at;
                holiday.to_year = Some(self.year()?);
            } else {
                return Err(self.expected(match (may_shift, may_begin, may_end) {
                    (true, true, _) => "shifted, shifted back, from a year, to a year, or the end",
                    (true, false, _) => "shifted, shifted back, or the end",
                    (false, true, _) => "from a year, to a year, or the end",
                    (false, false, true) => "to a year, or the end",
                    (false, false, false) => "the end",
                }));
            }
        }
        if holiday.fault().is_some() {
            // All else was read as what it may be.
            self.at = year_at;
            return Err(self.expected("a year that is not before the first one"));
        }
        Ok(holiday)
    }

    fn day(&mut self) -> Result<HolidayDay, CalendarError> {
        self.skip_spaces();
        let start = self.at;
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            let digits = self.text[start..].find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest().len());
            return if self.text[start + digits..].starts_with('-') {
                self.date()
            } else {
                self.day_of_month()
            };
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
        Err(self.expected(DAY))
    }

    /// `2024-12-27`, of a year from 1 on.
    fn date(&mut self) -> Result<HolidayDay, CalendarError> {
        let end = self.rest().find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(self.rest().len());
        let text = &self.rest()[..end];
        let before = self.text[..self.at].chars().count();
        let date = written::day(text)
            .map_err(|error| CalendarError { position: before + error.position, expected: error.expected })?;
        if !YEARS.contains(&date.year()) {
            return Err(self.expected(format!("{YEAR}, found {:04}", date.year())));
        }
        self.at += end;
        Ok(HolidayDay::Date(date))
    }

    /// `25 of December`.
    fn day_of_month(&mut self) -> Result<HolidayDay, CalendarError> {
        let start = self.at;
        let day = self.number(31, "a day of a month, 1 to 31")?;
        self.of_month("of")?;
        let month = self.month()?;
        let last = longest_month(month);
        match i8::try_from(day) {
            Ok(day) if (1..=last).contains(&day) => Ok(HolidayDay::DayOfMonth { day, month }),
            _ => {
                self.at = start;
                let (_, name) = (1..).zip(MONTHS).find(|(number, _)| *number == month).expect("it was read");
                Err(self.expected(format!("a day from 1 to {last}, as {name} has, found {day}")))
            }
        }
    }

    /// What follows `easter`.
    fn easter(&mut self) -> Result<HolidayDay, CalendarError> {
        let sign = if self.symbol('+') {
            1
        } else if self.symbol('-') {
            -1
        } else {
            return Ok(HolidayDay::Easter { days: 0 });
        };
        let days = self.number(EASTER_REACH_DAYS, "a number of days, 366 at most")?;
        if self.keyword("days") || self.keyword("day") {
            Ok(HolidayDay::Easter { days: sign * days })
        } else {
            Err(self.expected("days"))
        }
    }

    fn year(&mut self) -> Result<i16, CalendarError> {
        self.skip_spaces();
        let start = self.at;
        let year = self.number(*YEARS.end(), YEAR)?;
        if !YEARS.contains(&year) {
            self.at = start;
            return Err(self.expected(YEAR));
        }
        Ok(year)
    }

    fn weekday(&mut self) -> Result<Weekday, CalendarError> {
        self.skip_spaces();
        let word = self.word();
        let weekday = weekday(word).ok_or_else(|| self.expected("a day of the week"))?;
        self.at += word.len();
        Ok(weekday)
    }

    /// The month, from 1.
    fn month(&mut self) -> Result<i8, CalendarError> {
        self.skip_spaces();
        let word = self.word();
        let month = (1..).zip(MONTHS).find(|(_, name)| is_name(word, name));
        let (number, _) = month.ok_or_else(|| self.expected("a month"))?;
        self.at += word.len();
        Ok(number)
    }

    /// What stands between a day and its month; either word is understood for the other.
    fn of_month(&mut self, word: &'static str) -> Result<(), CalendarError> {
        if self.keyword("of") || self.keyword("in") { Ok(()) } else { Err(self.expected(word)) }
    }

    fn number(&mut self, most: i16, expected: &'static str) -> Result<i16, CalendarError> {
        self.skip_spaces();
        let end = self.rest().find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest().len());
        match self.rest()[..end].parse() {
            Ok(number) if number <= most => {
                self.at += end;
                Ok(number)
            }
            _ => Err(self.expected(expected)),
        }
    }

    /// Steps over a word if it comes next.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.skip_spaces();
        let found = self.word().eq_ignore_ascii_case(keyword);
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// Steps over a sign if it comes next.
    fn symbol(&mut self, symbol: char) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(symbol);
        if found {
            self.at += symbol.len_utf8();
        }
        found
    }

    /// The letters that come next.
    fn word(&self) -> &'a str {
        let rest = self.rest();
        &rest[..rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())]
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expected(&self, expected: impl Into<String>) -> CalendarError {
        CalendarError { position: self.text[..self.at].chars().count() + 1, expected: expected.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_holiday_says_where_and_what() {
        for (text, position, expected) in [
            ("", 1, DAY),
            ("  Festivus", 3, DAY),
            ("2023-02-29", 9, "a day from 01 to 28, because February 2023 has 28 days, found 29"),
            (" 2023-13-01", 7, "a month from 01 to 12, found 13"),
            ("2023-2-3", 6, "a month of two digits, such as 02, found 2"),
            ("0000-01-01", 1, "a year, 1 to 9999, found 0000"),
            ("2023-02-03, from 2024", 13, "shifted, shifted back, or the end"),
            ("every day", 7, "a day of the week"),
            ("fifth Monday in May", 1, DAY),
            ("last Monday May", 13, "in"),
            ("last Monday in Mai", 16, "a month"),
            ("31 of April", 1, "a day from 1 to 30, as April has, found 31"),
            ("32 of May", 1, "a day of a month, 1 to 31"),
            ("0 of May", 1, "a day from 1 to 31, as May has, found 0"),
            ("25 December", 4, "of"),
            ("easter - x", 10, "a number of days, 366 at most"),
            ("easter - 2", 11, "days"),
            ("easter + 400 days", 10, "a number of days, 366 at most"),
            ("easter, shifted, shifted", 18, "from a year, to a year, or the end"),
            ("easter, from 1990, ", 20, "to a year, or the end"),
            ("easter, from 0", 14, "a year, 1 to 9999"),
            ("easter, from 1990 to 1980", 22, "a year that is not before the first one"),
            ("easter to 1980 from 1970", 16, "the end"),
            ("25 of Dezember", 7, "a month"),
            ("1 of März", 6, "a month"),
        ] {
            let error = text.parse::<Holiday>().unwrap_err();
            assert_eq!((error.position, error.expected.as_str()), (position, expected), "{text}");
        }
    }

    #[test]
    fn holidays_are_shown_as_they_are_read() {
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
