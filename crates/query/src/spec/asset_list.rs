//! Reads requests for assets and their metrics. Pure.

use flowmeter_contract::time::from_proto;
use flowmeter_core::asset::{MAX_URN_BYTES, check_name, check_urn};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::ListAssetMetricsRequest;
use flowmeter_service::error::{ApiError, Reason};

use crate::page::Page;
use crate::page::asset_position::{self, AssetPosition};

/// The maximum number of names of metrics in a request.
const MAX_NAMES: usize = 100;

/// A page of the metrics of an asset.
#[derive(Debug)]
pub struct AssetMetricsSpec {
    /// The metrics to list. If there are none, all metrics are listed.
    pub names: Vec<String>,
    pub page: Page,
    /// Where the page starts.
    pub start: AssetPosition,
}

impl AssetMetricsSpec {
    /// Reads a request that was received at `now`.
    pub fn read(request: &ListAssetMetricsRequest, now: Timestamp) -> Result<Self, ApiError> {
        check_urn("asset_urn", &request.asset_urn)?;
        let names = names(&request.names)?;
        let from = time("from", request.from.as_ref())?;
        let to = time("to", request.to.as_ref())?;
        let (first, last) = range(from, to, now)?;
        // A page token belongs to the range of the request: one that ends now ends at another time on the next page.
        let text = |time: Option<Timestamp>| time.map(|time| time.micros().to_string()).unwrap_or_default();
        let (from, to) = (text(from), text(to));
        let mut arguments = vec![request.asset_urn.as_str(), &from, &to];
        arguments.extend(names.iter().map(String::as_str));
        let page = Page::read("ListAssetMetrics", &arguments, request.page_size, &request.page_token)?;
        let start = page.after(asset_position::read)?;
        let start = start.unwrap_or(AssetPosition { from: first, to: last, after: None });
        Ok(Self { names, page, start })
    }
}

/// Reads names of metrics, sorted and without repetitions.
pub fn names(names: &[String]) -> Result<Vec<String>, ApiError> {
    if names.len() > MAX_NAMES {
        let text = format!("expected at most {MAX_NAMES}, found {}", names.len());
        return Err(ApiError::field(Reason::InvalidField, "names", text));
    }
    for (index, name) in names.iter().enumerate() {
        check_name(&format!("names[{index}]"), name)?;
    }
    let mut names = names.to_vec();
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// Checks a prefix of URNs.
pub fn check_prefix(prefix: &str) -> Result<(), ApiError> {
    if prefix.len() > MAX_URN_BYTES || prefix.contains('\0') {
        let text = format!("expected at most {MAX_URN_BYTES} bytes without NUL characters");
        return Err(ApiError::field(Reason::InvalidField, "prefix", text));
    }
    Ok(())
}

/// Reads a time from the field `field` of a request.
fn time(field: &str, time: Option<&prost_types::Timestamp>) -> Result<Option<Timestamp>, ApiError> {
    let read = |time| {
        from_proto(time).ok_or_else(|| {
            let text = "expected a time in the years 0001 to 9999, with nanos from 0 to 999999999";
            ApiError::field(Reason::InvalidField, field, text)
        })
    };
    time.map(read).transpose()
}

/// The first and the last time of a range, both included. A range starts at the epoch or later, because no value is
/// older, and ends now if the request gives no end.
fn range(
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), ApiError> {
    let (first, last) = (from.unwrap_or(Timestamp::EPOCH), to.unwrap_or(now));
    if first > last {
        let (field, text) = match (from, to) {
            (None, _) => {
                ("to", format!("expected {first} or later, which is the start of the range, found {last}"))
            }
            (_, None) => ("from", format!("expected {last} or earlier, which is now, found {first}")),
            (_, Some(_)) => ("from", format!("expected {last} or earlier, which is to, found {first}")),
        };
        return Err(ApiError::field(Reason::InvalidField, field, text));
    }
    Ok((first.max(Timestamp::EPOCH), last.max(Timestamp::EPOCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: ApiError) -> String {
        tonic::Status::from(error).message().to_owned()
    }

    #[test]
    fn names_are_limited_and_repetitions_are_dropped() {
        let given = ["b", "a", "b"].map(String::from);
        assert_eq!(names(&given).unwrap(), ["a", "b"]);
        let wrong = ["a".to_owned(), String::new()];
        let expected = "names[1]: expected 1 to 512 bytes without control characters, found none";
        assert_eq!(message(names(&wrong).unwrap_err()), expected);
        let expected = "names: expected at most 100, found 101";
        assert_eq!(message(names(&vec!["a".to_owned(); 101]).unwrap_err()), expected);
    }

    #[test]
    fn a_prefix_is_at_most_as_long_as_a_urn() {
        assert!(check_prefix("").is_ok());
        assert!(check_prefix(&"a".repeat(512)).is_ok());
        assert!(check_prefix(&"a".repeat(513)).is_err());
        assert!(check_prefix("a\0").is_err());
    }

    #[test]
    fn times_are_cut_to_the_microsecond() {
        let proto = |seconds, nanos| prost_types::Timestamp { seconds, nanos };
        assert_eq!(time("from", None).unwrap(), None);
        assert_eq!(time("from", Some(&proto(1, 2_999))).unwrap(), Some(Timestamp::from_micros(1_000_002)));
        let error = message(time("from", Some(&proto(0, -1))).unwrap_err());
        assert!(error.starts_with("from: expected a time in the years"), "{error}");
    }

    #[test]
    fn a_range_includes_both_ends() {
        let at = Timestamp::from_micros;
        let now = at(1_000_000);
        let read = |from: Option<i64>, to: Option<i64>| {
            range(from.map(at), to.map(at), now)
                .map(|(first, last)| (first.micros(), last.micros()))
                .map_err(message)
        };
        assert_eq!(read(None, None), Ok((0, 1_000_000)));
        assert_eq!(read(Some(7), Some(7)), Ok((7, 7)));
        assert_eq!(read(Some(-7), Some(-5)), Ok((0, 0)));
        let wrong = |from, to| read(from, to).unwrap_err();
        assert_eq!(
            wrong(Some(2_000_000), Some(1_000_000)),
            "from: expected 1970-01-01T00:00:01Z or earlier, which is to, found 1970-01-01T00:00:02Z"
        );
        assert!(
            wrong(Some(2_000_000), None)
                .starts_with("from: expected 1970-01-01T00:00:01Z or earlier, which is now")
        );
        assert!(wrong(None, Some(-1)).starts_with("to: expected 1970-01-01T00:00:00Z or later"));
    }
}
