//! Time zones by name.

use jiff::tz::TimeZone;

/// The error that a text is not the name of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an IANA time zone such as Europe/Berlin or UTC, found {0:?}")]
pub struct UnknownZone(pub String);

/// The maximum number of characters of a wrong name in an error.
const MAX_SHOWN_CHARS: usize = 100;

/// Entries of time zone databases that are not time zones: the setting of this machine, and placeholders.
const NOT_ZONES: [&str; 3] = ["localtime", "posixrules", "Factory"];

/// The time zone with an IANA name, such as `Europe/London` or `UTC`. Names are case-sensitive.
///
/// Time zones come from the database of the system, or from the one in jiff if the system has none.
pub fn zone(name: &str) -> Result<TimeZone, UnknownZone> {
    // The database ignores case. If it returns a different name, the requested name is an alias.
    let spelled =
        |zone: &TimeZone| zone.iana_name().is_some_and(|own| own == name || !own.eq_ignore_ascii_case(name));
    let zone = TimeZone::get(name).ok().filter(|zone| !zone.is_unknown() && spelled(zone));
    zone.filter(|_| !NOT_ZONES.contains(&name))
        .ok_or_else(|| UnknownZone(name.chars().take(MAX_SHOWN_CHARS).collect()))
}
