//! Encodes metrics of an asset, as many as fit one page. Pure.
//!
//! An answer stays within the size that gRPC clients accept by default, whatever the length of texts and the
//! number of metrics in one document. A document that does not fit on one page continues on the next page.

use flowmeter_contract::asset_value::{to_proto as value_to_proto, type_to_proto};
use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{AssetDocument, AssetMetric, LatestAssetMetric};
use flowmeter_store::assets::{FoundMetric, LatestMetric};
use prost::Message;

use crate::page::asset_position::AssetPosition;

/// The maximum number of metrics on a page.
pub const MAX_METRICS: usize = 10_000;
/// The maximum size of the documents or metrics of a page in bytes. gRPC clients accept 4 MiB by default. The
/// rest is for the page token, whose longest part is the name of a metric.
pub const MAX_BYTES: usize = 4 * 1024 * 1024 - 4 * 1024;

/// The maximum number of bytes before a part of a message: its tag and its length.
const FRAME_BYTES: usize = 5;
/// The maximum size of a document without its metrics in bytes: its frame and its timestamp.
const DOCUMENT_BYTES: usize = FRAME_BYTES + 24;

/// The remaining room on a page.
struct Room {
    metrics: usize,
    bytes: usize,
}

impl Room {
    /// Takes room for a metric. Returns false if there is not enough room.
    fn take(&mut self, bytes: usize) -> bool {
        if self.metrics == 0 || bytes > self.bytes {
            return false;
        }
        self.metrics -= 1;
        self.bytes -= bytes;
        true
    }
}

/// The documents of a page, and the position of the next page, which ends at `to`. If `found` has more
/// metrics than fit on the page, there is a next page.
pub fn documents(
    found: Vec<FoundMetric>,
    to: Timestamp,
    max_documents: usize,
) -> (Vec<AssetDocument>, Option<AssetPosition>) {
    let mut documents: Vec<AssetDocument> = Vec::new();
    let mut room = Room { metrics: MAX_METRICS, bytes: MAX_BYTES };
    // The last metric on the page, and the time of the last complete document.
    let mut last: Option<FoundMetric> = None;
    let mut whole: Option<Timestamp> = None;
    for metric in found {
        let is_first = last.as_ref().is_none_or(|last| last.timestamp != metric.timestamp);
        let document_bytes = if is_first { DOCUMENT_BYTES } else { 0 };
        let written = write(&metric);
        if is_first {
            whole = last.as_ref().map(|last| last.timestamp);
        }
        let is_full = is_first && documents.len() == max_documents;
        if is_full || !room.take(document_bytes + FRAME_BYTES + written.encoded_len()) {
            let next = match whole {
                Some(time) => {
                    documents.truncate(documents.len() - usize::from(!is_first));
                    AssetPosition { from: Timestamp::from_micros(time.micros() + 1), to, after: None }
                }
                None => AssetPosition { from: metric.timestamp, to, after: last.map(|last| last.arrival) },
            };
            return (documents, Some(next));
        }
        if is_first {
            let timestamp = Some(time_to_proto(metric.timestamp));
            documents.push(AssetDocument { asset_urn: String::new(), timestamp, metrics: Vec::new() });
        }
        documents.last_mut().expect("the first metric of a time starts a document").metrics.push(written);
        last = Some(metric);
    }
    (documents, None)
}

fn write(metric: &FoundMetric) -> AssetMetric {
    let value = metric.value.borrowed();
    AssetMetric {
        name: metric.arrival.name.clone(),
        value: Some(value_to_proto(value)),
        value_type: type_to_proto(value.value_type()).into(),
    }
}

/// The current values of a page, and whether there are more.
pub fn latest(found: Vec<LatestMetric>, max_metrics: usize) -> (Vec<LatestAssetMetric>, bool) {
    let mut room = Room { metrics: max_metrics, bytes: MAX_BYTES };
    let count = found.len();
    let encode = |metric: LatestMetric| LatestAssetMetric {
        name: metric.name,
        value: Some(value_to_proto(metric.value.borrowed())),
        value_type: type_to_proto(metric.value.borrowed().value_type()).into(),
        timestamp: Some(time_to_proto(metric.timestamp)),
    };
    let written = found.into_iter().map(encode);
    let metrics: Vec<_> =
        written.take_while(|metric| room.take(FRAME_BYTES + metric.encoded_len())).collect();
    let has_more = metrics.len() < count;
    (metrics, has_more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::RequestId;
    use flowmeter_proto::v1::{GetLatestAssetMetricsResponse, ListAssetMetricsResponse};
    use flowmeter_store::assets::{Arrival, StoredValue};
    use proptest::prelude::*;
    use uuid::Uuid;

    const TO: Timestamp = Timestamp::from_micros(1_000);
    /// Bytes of the longest text.
    const LONG: usize = 64 * 1024;

    fn metric(micros: i64, place: i16, text_bytes: usize) -> FoundMetric {
        FoundMetric {
            timestamp: Timestamp::from_micros(micros),
            arrival: Arrival { request: RequestId(Uuid::nil()), place, name: format!("m{place:05}") },
            value: StoredValue::Text("x".repeat(text_bytes)),
        }
    }

    /// The metrics that follow a position, as the store finds them.
    fn left(all: &[FoundMetric], position: &AssetPosition) -> Vec<FoundMetric> {
        let is_left = |metric: &&FoundMetric| {
            metric.timestamp >= position.from
                && metric.timestamp <= position.to
                && (metric.timestamp > position.from
                    || position.after.as_ref().is_none_or(|after| metric.arrival > *after))
        };
        all.iter().filter(is_left).cloned().collect()
    }

    /// The documents of each page, as their times and numbers of metrics.
    fn pages(all: &[FoundMetric], max_documents: usize) -> Vec<Vec<(i64, usize)>> {
        let mut position = AssetPosition { from: Timestamp::EPOCH, to: TO, after: None };
        let mut pages = Vec::new();
        loop {
            let (documents, next) = documents(left(all, &position), TO, max_documents);
            let answer = ListAssetMetricsResponse {
                documents: documents.clone(),
                ..ListAssetMetricsResponse::default()
            };
            assert!(answer.encoded_len() <= MAX_BYTES);
            let shown = |document: &AssetDocument| {
                (i64::from(document.timestamp.unwrap().nanos / 1_000), document.metrics.len())
            };
            pages.push(documents.iter().map(shown).collect());
            let Some(next) = next else { return pages };
            position = next;
        }
    }

    #[test]
    fn a_page_has_the_requested_number_of_documents() {
        let all: Vec<_> = (1..=3).flat_map(|time| [metric(time, 0, 1), metric(time, 1, 1)]).collect();
        assert_eq!(pages(&all, 1), [[(1, 2)], [(2, 2)], [(3, 2)]]);
        assert_eq!(pages(&all, 2), [vec![(1, 2), (2, 2)], vec![(3, 2)]]);
        assert_eq!(pages(&all, 3), [[(1, 2), (2, 2), (3, 2)]]);
        assert_eq!(pages(&[], 3), [[]]);
    }

    #[test]
    fn a_document_that_does_not_fit_starts_the_next_page() {
        let mut all = vec![metric(1, 0, 1)];
        all.extend((0..10_000).map(|place| metric(2, place, 1)));
        all.push(metric(3, 0, 1));
        assert_eq!(pages(&all, 100), [[(1, 1)], [(2, 10_000)], [(3, 1)]]);
    }

    #[test]
    fn a_document_that_does_not_fit_any_page_continues_on_the_next() {
        let mut all = vec![metric(1, 0, 1)];
        all.extend((0..10_001).map(|place| metric(2, place, 1)));
        all.push(metric(3, 0, 1));
        assert_eq!(pages(&all, 100), [vec![(1, 1)], vec![(2, 10_000)], vec![(2, 1), (3, 1)]]);
        let long: Vec<_> = (0..65).map(|place| metric(2, place, LONG)).collect();
        assert_eq!(pages(&long, 100), [[(2, 63)], [(2, 2)]]);
    }

    proptest! {
        #[test]
        fn every_metric_is_on_one_page(
            documents in proptest::collection::vec(proptest::collection::vec(0..=LONG, 1..90), 1..5),
            max_documents in 1..4_usize,
        ) {
            let all: Vec<_> = (1..)
                .zip(&documents)
                .flat_map(|(time, lengths)| (0..).zip(lengths).map(move |(place, length)| metric(time, place, *length)))
                .collect();
            let mut found = vec![0; documents.len() + 1];
            for (time, metrics) in pages(&all, max_documents).concat() {
                found[usize::try_from(time).unwrap()] += metrics;
            }
            let expected: Vec<_> = documents.iter().map(Vec::len).collect();
            prop_assert_eq!(&found[1..], expected);
        }
    }

    #[test]
    fn current_values_fit_the_answer() {
        let found = |count: usize, text_bytes: usize| -> Vec<_> {
            let metric = |index| LatestMetric {
                name: format!("m{index}"),
                timestamp: TO,
                value: StoredValue::Text("x".repeat(text_bytes)),
            };
            (0..count).map(metric).collect()
        };
        let counted = |(metrics, has_more): (Vec<LatestAssetMetric>, bool)| {
            let answer = GetLatestAssetMetricsResponse {
                metrics: metrics.clone(),
                ..GetLatestAssetMetricsResponse::default()
            };
            assert!(answer.encoded_len() <= MAX_BYTES);
            (metrics.len(), has_more)
        };
        assert_eq!(counted(latest(found(3, 1), 3)), (3, false));
        assert_eq!(counted(latest(found(4, 1), 3)), (3, true));
        assert_eq!(counted(latest(found(100, LONG), 1_000)), (63, true));
        assert_eq!(counted(latest(Vec::new(), 3)), (0, false));
    }
}
