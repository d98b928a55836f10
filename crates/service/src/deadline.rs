//! The deadline of a call: the one of the caller, or the limit of the service if that is earlier.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The time that is left for the answer to reach the caller before it gives up.
const TRAVEL: Duration = Duration::from_millis(50);

/// When a call must be answered, at most `limit` from now.
#[must_use]
pub fn of(metadata: &MetadataMap, limit: Duration) -> Instant {
    let allowed = metadata
        .get("grpc-timeout")
        .and_then(|value| parse(value.to_str().ok()?))
        .map_or(limit, |timeout| timeout.saturating_sub(TRAVEL).max(timeout / 2));
    Instant::now() + allowed.min(limit)
}

/// Parses the header: up to eight digits and a unit.
fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3_600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_grpc_clients_are_parsed() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("99999999u"), Some(Duration::from_micros(99_999_999)));
        for text in ["", "S", "5", "5s", "-5S", "123456789S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
