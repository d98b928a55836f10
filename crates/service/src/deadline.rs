//! The deadline of a call: the one of the caller, or the limit of the service if that is earlier.

use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataMap;

/// The time that is left for the answer to reach the caller before the caller gives up: a tenth of the caller's
/// timeout, within these bounds. A busy machine needs more than the least of them, and a caller who waits long does
/// not miss the most.
const MIN_TRAVEL: Duration = Duration::from_millis(50);
const MAX_TRAVEL: Duration = Duration::from_millis(500);

/// When a call must be answered, at most `limit` from now.
#[must_use]
pub fn of(metadata: &MetadataMap, limit: Duration) -> Instant {
    let allowed =
        metadata.get("grpc-timeout").and_then(|value| parse(value.to_str().ok()?)).map_or(limit, allowed);
    Instant::now() + allowed.min(limit)
}

/// How long a call can take whose caller gives up after `timeout`.
fn allowed(timeout: Duration) -> Duration {
    timeout.saturating_sub((timeout / 10).clamp(MIN_TRAVEL, MAX_TRAVEL)).max(timeout / 2)
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
    fn an_answer_has_time_to_reach_its_caller() {
        let allowed = |millis| allowed(Duration::from_millis(millis)).as_millis();
        assert_eq!([20, 100, 1_000, 2_000, 60_000].map(allowed), [10, 50, 900, 1_800, 59_500]);
    }

    #[test]
    fn timeouts_of_grpc_clients_are_parsed() {
        assert_eq!(parse("5S"), Some(Duration::from_secs(5)));
        assert_eq!(parse("99999999u"), Some(Duration::from_micros(99_999_999)));
        for text in ["", "S", "5", "5s", "-5S", "123456789S", "1é"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
