//! The bank holidays of England and Wales under the Banking and Financial Dealings Act 1971 and royal
//! proclamations. In earlier years, Christmas and Boxing Day follow the same rules.

use jiff::civil::Weekday;

use super::holiday::Holiday;
use super::working_days::WorkingDays;

/// The rules. If a holiday was moved in one year, it has several rules, for the years before and after.
const HOLIDAYS: [&str; 28] = [
    "1 of January, shifted, from 1974",
    "easter - 2 days",
    "easter + 1 day",
    // Early May bank holiday. It was moved to 8 May for the 50th and the 75th anniversary of the end of the
    // war in Europe.
    "first Monday in May, from 1978 to 1994",
    "1995-05-08",
    "first Monday in May, from 1996 to 2019",
    "2020-05-08",
    "first Monday in May, from 2021",
    // Spring bank holiday. It was moved to June for jubilees of the Queen, and another day was added.
    "last Monday in May, to 2001",
    "2002-06-03",
    "2002-06-04",
    "last Monday in May, from 2003 to 2011",
    "2012-06-04",
    "2012-06-05",
    "last Monday in May, from 2013 to 2021",
    "2022-06-02",
    "2022-06-03",
    "last Monday in May, from 2023",
    "last Monday in August",
    "25 of December, shifted",
    "26 of December, shifted",
    // A royal wedding, the Silver Jubilee, a royal wedding.
    "1973-11-14",
    "1977-06-07",
    "1981-07-29",
    // The eve of the year 2000, a royal wedding, the Queen's funeral, the coronation.
    "1999-12-31",
    "2011-04-29",
    "2022-09-19",
    "2023-05-08",
];

/// The days that are not weekends or bank holidays.
pub(super) fn working_days() -> WorkingDays {
    let holidays = HOLIDAYS.map(|rule| rule.parse::<Holiday>().expect("the rules are valid"));
    WorkingDays::new(&[Weekday::Saturday, Weekday::Sunday], holidays.into())
}
