//! Shifts the times of a log by the same amount.

use flowmeter_proto::v1::UsageEvent;
use jiff::{SignedDuration, Timestamp};

use super::{
    Malformed, Parser,
    lines::{Line, Lines},
};
use crate::moment;

/// Shifts the time of an event.
pub(crate) fn shift(event: &mut UsageEvent, by: SignedDuration) -> Result<(), Malformed> {
    if by.is_zero() {
        return Ok(());
    }
    let time = event.timestamp.as_ref().and_then(moment::from_wire);
    let time = time.ok_or("the timestamp is out of range")?;
    let moved = time.checked_add(by).map_err(|_| "the shifted timestamp is out of range")?;
    event.timestamp = Some(moment::to_wire(moved));
    Ok(())
}

/// The time of the latest event of a log. None if it has no event.
pub(crate) fn latest(
    mut lines: Lines<impl std::io::BufRead>,
    mut parser: Parser,
) -> std::io::Result<Option<Timestamp>> {
    let mut latest = None;
    while let Some(line) = lines.next()? {
        let Line::Bytes(line) = line else { continue };
        // Malformed lines are reported in the second pass, when the log is sent.
        let Ok(Some(event)) = parser.parse(line) else { continue };
        latest = latest.max(event.timestamp.as_ref().and_then(moment::from_wire));
    }
    Ok(latest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::Format;

    const LOG: &[u8] = br#"
{"timestamp":"2026-11-20T10:00:00Z"}
{"timestamp":"2026-11-20T10:00:09.5Z"}
broken
{"timestamp":"2026-11-20T10:00:07Z"}
"#;

    fn event(time: &str) -> UsageEvent {
        let timestamp = Some(moment::to_wire(time.parse().unwrap()));
        UsageEvent { timestamp, ..UsageEvent::default() }
    }

    #[test]
    fn finds_the_latest_event() {
        let latest = latest(Lines::new(LOG), Parser::new(Format::Jsonl, None, "")).unwrap();
        assert_eq!(latest.unwrap().to_string(), "2026-11-20T10:00:09.5Z");
    }

    #[test]
    fn all_times_are_shifted_by_the_same_amount() {
        let by = SignedDuration::from_hours(24 * 365);
        for (before, after) in [
            ("2023-05-16T00:00:00.25Z", "2024-05-15T00:00:00.25Z"),
            ("2023-05-16T01:00:00.25Z", "2024-05-15T01:00:00.25Z"),
        ] {
            let mut moved = event(before);
            shift(&mut moved, by).unwrap();
            assert_eq!(moved, event(after));
        }
    }

    #[test]
    fn times_outside_the_calendar_are_refused() {
        assert!(shift(&mut event("2026-11-22T00:00:00Z"), SignedDuration::MAX).is_err());
    }
}
