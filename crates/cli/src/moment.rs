//! Points in time: conversions between the wire, jiff and text. Timestamps on the wire that jiff cannot
//! represent (beyond the year 9999) become `None`.

use flowmeter_core::written;
use jiff::{SignedDuration, Timestamp, ZonedDateTime, tz::TimeZone};

/// Converts a timestamp of the contract.
pub(crate) fn from_wire(timestamp: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::new(timestamp.seconds, timestamp.nanos).ok()
}

/// Converts to a timestamp of the contract.
pub(crate) fn to_wire(timestamp: Timestamp) -> prost_types::Timestamp {
    // The contract counts nanoseconds forward from the second, and jiff counts them away from zero.
    let backward = timestamp.subsec_nanosecond() < 0;
    prost_types::Timestamp {
        seconds: timestamp.as_second() - i64::from(backward),
        nanos: timestamp.subsec_nanosecond() + if backward { 1_000_000_000 } else { 0 },
    }
}

/// The timestamp in RFC 3339 and UTC, or an empty string for none.
pub(crate) fn rfc3339(timestamp: Option<&prost_types::Timestamp>) -> String {
    timestamp.and_then(from_wire).map(|timestamp| timestamp.to_string()).unwrap_or_default()
}

/// The earliest of several timestamps. None if one of them is none. An answer of several pages is fresh
/// through this time.
pub(crate) fn earliest(
    times: impl IntoIterator<Item = Option<prost_types::Timestamp>>,
) -> Option<prost_types::Timestamp> {
    times.into_iter().min_by_key(|time| time.map(|time| (time.seconds, time.nanos))).flatten()
}

const EXPECTED: &str = "expected a time such as 2026-11-21T09:30:00Z";

/// Reads a time from the command line or a file.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    written::time(text).map_err(|error| {
        let is_like_a_time = text.starts_with(|first: char| first.is_ascii_digit());
        if is_like_a_time { error.to_string() } else { EXPECTED.to_owned() }
    })
}

/// Reads the first time of a range: a time, or a day in UTC, which stands for its beginning.
pub(crate) fn parse_first(text: &str) -> Result<Timestamp, String> {
    parse_or_day(text, ZonedDateTime::start_of_day)
}

/// Reads the last time of a range: a time, or a day in UTC, which stands for its end.
pub(crate) fn parse_last(text: &str) -> Result<Timestamp, String> {
    parse_or_day(text, ZonedDateTime::end_of_day)
}

fn parse_or_day(
    text: &str,
    end: fn(&ZonedDateTime) -> Result<ZonedDateTime, jiff::Error>,
) -> Result<Timestamp, String> {
    let day = written::day(text).ok().and_then(|day| day.to_zoned_datetime(TimeZone::UTC).ok());
    if let Some(end) = day.and_then(|day| end(&day).ok()) {
        return Ok(end.timestamp());
    }
    parse(text).map_err(|error| {
        let or = if error == EXPECTED { " or a day such as 2026-11-21" } else { "" };
        error + or
    })
}

/// Reads a duration such as `10s`, `1m 30s` or `500ms` from the command line.
pub(crate) fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let duration: SignedDuration =
        text.parse().map_err(|_| "expected a duration such as 10s, 500ms or 2m".to_owned())?;
    duration.try_into().map_err(|_| "expected a duration of zero or more, found a negative one".to_owned())
}

/// Converts to a duration of the contract, or to the longest one if it is too long.
pub(crate) fn duration_to_wire(duration: std::time::Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: duration.as_secs().try_into().unwrap_or(i64::MAX),
        nanos: duration.subsec_nanos().cast_signed(),
    }
}

/// Reads a duration such as `30d` or `12h`, in which days have 24 hours. Returns the time at its end, counted
/// from `now`.
pub(crate) fn parse_from_now(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let span: jiff::Span = text.parse().map_err(|_| "expected a duration such as 30d or 12h".to_owned())?;
    now.to_zoned_datetime(TimeZone::UTC)
        .checked_add(span)
        .map(|moment| moment.timestamp())
        .map_err(|_| "expected a time before the year 10000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_count_forward_before_1970() {
        let before: Timestamp = "1969-12-31T23:59:59.25Z".parse().unwrap();
        let wire = to_wire(before);
        assert_eq!((wire.seconds, wire.nanos), (-1, 250_000_000));
        assert_eq!(from_wire(&wire), Some(before));
    }

    #[test]
    fn the_earliest_is_unknown_if_one_is_unknown() {
        let at = |seconds, nanos| Some(prost_types::Timestamp { seconds, nanos });
        assert_eq!(earliest([at(2, 5), at(2, 4), at(3, 0)]), at(2, 4));
        assert_eq!(earliest([at(2, 5), None, at(3, 0)]), None);
        assert_eq!(earliest([]), None);
    }

    #[test]
    fn a_day_stands_for_its_beginning_or_its_end() {
        let shown = |time: Result<Timestamp, String>| time.map(|time| time.to_string());
        assert_eq!(shown(parse_first("2026-11-21")), Ok("2026-11-21T00:00:00Z".into()));
        assert_eq!(shown(parse_last("2026-11-21")), Ok("2026-11-21T23:59:59.999999999Z".into()));
        for parse in [parse_first, parse_last] {
            assert_eq!(shown(parse("2026-11-21T09:30:00+01:00")), Ok("2026-11-21T08:30:00Z".into()));
            for wrong in ["yesterday", "-1d", ""] {
                let error = parse(wrong).unwrap_err();
                assert_eq!(error, "expected a time such as 2026-11-21T09:30:00Z or a day such as 2026-11-21");
            }
            for (wrong, at, expected) in [
                ("21.11.2026", 1, "a year of four digits, such as 2026, found 21"),
                ("2026-11-31", 9, "a day from 01 to 30, because November 2026 has 30 days, found 31"),
                ("2026-13-01T00:00:00Z", 6, "a month from 01 to 12, found 13"),
                ("2026-11", 8, "- and a day, as in 2026-11-21, found the end"),
                ("2026-11-21T09:30", 17, "Z for UTC, or an offset such as +01:00, found the end"),
                ("2026-11-21T25:00Z", 12, "an hour from 00 to 23, found 25"),
            ] {
                assert_eq!(parse(wrong).unwrap_err(), format!("at character {at}: expected {expected}"));
            }
        }
        let no_time = "at character 11: expected T and an hour, as in 2026-11-21T09:30:00Z, found the end";
        assert_eq!(super::parse("2026-11-21").unwrap_err(), no_time);
    }

    #[test]
    fn reads_durations_in_common_notations() {
        assert_eq!(parse_duration("1m 30s").unwrap().as_secs(), 90);
        assert!(parse_duration("-1s").is_err());
        assert!(parse_duration("soon").is_err());
        let now: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();
        let later = parse_from_now("30d", now).unwrap();
        assert_eq!(later.to_string(), "2026-03-02T00:00:00Z");
    }
}
