//! The HTTP request line in a log, and the parts of it that an event keeps.

use crate::render::text::cut;

/// The contract's limit for a string, in bytes. A longer path or client is cut, so that the event is still
/// counted.
pub(crate) const MAX_TEXT_BYTES: usize = 1024;

/// A parsed `GET /path?query HTTP/1.1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    /// The method as logged, such as `GET`.
    pub(crate) method: &'a str,
    /// The path without query and fragment, and without scheme and host if the client sent a whole URL.
    pub(crate) path: &'a str,
}

impl<'a> RequestLine<'a> {
    /// Reads a request line. None for other text: scanners and clients of other protocols send arbitrary
    /// bytes.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (method, rest) = text.split_once(' ')?;
        // HTTP/0.9 has no version. Some clients send a target with spaces.
        let target = rest.rsplit_once(" HTTP/").map_or(rest, |(target, _)| target).trim();
        let is_method = !method.is_empty()
            && method.len() <= 32
            && method.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'-');
        if !is_method || target.is_empty() {
            return None;
        }
        Some(Self { method, path: path(target) })
    }

    /// The non-empty segments of the path.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &'a str> {
        self.path.split('/').filter(|segment| !segment.is_empty())
    }

    /// The path as the value of the attribute `key`.
    pub(crate) fn key(&self) -> String {
        cut(self.path, MAX_TEXT_BYTES).to_owned()
    }
}

fn path(target: &str) -> &str {
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let target = &target[..end];
    let Some((_, rest)) = target.split_once("://") else { return target };
    rest.find('/').map_or("/", |start| &rest[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(&str, &str)> {
        RequestLine::parse(text).map(|line| (line.method, line.path))
    }

    #[test]
    fn reads_request_lines() {
        assert_eq!(parts("GET /a/b?c=d HTTP/1.1"), Some(("GET", "/a/b")));
        assert_eq!(parts("GET / HTTP/2.0"), Some(("GET", "/")));
        assert_eq!(parts("OPTIONS * HTTP/1.1"), Some(("OPTIONS", "*")));
        assert_eq!(parts("GET http://example.org HTTP/1.1"), Some(("GET", "/")));
        assert_eq!(parts("GET http://example.org/x?y HTTP/1.1"), Some(("GET", "/x")));
        assert_eq!(parts("GET /old"), Some(("GET", "/old")));
        assert_eq!(parts("GET /with space HTTP/1.1"), Some(("GET", "/with space")));
    }

    #[test]
    fn bytes_of_other_protocols_are_not_requests() {
        for text in ["-", "", r"\x16\x03\x01", "GET", "GET ", "12 /a HTTP/1.1"] {
            assert_eq!(parts(text), None, "{text}");
        }
    }

    #[test]
    fn long_paths_are_cut_at_a_character_boundary() {
        let text = format!("GET /{} HTTP/1.1", "é".repeat(600));
        let key = RequestLine::parse(&text).unwrap().key();
        assert_eq!(key.len(), 1023);
    }
}
