//! Replays a log: reads it line by line, turns the lines into usage events and records them. A second replay
//! of the same log counts nothing twice. The parsers do no input or output; only `delivery` and `settling`
//! call the services.

pub(crate) mod combined;
pub(crate) mod delivery;
pub(crate) mod flow;
pub(crate) mod identity;
pub(crate) mod jsonl;
pub(crate) mod lines;
pub(crate) mod nova;
pub(crate) mod progress;
pub(crate) mod reading;
pub(crate) mod request;
pub(crate) mod settling;
pub(crate) mod shift;
pub(crate) mod tally;

use std::borrow::Cow;

use clap::ValueEnum;
use flowmeter_proto::v1::UsageEvent;

/// The format of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[allow(clippy::doc_markdown, reason = "this comment is a help text, which has no backticks")]
    /// The log of OpenStack Nova's API services.
    Nova,
    /// The access log of Apache or nginx in Combined (or Common) Log Format.
    Combined,
    /// Usage events as JSON, one per line.
    Jsonl,
}

impl Format {
    /// The name of the format, which is also the prefix of the ids of its events.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nova => "nova",
            Self::Combined => "combined",
            Self::Jsonl => "jsonl",
        }
    }
}

/// Why a line is malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) Cow<'static, str>);

impl From<&'static str> for Malformed {
    fn from(reason: &'static str) -> Self {
        Self(reason.into())
    }
}

impl From<String> for Malformed {
    fn from(reason: String) -> Self {
        Self(reason.into())
    }
}

/// Reads the lines of one log.
pub(crate) struct Parser {
    format: Format,
    application: Option<String>,
    identity: identity::Identity,
    json: jsonl::Reader,
}

impl Parser {
    /// A parser for one log. `source` distinguishes logs that can contain identical lines, such as those of
    /// two servers.
    pub(crate) fn new(format: Format, application: Option<String>, source: &str) -> Self {
        Self {
            format,
            application,
            identity: identity::Identity::new(format, source),
            json: jsonl::Reader::new(),
        }
    }

    /// The event of the next line, which has no line end. None if the line is blank or not about an API
    /// request. The event has a timestamp, and an id that depends only on the log.
    pub(crate) fn parse(&mut self, line: &[u8]) -> Result<Option<UsageEvent>, Malformed> {
        let text = std::str::from_utf8(line)
            .map_err(|error| format!("not valid UTF-8 at byte {}", error.valid_up_to() + 1))?;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let event = match self.format {
            Format::Nova => nova::parse(text)?,
            Format::Combined => combined::parse(text)?,
            Format::Jsonl => Some(self.json.parse(text)?),
        };
        let Some(mut event) = event else { return Ok(None) };
        if event.timestamp.is_none() {
            return Err("no timestamp: a replayed event needs one, so that it counts once".into());
        }
        if event.event_id.is_empty() {
            event.event_id = self.identity.next(text, &event.invocation_id);
        }
        match (&self.application, self.format) {
            (Some(application), _) => event.application.clone_from(application),
            (None, Format::Combined) => "apache".clone_into(&mut event.application),
            (None, _) => {}
        }
        Ok(Some(event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMBINED: &str =
        r#"192.0.2.7 - - [20/Nov/2026:10:00:00 +0000] "GET /a HTTP/1.1" 200 5 "-" "curl/8""#;

    fn ids(format: Format, source: &str, lines: &[&str]) -> Vec<String> {
        let mut parser = Parser::new(format, None, source);
        let mut id = |line: &&str| parser.parse(line.as_bytes()).unwrap().unwrap().event_id;
        lines.iter().map(&mut id).collect()
    }

    #[test]
    fn identical_lines_have_distinct_and_repeatable_ids() {
        let lines = [COMBINED, COMBINED, COMBINED];
        let first = ids(Format::Combined, "", &lines);
        assert_eq!(first, ids(Format::Combined, "", &lines));
        assert_ne!(first[0], first[1]);
        assert_ne!(first[1], first[2]);
        assert_ne!(first[0], ids(Format::Combined, "web-2", &lines)[0]);
    }

    #[test]
    fn events_keep_their_own_id() {
        let given = r#"{"eventId":"mine","timestamp":"2026-11-20T10:00:00Z"}"#;
        let made = r#"{"timestamp":"2026-11-20T10:00:00Z"}"#;
        let ids = ids(Format::Jsonl, "", &[given, made]);
        assert_eq!(ids[0], "mine");
        assert!(ids[1].starts_with("jsonl:"), "{ids:?}");
    }

    #[test]
    fn malformed_lines_have_a_reason() {
        let mut parser = Parser::new(Format::Jsonl, None, "");
        let reason = |line: &[u8], parser: &mut Parser| parser.parse(line).unwrap_err().0;
        assert_eq!(reason(b"{\"a\xff", &mut parser), "not valid UTF-8 at byte 4");
        assert!(reason(b"{}", &mut parser).starts_with("no timestamp"));
        assert_eq!(parser.parse(b"  \t"), Ok(None));
    }

    #[test]
    fn the_application_can_be_overridden() {
        let mut named = Parser::new(Format::Combined, Some("shop".into()), "");
        let event = named.parse(COMBINED.as_bytes()).unwrap().unwrap();
        assert_eq!(event.application, "shop");
        let event = Parser::new(Format::Combined, None, "").parse(COMBINED.as_bytes());
        assert_eq!(event.unwrap().unwrap().application, "apache");
    }

    fn a_format() -> impl Strategy<Value = Format> {
        prop::sample::select(Format::value_variants())
    }

    const LINES: &[&str] = &[COMBINED, nova::tests::SERVERS, jsonl::tests::EVENT];

    /// A valid line with some bytes replaced. It gets further in the parsers than random bytes.
    fn nearly_valid() -> impl Strategy<Value = Vec<u8>> {
        (prop::sample::select(LINES), prop::collection::vec((any::<usize>(), any::<u8>()), 0..6)).prop_map(
            |(line, changes)| {
                let mut bytes = line.as_bytes().to_vec();
                for (at, byte) in changes {
                    let at = at % bytes.len();
                    bytes[at] = byte;
                }
                bytes
            },
        )
    }

    proptest! {
        #[test]
        fn parsers_never_panic(format in a_format(), line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Parser::new(format, None, "").parse(&line);
        }

        #[test]
        fn damaged_lines_do_not_panic(format in a_format(), line in nearly_valid()) {
            let _ = Parser::new(format, None, "").parse(&line);
        }
    }
}
