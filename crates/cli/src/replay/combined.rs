//! The access log of Apache and nginx in Combined Log Format:
//!
//! ```text
//! 192.0.2.7 - alice [20/Nov/2026:10:00:00 +0100] "GET /a/b?c HTTP/1.1" 200 5120 "https://example.org/" "curl/8" 0.123
//! ```
//!
//! Referer and agent can be missing (Common Log Format). After them, nginx's
//! `$request_time`, in seconds with a fraction, is read as the duration. Further
//! quoted fields are skipped. A line becomes an event of the provider `ODSLRequest`:
//!
//! | field | from |
//! | --- | --- |
//! | timestamp | the time, to the second |
//! | service | the first segment of the path, or `/`, because the format has no host |
//! | application | the option `--application`, or `apache` |
//! | user | the remote user, or the client's address |
//! | method | in lower case |
//! | httpstatus, response size | unchanged; a size of `-` is 0 bytes |
//! | duration | `$request_time`, rounded to whole milliseconds, half up |
//! | attribute `key` | the path without the query, cut to 1 KiB |
//!
//! Lines without an HTTP request (`"-"`, or the bytes of another protocol) are skipped.

use std::{borrow::Cow, collections::HashMap};

use flowmeter_proto::v1::UsageEvent;
use jiff::{Timestamp, fmt::strtime};

use super::{
    Malformed,
    nova::milliseconds,
    request::{MAX_TEXT_BYTES, RequestLine},
};
use crate::{moment, render::text::cut};

/// The event of a line. None if the line is not about an API request.
pub(crate) fn parse(line: &str) -> Result<Option<UsageEvent>, Malformed> {
    let (client, rest) = line.split_once(' ').ok_or("expected the client's address and a space")?;
    let (names, rest) = rest.split_once('[').ok_or("expected a time in brackets")?;
    let (time, rest) = rest.split_once(']').ok_or("expected a closing bracket after the time")?;
    let timestamp = timestamp(time)?;
    let (request, rest) = quoted(rest.trim_start()).ok_or("expected a request in double quotes")?;
    let mut fields = Fields(rest);
    let httpstatus = status(fields.next_bare())?;
    let response_size = size(fields.next_bare())?;
    let duration = duration(fields)?;

    let Some(request) = RequestLine::parse(&request) else { return Ok(None) };
    // `ident user `: only the user can contain spaces.
    let user = names.trim().split_once(' ').map_or("-", |(_, user)| user.trim());
    let user = if matches!(user, "-" | "") { client } else { user };
    Ok(Some(UsageEvent {
        timestamp: Some(timestamp),
        provider: "ODSLRequest".into(),
        r#type: "api".into(),
        method: request.method.to_ascii_lowercase(),
        service: cut(request.segments().next().unwrap_or("/"), MAX_TEXT_BYTES).into(),
        user: cut(user, MAX_TEXT_BYTES).into(),
        httpstatus,
        response_size: Some(response_size),
        duration,
        attributes: HashMap::from([("key".into(), request.key())]),
        ..UsageEvent::default()
    }))
}

fn timestamp(text: &str) -> Result<prost_types::Timestamp, Malformed> {
    let wrong = || format!("expected a time such as 20/Nov/2026:10:00:00 +0100, found {text:?}");
    let time: Timestamp = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text)
        .and_then(|parsed| parsed.to_timestamp())
        .map_err(|_| wrong())?;
    Ok(moment::to_wire(time))
}

fn status(text: Option<&str>) -> Result<Option<i32>, Malformed> {
    match text {
        None => Err("expected a status after the request".into()),
        Some("-") => Ok(None),
        Some(text) => match text.parse() {
            Ok(status @ 100..=999) => Ok(Some(status)),
            _ => Err(format!("expected a status from 100 to 999, found {text:?}").into()),
        },
    }
}

fn size(text: Option<&str>) -> Result<i64, Malformed> {
    match text {
        None => Err("expected a size after the status".into()),
        Some("-") => Ok(0),
        Some(text) => match text.parse() {
            Ok(size @ 0..) => Ok(size),
            _ => Err(format!("expected a size in bytes, found {text:?}").into()),
        },
    }
}

/// The request time: the first field after the size that is not quoted.
fn duration(fields: Fields) -> Result<Option<i64>, Malformed> {
    for field in fields {
        match field? {
            Field::Quoted => {}
            Field::Bare("-") => return Ok(None),
            // An integer could be seconds, or Apache's %D in microseconds.
            Field::Bare(text) => {
                return match milliseconds(text).filter(|_| text.contains('.')) {
                    Some(duration) => Ok(Some(duration)),
                    None => Err(format!(
                        "expected a request time in seconds such as 0.123 at the end, found {text:?}"
                    )
                    .into()),
                };
            }
        }
    }
    Ok(None)
}

/// The fields after the request.
struct Fields<'a>(&'a str);

enum Field<'a> {
    Quoted,
    Bare(&'a str),
}

impl<'a> Fields<'a> {
    /// The next field, if it is not quoted.
    fn next_bare(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (field, rest) = rest.split_at(end);
        self.0 = rest;
        (!field.is_empty()).then_some(field)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start();
        if !rest.starts_with('"') {
            return self.next_bare().map(|field| Ok(Field::Bare(field)));
        }
        let Some((_, rest)) = quoted(rest) else {
            self.0 = "";
            return Some(Err("expected a closing quote after a quoted field".into()));
        };
        self.0 = rest;
        Some(Ok(Field::Quoted))
    }
}

/// The text between double quotes at the beginning of `text`, and the rest after the closing quote. `\"` and
/// `\\` are unescaped; `\xhh` is left unchanged.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let inside = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, c) in inside.char_indices() {
        match c {
            '"' if !escaped => {
                let (content, rest) = (&inside[..at], &inside[at + 1..]);
                return Some((unescape(content), rest));
            }
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

fn unescape(text: &str) -> Cow<'_, str> {
    if text.contains(r#"\""#) || text.contains(r"\\") {
        // A backslash before any other character is part of the text.
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            out.push(if c == '\\' && matches!(next, Some('"' | '\\')) {
                chars.next().unwrap_or(c)
            } else {
                c
            });
        }
        return out.into();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    const LINE: &str = r#"192.0.2.7 - alice [20/Nov/2026:10:00:00 +0100] "GET /shop/cart?id=7 HTTP/1.1" 200 5120 "https://example.org/" "curl/8""#;

    fn event(line: &str) -> UsageEvent {
        parse(line).unwrap().unwrap()
    }

    #[test]
    fn reads_a_request() {
        insta::assert_snapshot!(json::pretty("UsageEvent", &event(LINE)).unwrap(), @r#"
        {
          "timestamp": "2026-11-20T09:00:00Z",
          "provider": "ODSLRequest",
          "httpstatus": 200,
          "method": "get",
          "service": "shop",
          "type": "api",
          "user": "alice",
          "responseSize": "5120",
          "attributes": {
            "key": "/shop/cart"
          }
        }
        "#);
    }

    #[test]
    fn reads_the_request_time_of_nginx() {
        assert_eq!(event(&format!("{LINE} 0.1235")).duration, Some(124));
        assert_eq!(event(&format!("{LINE} \"203.0.113.9\" 1.000")).duration, Some(1000));
        assert_eq!(event(&format!("{LINE} -")).duration, None);
        assert_eq!(event(&format!("{LINE} \"-\"")).duration, None);
        let reason = parse(&format!("{LINE} 12345")).unwrap_err().0;
        assert!(reason.contains("seconds such as 0.123"), "{reason}");
    }

    #[test]
    fn reads_the_common_log_format_and_dashes() {
        let line = r#"2001:db8::1 - - [20/Nov/2026:10:00:00 +0000] "HEAD / HTTP/1.0" 304 -"#;
        let event = event(line);
        assert_eq!((event.user.as_str(), event.service.as_str()), ("2001:db8::1", "/"));
        assert_eq!((event.httpstatus, event.response_size), (Some(304), Some(0)));
    }

    #[test]
    fn quotes_can_be_escaped() {
        let line = LINE.replace("/shop/cart?id=7", r#"/a\"b\\c"#).replace("curl/8", r#"x \" y"#);
        assert_eq!(event(&line).attributes["key"], r#"/a"b\c"#);
        let open = LINE.replace("curl/8\"", r#"curl\""#);
        assert_eq!(parse(&open).unwrap_err().0, "expected a closing quote after a quoted field");
    }

    #[test]
    fn lines_without_a_request_are_skipped() {
        for request in ["-", r"\x16\x03\x01\x02"] {
            let line = LINE.replace("GET /shop/cart?id=7 HTTP/1.1", request);
            assert_eq!(parse(&line), Ok(None));
        }
    }

    #[test]
    fn malformed_lines_have_a_reason() {
        let reason = |line: &str| parse(line).unwrap_err().0.into_owned();
        assert_eq!(reason("hello"), "expected the client's address and a space");
        assert_eq!(reason("hello world"), "expected a time in brackets");
        assert!(reason(&LINE.replace("Nov", "Nvo")).starts_with("expected a time such as"));
        assert!(reason(&LINE.replace(" 200 ", " 20 ")).starts_with("expected a status"));
        assert!(reason(&LINE.replace(" 5120 ", " x ")).starts_with("expected a size"));
        assert!(reason(&LINE.replace("] \"", "] ")).starts_with("expected a request"));
        let (request, _) = LINE.split_once(" 200").unwrap();
        assert_eq!(reason(request), "expected a status after the request");
    }
}
