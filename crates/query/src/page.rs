//! Pages of lists: how many items a page has, where the page starts, and the token of the next page.
//!
//! A page token is opaque to callers and not worth forging: it names a position in the order of the caller's own
//! data, and the list that the position belongs to.

pub mod asset_position;
pub mod event_position;
pub mod value_position;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_service::error::{ApiError, Reason};
use sha2::{Digest, Sha256};

/// The number of bytes in a token that identify a list.
const LIST_BYTES: usize = 8;
/// The default number of items on a page.
const DEFAULT_SIZE: usize = 100;
/// The maximum number of items on a page.
pub const MAX_SIZE: usize = 1_000;

/// The page that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    size: usize,
    /// A digest of the method and of every argument that must stay the same from page to page.
    list: [u8; LIST_BYTES],
    /// The position after which the page starts. `None` on the first page.
    position: Option<Vec<u8>>,
}

impl Page {
    /// Reads `page_size` and `page_token` of a request to `method`. `arguments` are the arguments that must stay the
    /// same from page to page.
    pub fn read(
        method: &str,
        arguments: &[&str],
        page_size: i32,
        page_token: &str,
    ) -> Result<Self, ApiError> {
        let size = read_size(page_size)?;
        let list = list_digest(method, arguments);
        Ok(Self { size, list, position: read_position(list, page_token)? })
    }

    /// The maximum number of items on this page.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The same page with another size.
    #[must_use]
    pub fn of_size(self, size: usize) -> Self {
        Self { size, ..self }
    }

    /// The number of items to read, which is one more than fits on the page. The additional item shows that
    /// there is a next page.
    #[must_use]
    pub fn limit(&self) -> i64 {
        i64::try_from(self.items()).expect("a list fits memory")
    }

    /// The same as [`limit`](Self::limit).
    #[must_use]
    pub fn items(&self) -> usize {
        self.size + 1
    }

    /// The position after which the page starts, as `read` understands it. `None` on the first page.
    pub fn after<P>(&self, read: impl FnOnce(&[u8]) -> Option<P>) -> Result<Option<P>, ApiError> {
        self.position.as_deref().map(|position| read(position).ok_or_else(not_returned_by_us)).transpose()
    }

    /// [`Page::after`] for positions that are text.
    pub fn after_text(&self, is_valid: impl FnOnce(&str) -> bool) -> Result<Option<String>, ApiError> {
        self.after(|bytes| str::from_utf8(bytes).ok().filter(|text| is_valid(text)).map(str::to_owned))
    }

    /// Removes the items that do not fit on the page. Returns the token of the next page, or an empty text if
    /// there is none.
    pub fn cut<T, P: AsRef<[u8]>>(&self, items: &mut Vec<T>, position: impl FnOnce(&T) -> P) -> String {
        let has_more = items.len() > self.size;
        items.truncate(self.size);
        items.last().filter(|_| has_more).map(|last| self.token_after(position(last))).unwrap_or_default()
    }

    /// The token of the page that starts after a position.
    #[must_use]
    pub fn token_after(&self, position: impl AsRef<[u8]>) -> String {
        URL_SAFE_NO_PAD.encode([&self.list, position.as_ref()].concat())
    }
}

fn read_size(page_size: i32) -> Result<usize, ApiError> {
    match usize::try_from(page_size) {
        Ok(0) => Ok(DEFAULT_SIZE),
        Ok(size @ 1..=MAX_SIZE) => Ok(size),
        _ => {
            let text = format!("expected 1 to {MAX_SIZE}, found {page_size}");
            Err(ApiError::field(Reason::InvalidField, "page_size", text))
        }
    }
}

fn list_digest(method: &str, arguments: &[&str]) -> [u8; LIST_BYTES] {
    let mut hasher = Sha256::new();
    for part in std::iter::once(&method).chain(arguments) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize()[..LIST_BYTES].try_into().expect("a digest has 32 bytes")
}

fn read_position(list: [u8; LIST_BYTES], token: &str) -> Result<Option<Vec<u8>>, ApiError> {
    if token.is_empty() {
        return Ok(None);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .filter(|bytes| bytes.len() > LIST_BYTES)
        .ok_or_else(not_returned_by_us)?;
    let (token_list, position) = bytes.split_at(LIST_BYTES);
    if token_list != list {
        let text = "expected the same arguments as for the previous page";
        return Err(ApiError::field(Reason::InvalidPageToken, "page_token", text));
    }
    Ok(Some(position.to_vec()))
}

fn not_returned_by_us() -> ApiError {
    let text = "expected a next_page_token that the service returned";
    ApiError::field(Reason::InvalidPageToken, "page_token", text)
}

/// The range between two times of a position. `None` if a range cannot have these times.
fn range(start: i64, end: i64) -> Option<TimeRange> {
    let all = TimeRange::ALL.start.micros()..=TimeRange::ALL.end.micros();
    let range = TimeRange { start: Timestamp::from_micros(start), end: Timestamp::from_micros(end) };
    (all.contains(&start) && all.contains(&end)).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message<T: std::fmt::Debug>(result: Result<T, ApiError>) -> String {
        tonic::Status::from(result.unwrap_err()).message().to_owned()
    }

    fn page(arguments: &[&str], token: &str) -> Result<Page, ApiError> {
        Page::read("ListUsageEvents", arguments, 2, token)
    }

    #[test]
    fn a_token_belongs_to_its_list() {
        let arguments = ["2024", "a = b"];
        let first = page(&arguments, "").unwrap();
        assert_eq!(first.after_text(|_| true).unwrap(), None);
        let token = first.token_after("here");
        let second = page(&arguments, &token).unwrap();
        assert_eq!(second.after_text(|_| true).unwrap(), Some("here".to_owned()));
        let expected = "page_token: expected the same arguments as for the previous page";
        assert_eq!(message(page(&["2024a", " = b"], &token)), expected);
    }

    #[test]
    fn a_garbled_token_and_a_forged_position_are_refused_alike() {
        let expected = "page_token: expected a next_page_token that the service returned";
        let first = page(&[], "").unwrap();
        for token in ["AAAA", "*", "ü", &first.token_after("")] {
            assert_eq!(message(page(&[], token)), expected, "{token}");
        }
        let forged = page(&[], &first.token_after(b"\xff")).unwrap();
        assert_eq!(message(forged.after_text(|_| true)), expected);
        assert_eq!(message(forged.after(|_| None::<()>)), expected);
        let forged = page(&[], &first.token_after("a\0")).unwrap();
        assert_eq!(message(forged.after_text(|text| !text.contains('\0'))), expected);
    }

    #[test]
    fn a_page_has_1_to_1000_items_and_100_by_default() {
        let size = |size| Page::read("m", &[], size, "").map(|page| (page.size(), page.limit()));
        assert_eq!(size(0).unwrap(), (100, 101));
        assert_eq!(size(1).unwrap(), (1, 2));
        assert_eq!(size(1_000).unwrap(), (1_000, 1_001));
        assert_eq!(message(size(1_001)), "page_size: expected 1 to 1000, found 1001");
        assert_eq!(message(size(-1)), "page_size: expected 1 to 1000, found -1");
    }

    #[test]
    fn only_a_full_page_has_a_next_one() {
        let page = page(&[], "").unwrap();
        for (found, kept, next) in [
            (vec![], vec![], None),
            (vec!["a", "b"], vec!["a", "b"], None),
            (vec!["a", "b", "c"], vec!["a", "b"], Some("b")),
        ] {
            let mut items: Vec<&str> = found;
            let token = page.cut(&mut items, |last| *last);
            assert_eq!(items, kept);
            assert_eq!(token, next.map(|position| page.token_after(position)).unwrap_or_default());
        }
    }

    proptest! {
        #[test]
        fn reading_never_panics(token in "\\PC*") {
            let _ = page(&[], &token);
        }
    }
}
