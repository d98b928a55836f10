//! The calendars that everybody has, by their codes.

use jiff::civil::Weekday;

use super::interval::Interval;
use super::points::Points;
use super::working_days::WorkingDays;
use super::{Buckets, england_and_wales};
use crate::syntax::SyntaxError;

/// A built-in calendar, as it is shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// The code by which it is asked for.
    pub code: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
}

/// The built-in calendars, finest first. Of the interval calendars these are the usual
/// ones: `#` and any ISO 8601 duration of whole minutes up to 100 years is another.
pub const BUILT_IN: [BuiltIn; 16] = [
    BuiltIn { code: "#PT1M", description: "every minute" },
    BuiltIn { code: "#PT5M", description: "every 5 minutes" },
    BuiltIn { code: "#PT15M", description: "every quarter of an hour" },
    BuiltIn { code: "#PT30M", description: "every half hour" },
    BuiltIn { code: "#PT1H", description: "every hour" },
    BuiltIn { code: "#PT6H", description: "every 6 hours, from midnight" },
    BuiltIn { code: "#PT12H", description: "every 12 hours, from midnight" },
    BuiltIn { code: "#P1D", description: "every day" },
    BuiltIn { code: "#P1W", description: "every week, from Monday" },
    BuiltIn { code: "#P1M", description: "every month" },
    BuiltIn { code: "#P3M", description: "every quarter, from January" },
    BuiltIn { code: "#P1Y", description: "every year" },
    BuiltIn { code: "DAILY", description: "every day" },
    BuiltIn { code: "BUSINESS", description: "Monday to Friday; the weekend belongs to Friday" },
    BuiltIn { code: "MONTHLY", description: "every month" },
    BuiltIn {
        code: "#HENG",
        description: "working days of England and Wales; weekends and bank holidays belong to the day before",
    },
];

/// The names of those that are not intervals, which may have a leading `#`.
const NAMES: [&str; 4] = ["DAILY", "BUSINESS", "MONTHLY", "HENG"];

/// Whether a code is or resembles that of a built-in calendar: it begins with `#`, or is a
/// name in any case.
pub(super) fn is_reserved(code: &str) -> bool {
    code.starts_with('#') || NAMES.iter().any(|name| name.eq_ignore_ascii_case(code))
}

/// The buckets of a code.
pub(super) fn read(code: &str) -> Result<Buckets, SyntaxError> {
    let named = match code.strip_prefix('#').unwrap_or(code) {
        "DAILY" => return Interval::read("P1D").map(|interval| interval.buckets(0)),
        "MONTHLY" => return Interval::read("P1M").map(|interval| interval.buckets(0)),
        "BUSINESS" => Some(WorkingDays::new(&[Weekday::Saturday, Weekday::Sunday], Vec::new())),
        "HENG" => Some(england_and_wales::working_days()),
        _ => None,
    };
    match (named, code.strip_prefix('#')) {
        (Some(days), _) => Ok(Buckets::Points(Points::WorkingDays(days))),
        (None, Some(duration)) if duration.starts_with('P') => {
            Interval::read(code).map(|interval| interval.buckets(0))
        }
        _ => {
            let expected = "# and an ISO 8601 duration, such as #PT15M, #PT1H, #P1D, #P1W or #P1M, \
                            or DAILY, BUSINESS, MONTHLY or #HENG";
            Err(SyntaxError::new(1, expected).found(code))
        }
    }
}
