//! Random ranges as text, and their start and end, which are computed independently of the product.

use std::fmt::Write;

use flowmeter_core::timestamp::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, ToSpan};

use super::definitions::ZONES;
use crate::dice::Dice;

/// A range as text, and its bounds.
#[derive(Debug, Clone)]
pub struct Written {
    pub text: String,
    pub start: Bound,
    pub end: Bound,
}

/// The start or end of a range, in microseconds.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    At(i64),
    /// This time, or an hour after the time of the query, whichever is later.
    Ahead(i64),
    /// Relative to the time of the query.
    Relative,
}

/// The precision of a date, from coarse to fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Micro,
}

/// A range between two times, with dates in some of the units.
pub fn between(
    dice: &mut Dice,
    first: Timestamp,
    last: Timestamp,
    units: &[Unit],
    zone: &TimeZone,
) -> Written {
    let (of_range, zone) = if dice.once_in(3) {
        let name = dice.of(&ZONES);
        (dice.of(&[format!(",{name}"), format!(", '{name}'")]), TimeZone::get(name).unwrap())
    } else {
        (String::new(), zone.clone())
    };
    let (one, start) = (dice.of(units), first.min(last));
    let one = date(dice, start, one, &zone);
    if first == last {
        let (text, is_plain) = (&one.text, of_range.is_empty());
        let text =
            if is_plain && dice.once_in(2) { text.clone() } else { format!("within({text}{of_range})") };
        return Written { text, start: Bound::At(one.start), end: Bound::At(one.end) };
    }
    let other = dice.of(units);
    let other = date(dice, first.max(last), other, &zone);
    let space = dice.of(&["", " "]);
    Written {
        text: format!("between({},{space}{}{of_range})", one.text, other.text),
        start: Bound::At(one.start),
        end: Bound::At(other.end),
    }
}

/// A range that is open at one end.
pub fn open(dice: &mut Dice, at: Timestamp, zone: &TimeZone) -> Written {
    let unit = dice.of(&[Unit::Year, Unit::Month, Unit::Day, Unit::Minute]);
    let date = date(dice, at, unit, zone);
    if dice.once_in(2) {
        return Written { text: format!("to({})", date.text), start: Bound::At(0), end: Bound::At(date.end) };
    }
    Written {
        text: format!("from({})", date.text),
        start: Bound::At(date.start),
        end: Bound::Ahead(date.end),
    }
}

/// A range near the time of the query.
pub fn relative(dice: &mut Dice) -> Written {
    let text = match dice.below(4) {
        0 => format!("last({})", dice.between(1, 60)),
        1 => dice.of(&["T", "T-1D", "T-1B", "within(T-20h,Asia/Kathmandu)", "T-1M"]).to_owned(),
        2 => dice.of(&["between(T-2D,T)", "between(T-1Dh0m0s0,T-1D)", "between(T-90m,T+1h)"]).to_owned(),
        _ => dice.of(&["from(T-2D)", "from(T-3h)", "from(T-1Dh9,America/New_York)"]).to_owned(),
    };
    Written { text, start: Bound::Relative, end: Bound::Relative }
}

struct Date {
    text: String,
    start: i64,
    end: i64,
}

/// A date whose period contains a time.
fn date(dice: &mut Dice, at: Timestamp, unit: Unit, zone: &TimeZone) -> Date {
    let own = dice.once_in(4).then(|| dice.of(&ZONES));
    let zone = own.map_or_else(|| zone.clone(), |name| TimeZone::get(name).unwrap());
    let (first, span) = period(zone.to_datetime(at.to_jiff()), unit);
    let next = first.checked_add(span).unwrap();
    let (start, end) = (first_shown(first, &zone), last_shown_before(next, &zone));
    let text = match own {
        Some("UTC") if matches!(unit, Unit::Hour | Unit::Minute | Unit::Second | Unit::Micro) => {
            format!("{}Z", written(dice, first, unit))
        }
        Some(name) => format!(
            "{}[{name}]",
            if dice.once_in(4) { rule(dice, first, unit) } else { written(dice, first, unit) }
        ),
        None if dice.once_in(4) => rule(dice, first, unit),
        None => written(dice, first, unit),
    };
    Date { text, start: start.max(0), end }
}

/// The start of the period that contains a time, and its length.
fn period(at: DateTime, unit: Unit) -> (DateTime, Span) {
    let midnight = at.date().to_datetime(jiff::civil::Time::midnight());
    let (month, hour, minute) = (at.month(), at.hour(), at.minute());
    let first_of = |month: i8| midnight.with().day(1).month(month).build().unwrap();
    let clock = |minute, second| midnight.with().hour(hour).minute(minute).second(second).build().unwrap();
    match unit {
        Unit::Year => (first_of(1), 1.year()),
        Unit::Quarter => (first_of((month - 1) / 3 * 3 + 1), 3.months()),
        Unit::Month => (first_of(month), 1.month()),
        Unit::Week => {
            let monday = i64::from(at.weekday().to_monday_zero_offset()).days();
            (midnight.checked_sub(monday).unwrap(), 7.days())
        }
        Unit::Day => (midnight, 1.day()),
        Unit::Hour => (clock(0, 0), 1.hour()),
        Unit::Minute => (clock(minute, 0), 1.minute()),
        Unit::Second => (clock(minute, at.second()), 1.second()),
        Unit::Micro => (at, 1.microsecond()),
    }
}

fn written(dice: &mut Dice, at: DateTime, unit: Unit) -> String {
    let (year, month, hour) = (at.year(), at.month(), at.hour());
    let date = at.date().to_string();
    let separator = dice.of(&["T", " "]);
    match unit {
        Unit::Year => format!("{year:04}"),
        Unit::Quarter => format!("{year:04}Q{}", (month + 2) / 3),
        Unit::Month => format!("{year:04}{}{month:02}", dice.of(&["-", "M"])),
        Unit::Week => {
            let week = at.date().iso_week_date();
            format!("{:04}W{:02}", week.year(), week.week())
        }
        Unit::Day => date,
        Unit::Hour => format!("{date}{separator}{hour:02}"),
        Unit::Minute => format!("{date}{separator}{hour:02}:{:02}", at.minute()),
        Unit::Second => format!("{date}{separator}{hour:02}:{:02}:{:02}", at.minute(), at.second()),
        Unit::Micro => {
            let micros = at.subsec_nanosecond() / 1_000;
            format!("{date}{separator}{hour:02}:{:02}:{:02}.{micros:06}", at.minute(), at.second())
        }
    }
}

/// A date rule with only absolute parts. Rules have no years before 1970, no weeks, and no fractions of a
/// second, so such a date is written without a rule.
fn rule(dice: &mut Dice, at: DateTime, unit: Unit) -> String {
    let (year, hour, minute) = (at.year(), at.hour(), at.minute());
    if year < 1970 || matches!(unit, Unit::Week | Unit::Micro) {
        return written(dice, at, unit);
    }
    let mut rule = format!("TY{year}");
    if unit == Unit::Quarter {
        write!(rule, "Q{}", (at.month() + 2) / 3).unwrap();
        return rule;
    }
    let parts = [
        (Unit::Month, 'M', at.month()),
        (Unit::Day, 'D', at.day()),
        (Unit::Hour, 'h', hour),
        (Unit::Minute, 'm', minute),
        (Unit::Second, 's', at.second()),
    ];
    for (of, letter, number) in parts {
        if unit >= of {
            write!(rule, "{letter}{number}").unwrap();
        }
    }
    rule
}

/// The first time at which a clock shows a local time.
fn first_shown(at: DateTime, zone: &TimeZone) -> i64 {
    let ambiguous = zone.to_ambiguous_timestamp(at);
    end_of_gap(at, zone).unwrap_or_else(|| ambiguous.earlier().unwrap().as_microsecond())
}

/// The time after the last one at which a clock shows a local time before `next`.
fn last_shown_before(next: DateTime, zone: &TimeZone) -> i64 {
    let last = next.checked_sub(1.microsecond()).unwrap();
    let ambiguous = zone.to_ambiguous_timestamp(last);
    end_of_gap(last, zone).unwrap_or_else(|| ambiguous.later().unwrap().as_microsecond() + 1)
}

/// The end of the gap that contains a local time. None if clocks show this local time.
fn end_of_gap(at: DateTime, zone: &TimeZone) -> Option<i64> {
    let AmbiguousOffset::Gap { before, .. } = zone.to_ambiguous_timestamp(at).offset() else { return None };
    let beyond = before.to_timestamp(at).unwrap().checked_add(1.microsecond()).unwrap();
    Some(zone.preceding(beyond).next().unwrap().timestamp().as_microsecond())
}
