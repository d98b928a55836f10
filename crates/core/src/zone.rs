//! Time zones by their names.

use jiff::tz::TimeZone;

/// A name that is not that of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an IANA time zone such as Europe/Berlin or UTC, found {0:?}")]
pub struct UnknownZone(pub String);

/// The most characters of a wrong name that an error repeats.
const MAX_SHOWN_CHARS: usize = 100;

/// Entries of time zone databases that are not zones: the setting of this machine, and placeholders.
const NOT_ZONES: [&str; 3] = ["localtime", "posixrules", "Factory"];

/// The time zone of an IANA name, such as `Europe/London` or `UTC`, in just this spelling.
///
/// Zones are those of the system's database if it has one, and else those that jiff brings.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    // The database finds its names in any case; another name than that asked for is an alias.
    let spelled =
        |zone: &TimeZone| zone.iana_name().is_some_and(|own| own == name || !own.eq_ignore_ascii_case(name));
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown() && spelled(zone));
    zone.filter(|_| !NOT_ZONES.contains(&name))
        .ok_or_else(|| UnknownZone(name.chars().take(MAX_SHOWN_CHARS).collect()))
}
