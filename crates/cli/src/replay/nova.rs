//! The log of `OpenStack` Nova's API services (`nova-api`, `nova-metadata`):
//!
//! ```text
//! 2026-11-20 10:00:00.008 25746 INFO nova.osapi_compute.wsgi.server [req-… USER PROJECT - - -] 192.0.2.1 "GET /v2/PROJECT/servers/detail HTTP/1.1" status: 200 len: 1893 time: 0.2477829
//! ```
//!
//! Log collectors can put the name of the file before the date. The line of a request
//! becomes an event of the provider `ODSLRequest`:
//!
//! | field | from |
//! | --- | --- |
//! | timestamp | date and time, read as UTC, because Nova writes no time zone |
//! | service | the component's family: `nova.osapi_compute…` is `nova-api`, `nova.metadata…` is `nova-metadata` |
//! | application | the project's id |
//! | user | the user's id |
//! | method | in lower case |
//! | action | the path without version and project, ids as `{id}`: `servers/detail`, `servers/{id}` |
//! | httpstatus, response size | `status`, `len` |
//! | duration | `time`, rounded to whole milliseconds, half up |
//! | invocation id | the `req-…` id |
//! | attribute `key` | the path without the query |
//!
//! All other lines, such as those of the compute manager, are skipped.

use std::{collections::HashMap, time::Duration};

use flowmeter_proto::v1::UsageEvent;
use jiff::{civil::DateTime, tz::TimeZone};

use super::{Malformed, request::RequestLine};
use crate::moment;

/// The event of a line. None if the line is not about an API request.
pub(crate) fn parse(line: &str) -> Result<Option<UsageEvent>, Malformed> {
    let (timestamp, rest) = timestamp(line)?;
    let Some((head, request, measures)) = split_request(rest) else { return Ok(None) };
    let Some(request) = RequestLine::parse(request) else { return Ok(None) };
    let context = Context::parse(head);
    let mut event = UsageEvent {
        timestamp: Some(timestamp),
        provider: "ODSLRequest".into(),
        r#type: "api".into(),
        method: request.method.to_ascii_lowercase(),
        service: service(head)?,
        action: action(&request, context.project),
        application: context.project.into(),
        user: context.user.into(),
        invocation_id: context.request_id.into(),
        attributes: HashMap::from([("key".into(), request.key())]),
        ..UsageEvent::default()
    };
    measure(&mut event, measures)?;
    Ok(Some(event))
}

/// The time of a line, and the rest after it.
fn timestamp(line: &str) -> Result<(prost_types::Timestamp, &str), Malformed> {
    const EXPECTED: &str = "expected a date and a time such as 2026-11-20 10:00:00.008";
    let (first, rest) = line.split_once(' ').ok_or(EXPECTED)?;
    let (date, rest) = if is_date(first) { (first, rest) } else { rest.split_once(' ').ok_or(EXPECTED)? };
    let (time, rest) = rest.split_once(' ').ok_or(EXPECTED)?;
    if !is_date(date) {
        return Err(EXPECTED.into());
    }
    let civil: DateTime = format!("{date}T{time}")
        .parse()
        .map_err(|_| format!("expected a valid date and time, found {date} {time}"))?;
    let zoned = civil.to_zoned_datetime(TimeZone::UTC).map_err(|_| EXPECTED)?;
    Ok((moment::to_wire(zoned.timestamp()), rest))
}

fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

/// The three parts of a request's line: the text before the quotes, the text between them, and the measures
/// after them.
fn split_request(rest: &str) -> Option<(&str, &str, &str)> {
    let (head, rest) = rest.split_once(" \"")?;
    let (request, measures) = rest.rsplit_once("\" status: ")?;
    Some((head, request, measures))
}

/// The service, from the text before the quotes, such as
/// `25746 INFO nova.osapi_compute.wsgi.server […] 192.0.2.1`.
fn service(head: &str) -> Result<String, Malformed> {
    let component = head.split(' ').nth(2).unwrap_or_default();
    let mut parts = component.split('.');
    match (parts.next(), parts.next()) {
        (Some("nova"), Some("osapi_compute")) => Ok("nova-api".into()),
        (Some(project), Some(family)) if !project.is_empty() => Ok(format!("{project}-{family}")),
        _ => Err(format!("expected a component such as nova.osapi_compute.wsgi.server, found {component:?}")
            .into()),
    }
}

/// The user and the project in `[req-… USER PROJECT …]`; `-` stands for none.
#[derive(Default)]
struct Context<'a> {
    request_id: &'a str,
    user: &'a str,
    project: &'a str,
}

impl<'a> Context<'a> {
    fn parse(head: &'a str) -> Self {
        let inside = head.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let Some((inside, _)) = inside else { return Self::default() };
        let words: Vec<&str> = inside.split(' ').collect();
        // Newer releases write a global request id first. The last id is that of the request.
        let Some(at) = words.iter().rposition(|word| word.starts_with("req-")) else {
            return Self::default();
        };
        let word = |at: usize| words.get(at).copied().filter(|word| *word != "-").unwrap_or_default();
        Self { request_id: words[at], user: word(at + 1), project: word(at + 2) }
    }
}

/// The action: the segments of the path with ids replaced, so that requests for different servers count
/// together.
fn action(request: &RequestLine, project: &str) -> String {
    let is_version = |segment: &str| {
        segment.strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let segments = request.segments().enumerate().filter(|(at, segment)| match at {
        0 => !is_version(segment),
        1 => *segment != project,
        _ => true,
    });
    let named: Vec<&str> =
        segments.map(|(_, segment)| if is_id(segment) { "{id}" } else { segment }).collect();
    crate::render::text::cut(&named.join("/"), super::request::MAX_TEXT_BYTES).to_owned()
}

/// Whether a segment is a UUID, with or without dashes, or a number.
fn is_id(segment: &str) -> bool {
    let hex = segment.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = segment.bytes().filter(|byte| *byte == b'-').count();
    (hex == 32 && hex + dashes == segment.len()) || segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads `200 len: 1893 time: 0.2477829`.
fn measure(event: &mut UsageEvent, measures: &str) -> Result<(), Malformed> {
    let words: Vec<&str> = measures.split_ascii_whitespace().collect();
    let [status, "len:", length, "time:", time, ..] = words.as_slice() else {
        return Err("expected `status: … len: … time: …` after the request".into());
    };
    let number = |name: &str, text: &str| format!("{name}: expected a number, found {text:?}");
    event.httpstatus = Some(status.parse().map_err(|_| number("status", status))?);
    event.response_size = Some(length.parse().map_err(|_| number("len", length))?);
    event.duration = Some(milliseconds(time).ok_or_else(|| number("time", time))?);
    Ok(())
}

/// Seconds with a fraction as whole milliseconds, half rounded up.
pub(super) fn milliseconds(seconds: &str) -> Option<i64> {
    if !seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let duration = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    i64::try_from(duration.checked_add(Duration::from_micros(500))?.as_millis()).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::json;

    pub(in crate::replay) const SERVERS: &str = "nova-api.log.1.2026-11-20_13:53:08 2026-11-20 10:00:00.008 4711 INFO nova.osapi_compute.wsgi.server [req-0f0e0d0c-1111-4222-8333-444455556666 aaaabbbbccccddddeeeeffff00001111 22223333444455556666777788889999 - - -] 192.0.2.10 \"GET /v2/22223333444455556666777788889999/servers/detail?all=1 HTTP/1.1\" status: 200 len: 1893 time: 0.2475000";

    #[test]
    fn reads_a_request() {
        let event = parse(SERVERS).unwrap().unwrap();
        insta::assert_snapshot!(json::pretty("UsageEvent", &event).unwrap(), @r#"
        {
          "timestamp": "2026-11-20T10:00:00.008Z",
          "provider": "ODSLRequest",
          "action": "servers/detail",
          "application": "22223333444455556666777788889999",
          "httpstatus": 200,
          "invocationId": "req-0f0e0d0c-1111-4222-8333-444455556666",
          "method": "get",
          "service": "nova-api",
          "type": "api",
          "user": "aaaabbbbccccddddeeeeffff00001111",
          "duration": "248",
          "responseSize": "1893",
          "attributes": {
            "key": "/v2/22223333444455556666777788889999/servers/detail"
          }
        }
        "#);
    }

    #[test]
    fn reads_lines_of_other_releases() {
        let newer = "2026-11-20 10:00:00 9 INFO nova.metadata.wsgi.server [None req-1 - - - - - -] 192.0.2.1,192.0.2.2 \"GET /latest/meta-data/ HTTP/1.1\" status: 404 len: 5 time: 2";
        let event = parse(newer).unwrap().unwrap();
        assert_eq!(event.service, "nova-metadata");
        assert_eq!(event.action, "latest/meta-data");
        assert_eq!((event.user.as_str(), event.invocation_id.as_str()), ("", "req-1"));
        assert_eq!(event.duration, Some(2000));
        let bare = newer.replace("[None req-1 - - - - - -]", "[-]");
        assert_eq!(parse(&bare).unwrap().unwrap().invocation_id, "");
    }

    #[test]
    fn replaces_ids_in_the_action() {
        let server = SERVERS.replace("detail?all=1", "0f0e0d0c-1111-4222-8333-444455556666");
        assert_eq!(parse(&server).unwrap().unwrap().action, "servers/{id}");
        let flavor = SERVERS.replace("servers/detail", "flavors/2");
        assert_eq!(parse(&flavor).unwrap().unwrap().action, "flavors/{id}");
    }

    #[test]
    fn lines_without_a_request_are_skipped() {
        let line = "nova-compute.log 2026-11-20 10:00:00.008 9 INFO nova.compute.manager [-] [instance: x] VM \"Paused\"";
        assert_eq!(parse(line), Ok(None));
    }

    #[test]
    fn malformed_lines_have_a_reason() {
        let reason = |line: &str| parse(line).unwrap_err().0.into_owned();
        assert!(reason("Traceback (most recent call last):").starts_with("expected a date"));
        assert!(reason(&SERVERS.replace("-20 10:", "-32 10:")).starts_with("expected a valid date and time"));
        assert_eq!(reason(&SERVERS.replace("1893", "many")), "len: expected a number, found \"many\"");
        assert_eq!(reason(&SERVERS.replace("0.2475000", "NaN")), "time: expected a number, found \"NaN\"");
        assert!(reason(&SERVERS.replace(" time:", "")).starts_with("expected `status:"));
    }

    #[test]
    fn rounds_half_up() {
        let rounded: Vec<_> = ["0.0005", "0.0004999", "1.2345", "7"].map(milliseconds).into();
        assert_eq!(rounded, [Some(1), Some(0), Some(1235), Some(7000)]);
        assert_eq!(milliseconds("-1"), None);
        assert_eq!(milliseconds("1e300"), None);
        assert_eq!(milliseconds(""), None);
    }
}
