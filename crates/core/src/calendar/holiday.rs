//! Holidays as data, and their text form: `25 of December, shifted, from 1974`.
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
//! Case does not matter; days and months have their full names or the first three letters.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Weekday};

use super::days::{easter, month_number, month_start, weekday_of, year_start};
use super::reader::Reader;
use super::working_days::monday_based;
use crate::syntax::SyntaxError;

/// A day, or the days of a rule, on which no work is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holiday {
    /// The day, before any shift.
    pub day: HolidayDay,
    /// Where it goes when it falls on a weekend; without a shift it is lost there.
    pub shift: Option<Shift>,
    /// The first year of the rule. A date has a year already and ignores this.
    pub from_year: Option<i16>,
    /// The last year of the rule. A date has a year already and ignores this.
    pub to_year: Option<i16>,
}

/// The day of a holiday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolidayDay {
    /// One day of one year.
    Date(Date),
    /// Every such day of the week.
    Every(Weekday),
    /// A day of the week within a month.
    Nth {
        /// Which of them.
        nth: Nth,
        /// The day of the week.
        weekday: Weekday,
        /// The month, 1 to 12.
        month: i8,
    },
    /// A day of a month, in years that have it.
    DayOfMonth {
        /// The day, from 1.
        day: i8,
        /// The month, 1 to 12.
        month: i8,
    },
    /// So many days after Easter Sunday of the Western churches, or before it.
    Easter {
        /// The days after it, 366 at most either way.
        days: i16,
    },
}

/// Which of the days of a month that are the same day of the week.
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
    /// The last, the fourth or a fifth.
    Last,
}

/// Where a holiday goes that falls on a weekend: to a day that is neither weekend nor
/// holiday. Holidays that stay on their day are placed first, then the shifted ones in
/// the order of their days, so that no two go to the same day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shift {
    /// To the next such day.
    Next,
    /// To the previous such day.
    Previous,
}

/// The names of the months, as they are shown.
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

/// The days of the week with their names, as they are shown.
pub(super) const WEEKDAYS: [(Weekday, &str); 7] = [
    (Weekday::Monday, "Monday"),
    (Weekday::Tuesday, "Tuesday"),
    (Weekday::Wednesday, "Wednesday"),
    (Weekday::Thursday, "Thursday"),
    (Weekday::Friday, "Friday"),
    (Weekday::Saturday, "Saturday"),
    (Weekday::Sunday, "Sunday"),
];

/// The ordinals with their names, as they are shown.
pub(super) const ORDINALS: [(Nth, &str); 5] = [
    (Nth::First, "first"),
    (Nth::Second, "second"),
    (Nth::Third, "third"),
    (Nth::Fourth, "fourth"),
    (Nth::Last, "last"),
];

/// The day of the week of that name: in full or its first three letters, in any case.
#[must_use]
pub fn weekday(name: &str) -> Option<Weekday> {
    WEEKDAYS.into_iter().find(|(_, known)| is_name(name, known)).map(|(day, _)| day)
}

/// Whether a text is a name or its first three letters.
pub(super) fn is_name(text: &str, name: &str) -> bool {
    text.eq_ignore_ascii_case(name) || text.eq_ignore_ascii_case(&name[..3])
}

/// The days that a month can have.
pub(super) fn longest_month(month: i8) -> i8 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The furthest from Easter that a holiday may be.
pub(super) const EASTER_REACH_DAYS: i16 = 366;

/// The years that a rule may name.
pub(super) const YEARS: std::ops::RangeInclusive<i16> = 1..=9999;

impl Holiday {
    /// What is wrong with it, in words.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let month_exists = |month: i8| (1..=12).contains(&month);
        let fault = match self.day {
            HolidayDay::Nth { month, .. } | HolidayDay::DayOfMonth { month, .. } if !month_exists(month) => {
                Some("expected a month from 1 to 12")
            }
            HolidayDay::DayOfMonth { day, month } if !(1..=longest_month(month)).contains(&day) => {
                Some("the month never has that day")
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

    /// Calls `place` with each of its days of a year, before any shift.
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

/// The first such day of the week from a day on.
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
    /// The text from which the same holiday is read.
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
