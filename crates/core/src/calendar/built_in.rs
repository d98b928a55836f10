//! The calendars that every tenant has, by code.

use jiff::civil::Weekday;

use super::interval::Interval;
use super::points::Points;
use super::working_days::WorkingDays;
use super::{Buckets, england_and_wales};
use crate::syntax::SyntaxError;

/// A built-in calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    /// The code.
    pub code: &'static str,
    /// A description of one line.
    pub description: &'static str,
}

/// The built-in calendars, finest first. The list has only the common intervals: `#` and any other ISO 8601
/// duration of whole minutes, up to 100 years, is a code as well.
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

/// The names of the calendars that are not intervals. A name can have a leading `#`.
const NAMES: [&str; 4] = ["DAILY", "BUSINESS", "MONTHLY", "HENG"];

/// Whether a code is reserved for built-in calendars: it begins with `#`, or is a built-in name in upper or
/// lower case.
pub(super) fn is_reserved(code: &str) -> bool {
    code.starts_with('#') || NAMES.iter().any(|name| name.eq_ignore_ascii_case(code))
}

/// The buckets of the calendar with this code.
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
