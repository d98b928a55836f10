//! Sends a file of documents to the service, in few requests, each with its own id.

use std::{collections::HashMap, io::Read, path::Path, process::ExitCode};

use anyhow::{Context, Result, bail, ensure};
use flowmeter_proto::v1::{AssetDocument, BatchEmitAssetMetricsRequest, BatchEmitAssetMetricsResponse};
use prost::Message;
use uuid::Uuid;

use super::document;
use crate::{
    arguments::Remote,
    commands::{INCOMPLETE, answer, sending::Sender, show},
    render::{
        table::properties,
        text::{grouped, printable},
    },
    replay::{
        delivery::{self, MAX_BATCH_BYTES},
        reading::Source,
    },
};

/// The maximum number of metrics in a request, unless a single document has more. It is small, so that little
/// is sent again after a failure.
const MAX_BATCH_METRICS: usize = 1_000;

/// Emits all documents of a file, or none if one of them cannot be read or repeats a metric of another.
pub(super) async fn emit(
    path: &Path,
    urn: Option<&str>,
    request_id: Option<String>,
    remote: &Remote,
) -> Result<ExitCode> {
    let source = Source::new(path);
    let name = source.name();
    let mut text = String::new();
    source.reader()?.read_to_string(&mut text).with_context(|| format!("cannot read {name}"))?;
    let documents = document::read(&text, urn).with_context(|| name.clone())?;
    ensure!(!documents.is_empty(), "{name}: expected a document, found none");
    check_repeats(&documents).with_context(|| name.clone())?;
    let batches = batches(documents);
    let count = batches.len();
    ensure!(
        request_id.is_none() || count == 1,
        "--request-id: expected documents for one request, found {count} requests in {name}"
    );
    let sender = Sender::new(remote)?;
    let mut total = Total::default();
    for (at, documents) in batches.into_iter().enumerate() {
        let request_id = request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
        let request = BatchEmitAssetMetricsRequest { documents, request_id };
        let sent =
            sender.send(&request, async |mut client, request| client.batch_emit_asset_metrics(request).await);
        let found = match sent.await {
            Ok(found) => found,
            Err(status) if at == 0 => return Err(status.into()),
            Err(status) => {
                let done = format!("the service accepted only {at} of {count} requests");
                return Err(anyhow::Error::from(status).context(done));
            }
        };
        if remote.json() {
            answer(remote, "BatchEmitAssetMetricsResponse", &found, String::new)?;
        }
        total.add(&request, &found);
    }
    if !remote.json() {
        show(&total.describe())?;
    }
    Ok(if total.rejected == 0 { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

/// Refuses a metric that is in two documents with the same asset and time. The service would refuse both
/// documents in one request, but keep the later value from two requests. The result must not depend on how
/// the file is divided into requests. The service itself refuses a document that repeats a metric.
fn check_repeats(documents: &[AssetDocument]) -> Result<()> {
    let mut seen = HashMap::new();
    for (at, document) in documents.iter().enumerate() {
        // The service stores times in microseconds.
        let time = document.timestamp.as_ref().map(|time| (time.seconds, time.nanos / 1_000));
        for metric in &document.metrics {
            let first = *seen.entry((&document.asset_urn, time, &metric.name)).or_insert(at);
            if first != at {
                let (place, name, first) = (at + 1, &metric.name, first + 1);
                bail!(
                    "document {place}: {name:?} is already in document {first}, of the same asset and time"
                );
            }
        }
    }
    Ok(())
}

/// The result of sending a file.
#[derive(Default)]
struct Total {
    documents: usize,
    rejected: usize,
    /// Metrics.
    accepted: u64,
    request_ids: Vec<String>,
}

impl Total {
    /// Adds the response to a request, and prints why its documents were rejected.
    fn add(&mut self, request: &BatchEmitAssetMetricsRequest, found: &BatchEmitAssetMetricsResponse) {
        for rejection in &found.rejections {
            let place = usize::try_from(rejection.index).unwrap_or_default();
            let urn = request.documents.get(place).map_or("", |document| document.asset_urn.as_str());
            let why = delivery::describe(rejection);
            let text = format!("document {}, {urn}: {why}", self.documents + place + 1);
            eprintln!("rejected: {}", printable(&text));
        }
        self.documents += request.documents.len();
        self.rejected += found.rejections.len();
        self.accepted += u64::from(found.accepted_count.unsigned_abs());
        self.request_ids.push(found.request_id.clone());
    }

    fn describe(&self) -> String {
        let request = match self.request_ids.as_slice() {
            [one] => one.clone(),
            [.., last] => format!("{last}, the last of {}", grouped(self.request_ids.len())),
            [] => String::new(),
        };
        properties(&[
            ("request", request),
            ("documents accepted", grouped(self.documents - self.rejected)),
            ("metrics accepted", grouped(self.accepted)),
        ])
    }
}

/// The documents in their order, divided into requests.
fn batches(documents: Vec<AssetDocument>) -> Vec<Vec<AssetDocument>> {
    let mut batches: Vec<Vec<AssetDocument>> = Vec::new();
    let (mut metrics, mut bytes) = (0, 0);
    for document in documents {
        // An empty document counts as one metric, so that their number is limited, too. The service rejects
        // it.
        let (more_metrics, more_bytes) = (document.metrics.len().max(1), document.encoded_len());
        let fits = metrics + more_metrics <= MAX_BATCH_METRICS && bytes + more_bytes <= MAX_BATCH_BYTES;
        if let Some(batch) = batches.last_mut().filter(|_| fits) {
            batch.push(document);
        } else {
            (metrics, bytes) = (0, 0);
            batches.push(vec![document]);
        }
        metrics += more_metrics;
        bytes += more_bytes;
    }
    batches
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::AssetMetric;
    use prost_types::value::Kind;

    use super::*;
    use crate::commands::asset::number::value;

    fn document(metrics: usize, bytes: usize) -> AssetDocument {
        let text = Some(value(Kind::StringValue("x".repeat(bytes))));
        let metric = AssetMetric { value: text, ..AssetMetric::default() };
        AssetDocument { metrics: vec![metric; metrics], ..AssetDocument::default() }
    }

    fn sizes(documents: Vec<AssetDocument>) -> Vec<usize> {
        batches(documents).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_metric_in_two_documents_of_an_asset_and_time_is_refused() {
        let named = |urn: &str, nanos: i32, name: &str| AssetDocument {
            asset_urn: urn.into(),
            timestamp: Some(prost_types::Timestamp { seconds: 1, nanos }),
            metrics: vec![AssetMetric { name: name.into(), ..AssetMetric::default() }],
        };
        let first = named("urn:a", 1_000, "n");
        for other in [named("urn:b", 1_000, "n"), named("urn:a", 2_000, "n"), named("urn:a", 1_000, "N")] {
            check_repeats(&[first.clone(), other]).unwrap();
        }
        let between = vec![named("urn:a", 5_000, "n")];
        let repeated = [vec![first.clone()], between, vec![named("urn:a", 1_999, "n")]].concat();
        assert_eq!(
            check_repeats(&repeated).unwrap_err().to_string(),
            "document 3: \"n\" is already in document 1, of the same asset and time"
        );
        // The service refuses this document.
        let twice =
            AssetDocument { metrics: [first.metrics.clone(), first.metrics.clone()].concat(), ..first };
        check_repeats(&[twice]).unwrap();
    }

    #[test]
    fn requests_are_as_large_as_allowed() {
        assert_eq!(sizes(vec![document(300, 0); 7]), [3, 3, 1]);
        assert_eq!(
            sizes(vec![document(1_000, 0), document(5_000, 0), document(1, 0), document(1, 0)]),
            [1, 1, 2]
        );
        assert_eq!(sizes(vec![document(1, 0); 1_001]), [1_000, 1]);
        assert_eq!(sizes(vec![document(20, 60_000); 7]), [3, 3, 1]);
        assert!(batches(Vec::new()).is_empty());
    }
}
