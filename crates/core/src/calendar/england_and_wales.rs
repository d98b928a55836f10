//! The bank holidays of England and Wales, under the Banking and Financial Dealings Act
//! 1971 and royal proclamations. Christmas and Boxing Day of earlier years follow the
//! same rules.

use jiff::civil::Weekday;

use super::holiday::Holiday;
use super::working_days::WorkingDays;

/// The rules; a day that was moved in one year splits its rule.
const HOLIDAYS: [&str; 28] = [
    "1 of January, shifted, from 1974",
    "easter - 2 days",
    "easter + 1 day",
    // Early May; for the 50th and 75th anniversaries of the end of the war in Europe it
    // was moved to 8 May.
    "first Monday in May, from 1978 to 1994",
    "1995-05-08",
    "first Monday in May, from 1996 to 2019",
    "2020-05-08",
    "first Monday in May, from 2021",
    // Spring; for jubilees of the Queen it was moved to June, where a day was added.
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

/// The days that are neither weekend nor bank holiday.
pub(super) fn working_days() -> WorkingDays {
    let holidays = HOLIDAYS.map(|rule| rule.parse::<Holiday>().expect("a test reads every rule"));
    WorkingDays::new(&[Weekday::Saturday, Weekday::Sunday], holidays.into())
}
