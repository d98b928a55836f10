//! Page tokens: where a list goes on, and a mark of the list that it belongs to.
//!
//! They are opaque to callers and worthless to forge: they name a place in the order of
//! the caller's own data and nothing else.

pub mod asset_place;
pub mod event_place;
pub mod value_place;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_service::error::{ApiError, Reason};
use sha2::{Digest, Sha256};

/// Bytes that tell one list from another.
const MARK_BYTES: usize = 8;

/// The mark of a list: everything that must stay the same from page to page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List([u8; MARK_BYTES]);

impl List {
    /// The list of a method with these arguments.
    #[must_use]
    pub fn new(method: &str, arguments: &[&str]) -> Self {
        let mut hasher = Sha256::new();
        for part in std::iter::once(&method).chain(arguments) {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.finalize()[..MARK_BYTES].try_into().expect("a digest is longer"))
    }

    /// The token of the page after `place`.
    #[must_use]
    pub fn token(self, place: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([&self.0, place].concat())
    }

    /// The place that a token names. None for the first page.
    pub fn place(self, token: &str) -> Result<Option<Vec<u8>>, ApiError> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = |text| ApiError::field(Reason::InvalidPageToken, "page_token", text);
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .ok()
            .filter(|bytes| bytes.len() > MARK_BYTES)
            .ok_or_else(not_ours)?;
        if bytes[..MARK_BYTES] != self.0 {
            return Err(wrong("expected the same arguments as for the page before"));
        }
        Ok(Some(bytes[MARK_BYTES..].to_vec()))
    }
}

/// A range that a token carries, if it is one.
fn range(start: i64, end: i64) -> Option<TimeRange> {
    let all = TimeRange::ALL.start.micros()..=TimeRange::ALL.end.micros();
    let range = TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) };
    (all.contains(&start) && all.contains(&end)).then_some(range)
}

/// A token that we did not make.
#[must_use]
pub fn not_ours() -> ApiError {
    let text = "expected a next_page_token as it was returned";
    ApiError::field(Reason::InvalidPageToken, "page_token", text)
}

/// The number of items of a page: 1 to 1000, and 100 where nothing is said.
pub fn page_size(asked: i32) -> Result<i64, ApiError> {
    match asked {
        0 => Ok(100),
        1..=1000 => Ok(i64::from(asked)),
        _ => {
            let text = format!("expected 1 to 1000, found {asked}");
            Err(ApiError::field(Reason::InvalidField, "page_size", text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_belongs_to_its_list() {
        let list = List::new("ListUsageEvents", &["2024", "a = b"]);
        let token = list.token(b"here");
        assert_eq!(list.place(&token).unwrap(), Some(b"here".to_vec()));
        assert_eq!(list.place("").unwrap(), None);
        assert!(List::new("ListUsageEvents", &["2024a", " = b"]).place(&token).is_err());
        assert!(list.place("AAAA").is_err());
    }

    proptest! {
        #[test]
        fn reading_never_panics(token in "\\PC*") {
            let _ = List::new("m", &[]).place(&token);
        }
    }
}
