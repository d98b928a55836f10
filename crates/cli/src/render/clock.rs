//! Times on the clocks of a time zone. If all times have the same UTC offset, the offset is shown once. If
//! the clocks change in between, each time shows its offset, so that an hour that occurs twice is
//! unambiguous.

use jiff::{Timestamp, tz::TimeZone};

/// How to show the times of one answer.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    zone: TimeZone,
    form: Form,
    label: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the contract writes times: `2026-11-20T06:00:00Z`.
    Utc,
    /// All times have one offset: `2026-11-20T07:00:00`.
    Local,
    /// Each time has its offset: `2026-10-25T02:00:00+01:00`.
    WithOffset,
}

impl Clock {
    /// The clock of the zone with this IANA name, for these times. The times of an unknown zone are shown in
    /// UTC.
    pub(crate) fn new(zone_name: &str, times: impl IntoIterator<Item = Timestamp>) -> Self {
        let utc = Self { zone: TimeZone::UTC, form: Form::Utc, label: String::new() };
        if ["", "UTC", "Etc/UTC"].contains(&zone_name) {
            return utc;
        }
        let Ok(zone) = TimeZone::get(zone_name) else { return utc };
        let mut offsets = times.into_iter().map(|time| zone.to_offset(time));
        let Some(first) = offsets.next() else { return utc };
        if offsets.all(|offset| offset == first) {
            let offset = Timestamp::UNIX_EPOCH.to_zoned_datetime(first.to_time_zone()).strftime("%:z");
            let label = format!(" in {zone_name}, {offset}");
            return Self { zone, form: Form::Local, label };
        }
        Self { zone, form: Form::WithOffset, label: format!(" in {zone_name}, where the clocks change") }
    }

    /// The time zone.
    pub(crate) fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// The name and the offset of the zone, to print after the time range. Empty for UTC.
    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    /// A time as the clock shows it.
    pub(crate) fn time(&self, time: Timestamp) -> String {
        let local = self.zone.to_datetime(time);
        match self.form {
            Form::Utc => time.to_string(),
            Form::Local => local.to_string(),
            Form::WithOffset => {
                format!("{local}{}", time.to_zoned_datetime(self.zone.clone()).strftime("%:z"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, times: &[&str]) -> (Vec<String>, String) {
        let times: Vec<Timestamp> = times.iter().map(|time| time.parse().unwrap()).collect();
        let clock = Clock::new(zone, times.iter().copied());
        (times.iter().map(|time| clock.time(*time)).collect(), clock.label().to_owned())
    }

    #[test]
    fn utc_times_look_like_those_of_the_contract() {
        let times = ["2026-10-25T00:00:00Z"];
        for zone in ["", "UTC", "Mars/Olympus"] {
            assert_eq!(shown(zone, &times), (vec![times[0].to_owned()], String::new()));
        }
    }

    #[test]
    fn a_single_offset_is_shown_once() {
        let (times, label) = shown("Asia/Kolkata", &["2026-10-25T00:00:00Z", "2026-01-25T00:00:00.5Z"]);
        assert_eq!(times, ["2026-10-25T05:30:00", "2026-01-25T05:30:00.5"]);
        assert_eq!(label, " in Asia/Kolkata, +05:30");
    }

    #[test]
    fn an_hour_that_occurs_twice_shows_its_offsets() {
        let (times, label) = shown("Europe/Berlin", &["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]);
        assert_eq!(times, ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]);
        assert_eq!(label, " in Europe/Berlin, where the clocks change");
    }
}
