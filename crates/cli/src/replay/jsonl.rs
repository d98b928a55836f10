//! Usage events in protobuf JSON, one per line: names in camelCase or `snake_case`, timestamps in RFC 3339,
//! 64-bit integers as numbers or strings. A line with an unknown field is malformed. Unlike in the contract,
//! a timestamp is required; without it, a second replay would count the event again.

use flowmeter_proto::v1::UsageEvent;

use super::Malformed;
use crate::json;

/// Reads the events of lines.
pub(crate) struct Reader(json::Reader);

impl Reader {
    /// A reader of usage events.
    pub(crate) fn new() -> Self {
        Self(json::Reader::new("UsageEvent"))
    }

    /// The event of a line.
    pub(crate) fn parse(&self, line: &str) -> Result<UsageEvent, Malformed> {
        let text = line.trim();
        if !text.starts_with('{') {
            return Err("expected a JSON object".into());
        }
        Ok(self.0.read(text)?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::replay) const EVENT: &str = r#"{"eventId":"a-1","timestamp":"2026-11-20T10:00:00.123456Z","provider":"ODSLRequest","action":"read","application":"web","detail":"d","environment":"prod","httpstatus":200,"invocationId":"i","method":"get","service":"object","type":"api","user":"u","duration":"35","responseSize":2048,"value":-1,"attributes":{"key":"AAA"}}"#;

    fn reason(line: &str) -> String {
        Reader::new().parse(line).unwrap_err().0.into_owned()
    }

    #[test]
    fn reads_every_field() {
        let event = Reader::new().parse(EVENT).unwrap();
        assert_eq!(
            json::line("UsageEvent", &event).unwrap(),
            EVENT.replace(
                r#""duration":"35","responseSize":2048,"value":-1"#,
                r#""duration":"35","responseSize":"2048","value":"-1""#
            )
        );
    }

    #[test]
    fn reads_snake_case() {
        let snake = EVENT
            .replace("eventId", "event_id")
            .replace("invocationId", "invocation_id")
            .replace("responseSize", "response_size");
        assert_eq!(Reader::new().parse(&snake), Reader::new().parse(EVENT));
        let decimal = Reader::new().parse(r#"{"decimal_value":"1.50"}"#).unwrap();
        assert_eq!(decimal.decimal_value, "1.50");
    }

    #[test]
    fn malformed_lines_have_a_reason() {
        assert!(reason(&EVENT.replace("service", "servce")).contains("servce"));
        assert_eq!(reason("[1]"), "expected a JSON object");
        assert!(reason(r#"{"duration":"soon"}"#).contains("column"));
        assert!(!reason(&EVENT[..60]).is_empty());
    }
}
