//! Holidays, and their text form such as `25 of December, shifted, from 1974`.
//!
//! ```text
//! holiday = day [[","] shift] [[","] "from" YEAR] [[","] "to" YEAR]
//! day     = 2024-12-27
//!         | "every" DAY
//!         | ("first" | "second" | "third" | "fourth" | "last") DAY "in" MONTH
//!         | NUMBER "of" MONTH
//!         | "easter" [("+" | "-") NUMBER "days"]
//! shift   = "shifted" | "shifted back"
//! ```
//!
//! Upper and lower case are equal. Days and months are written in full or as the first three letters.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};

use super::days::{easter, month_number, month_start, weekday_of, year_start};
use super::reader::Reader;
use super::working_days::monday_based;
use crate::syntax::SyntaxError;

/// A holiday on one day, or on the days of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    /// The day before any shift.
    pub day: HolidayDay,
    /// How a holiday on a weekend is shifted. Without a shift, the holiday has no effect there.
    pub shift: Option<Shift>,
    /// The first year of the rule. Ignored for a date, which has a year itself.
    pub from_year: Option<i16>,
    /// The last year of the rule. Ignored for a date, which has a year itself.
    pub to_year: Option<i16>,
}

/// The day of a holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolidayDay {
    /// A single date.
    Date(Date),
    /// Every week on this day.
    Every(Weekday),
    /// A day of the week in a month, such as the last Monday in May.
    Nth {
        /// Which of these days of the month.
        nth: Nth,
        /// The day of the week.
        weekday: Weekday,
        /// The month, from 1 to 12.
        month: i8,
    },
    /// A day of a month, in years in which the month has this day.
    DayOfMonth {
        /// The day, counted from 1.
        day: i8,
        /// The month, from 1 to 12.
        month: i8,
    },
    /// A number of days after or before Easter Sunday of the Western churches.
    Easter {
        /// The number of days after Easter Sunday, from -366 to 366.
        days: i16,
    },
}

/// Which one of the Mondays (or another day of the week) of a month.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nth {
    /// The first.
    First,
    /// The second.
    Second,
    /// The third.
    Third,
    /// The fourth.
    Fourth,
    /// The last, which is the fourth or the fifth.
    Last,
}

/// How a holiday on a weekend is shifted: to a day that is not on a weekend and not another holiday. Holidays
/// that are not shifted are placed first, then the shifted ones in the order of their days, so two holidays
/// are never shifted to the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// To the next free day.
    Next,
    /// To the previous free day.
    Previous,
}

/// The names of the months as they are printed.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The days of the week, with their names as they are printed.
pub(super) const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "Monday"),
    (Weekday::Tuesday, "Tuesday"),
    (Weekday::Wednesday, "Wednesday"),
    (Weekday::Thursday, "Thursday"),
    (Weekday::Friday, "Friday"),
    (Weekday::Saturday, "Saturday"),
    (Weekday::Sunday, "Sunday"),
];

/// The ordinals, with their names as they are printed.
pub(super) const ORDINALS: [(Nth, &str); 5] = [
    (Nth::First, "first"),
    (Nth::Second, "second"),
    (Nth::Third, "third"),
    (Nth::Fourth, "fourth"),
    (Nth::Last, "last"),
];

/// Parses the name of a day of the week: in full or its first three letters, in upper or lower case.
#[must_use]
pub fn weekday(name: &str) -> Option<Weekday> {
    WEEKDAYS.into_iter().find(|(_, known)| is_name(name, known)).map(|(day, _)| day)
}

/// Whether a text is `name` or its first three letters.
pub(super) fn is_name(text: &str, name: &str) -> bool {
    text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3])
}

/// The maximum number of days of a month.
pub(super) fn longest_month(month: i8) -> i8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The maximum distance of a holiday from Easter.
pub(super) const EASTER_REACH_DAYS: i16 = 366;

/// The valid years of a rule.
pub(super) const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

impl Holiday {
    /// Describes why the holiday is invalid. None if it is valid.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let month_exists = |month: i8| (1..=12).contains(&month);
        let fault = match self.day {
            HolidayDay::Nth { month, .. } | HolidayDay::DayOfMonth { month, .. } if !month_exists(month) => {
                Some("expected a month from 1 to 12")
            }
            HolidayDay::DayOfMonth { day, month } if !(1..=longest_month(month)).contains(&day) => {
                Some("the month never has this day")
            }
            HolidayDay::Easter { days } if days.unsigned_abs() > EASTER_REACH_DAYS.unsigned_abs() => {
                Some("expected at most 366 days from Easter")
            }
            _ => None,
        };
        let date_year = if let HolidayDay::Date(date) = self.day { Some(date.year()) } else { None };
        let years = [self.from_year, self.to_year, date_year];
        if fault.is_some() {
            fault
        } else if years.into_iter().flatten().any(|year| !YEARS.contains(&year)) {
            Some("expected a year from 1 to 9999")
        } else if self.from_year.zip(self.to_year).is_some_and(|(from, to)| from > to) {
            Some("expected a last year that is not before the first one")
        } else {
            None
        }
    }

    /// Whether a rule applies in a year.
    pub(super) fn is_in_force(&self, year: i64) -> bool {
        self.from_year.is_none_or(|from| i64::from(from) <= year)
            && self.to_year.is_none_or(|to| year <= i64::from(to))
    }

    /// Calls `place` with each day of the holiday in a year, before any shift.
    pub(super) fn for_each_day(&self, year: i64, mut place: impl FnMut(i64)) {
        if let HolidayDay::Date(date) = self.day {
            if i64::from(date.year()) == year {
                place(month_start(month_number(year, date.month())) + i64::from(date.day()) - 1);
            }
            return;
        }
        if !self.is_in_force(year) {
            return;
        }
        match self.day {
            HolidayDay::Date(_) => {}
            HolidayDay::Every(weekday) => {
                let first = on_or_after(year_start(year), weekday);
                (first..year_start(year + 1)).step_by(7).for_each(place);
            }
            HolidayDay::Nth { nth, weekday, month } => {
                let month = month_number(year, month);
                let first = on_or_after(month_start(month), weekday);
                place(match nth {
                    Nth::First => first,
                    Nth::Second => first + 7,
                    Nth::Third => first + 14,
                    Nth::Fourth => first + 21,
                    Nth::Last => on_or_after(month_start(month + 1) - 7, weekday),
                });
            }
            HolidayDay::DayOfMonth { day, month } => {
                let month = month_number(year, month);
                let day = month_start(month) + i64::from(day) - 1;
                if day < month_start(month + 1) {
                    place(day);
                }
            }
            HolidayDay::Easter { days } => place(easter(year) + i64::from(days)),
        }
    }
}

/// The first such day of the week on or after a day.
fn on_or_after(day: i64, weekday: Weekday) -> i64 {
    let days = (7 + monday_based(weekday) - weekday_of(day)) % 7;
    day + i64::try_from(days).expect("less than 7")
}

impl FromStr for Holiday {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Reader::new(text).holiday()
    }
}

impl fmt::Display for Holiday {
    /// A text that parses to the same holiday.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.day.fmt(f)?;
        match self.shift {
            Some(Shift::Next) => f.write_str(", shifted")?,
            Some(Shift::Previous) => f.write_str(", shifted back")?,
            None => {}
        }
        match (self.from_year, self.to_year) {
            (Some(from), Some(to)) => write!(f, ", from {from} to {to}"),
            (Some(from), None) => write!(f, ", from {from}"),
            (None, Some(to)) => write!(f, ", to {to}"),
            (None, None) => Ok(()),
        }
    }
}

impl fmt::Display for HolidayDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month_name = |month: i8| {
            let index = usize::try_from(month).unwrap_or(0).wrapping_sub(1);
            MONTHS.get(index).copied().unwrap_or("no month")
        };
        let weekday_name = |day: Weekday| WEEKDAYS[monday_based(day)].1;
        match *self {
            Self::Date(date) => date.fmt(f),
            Self::Every(weekday) => write!(f, "every {}", weekday_name(weekday)),
            Self::Nth { nth, weekday, month } => {
                let name =
                    ORDINALS.into_iter().find(|(known, _)| *known == nth).map_or("last", |(_, name)| name);
                write!(f, "{name} {} in {}", weekday_name(weekday), month_name(month))
            }
            Self::DayOfMonth { day, month } => write!(f, "{day} of {}", month_name(month)),
            Self::Easter { days: 0 } => f.write_str("easter"),
            Self::Easter { days } => {
                let sign = if days < 0 { '-' } else { '+' };
                let count = days.unsigned_abs();
                write!(f, "easter {sign} {count} {}", if count == 1 { "day" } else { "days" })
            }
        }
    }
}
