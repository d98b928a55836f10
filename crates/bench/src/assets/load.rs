//! Sends documents for all assets in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use flowmeter_core::ids::RequestId;
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_proto::v1::{AssetDocument, AssetMetric, BatchEmitAssetMetricsRequest, GetReceiptRequest};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::{Assets, Bench, DRAIN_LIMIT};
use crate::authorized;
use crate::installation::channel;

/// The number of metrics in a document.
pub const METRICS: usize = 5;
/// The number of batches from one measurement of the time until a batch is queryable to the next.
const PROBE_EVERY: usize = 25;

/// The result of sending the documents.
pub struct Sent {
    pub values: usize,
    pub latencies: Vec<Duration>,
    /// The times from the acknowledgement of a batch until it is queryable.
    pub queryable: Vec<Duration>,
    /// When the first batch was acknowledged.
    pub first: Instant,
    pub last: Instant,
}

/// The URN of an asset.
pub fn urn(number: usize) -> String {
    format!("urn:bench:warehouse:schema-{:03}:table-{number:07}", number % 997)
}

/// Sends every document.
pub async fn run(bench: &Bench, settings: &Assets) -> Result<Sent> {
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = Vec::new();
    for _ in 0..settings.connections {
        let channel = channel(&bench.ingest).await?;
        for _ in 0..settings.in_flight {
            let sender = Sender {
                client: IngestServiceClient::new(channel.clone()),
                query: bench.query.clone(),
                token: bench.token.clone(),
                next: next.clone(),
                assets: settings.number,
                documents: settings.number * settings.rounds,
                batch: settings.batch / METRICS,
                begin: Instant::now(),
                rate: settings.rate,
            };
            senders.push(tokio::spawn(sender.run()));
        }
    }
    let (mut acknowledged, mut queryable) = (Vec::new(), Vec::new());
    for sender in senders {
        let (acks, probes) = sender.await??;
        acknowledged.extend(acks);
        queryable.extend(probes);
    }
    let times = || acknowledged.iter().map(|(at, _)| *at);
    Ok(Sent {
        values: settings.number * settings.rounds * METRICS,
        first: times().min().context("nothing was acknowledged")?,
        last: times().max().context("nothing was acknowledged")?,
        latencies: acknowledged.into_iter().map(|(_, latency)| latency).collect(),
        queryable,
    })
}

struct Sender {
    client: IngestServiceClient<Channel>,
    query: QueryServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    next: Arc<AtomicUsize>,
    assets: usize,
    documents: usize,
    batch: usize,
    begin: Instant,
    rate: Option<usize>,
}

impl Sender {
    async fn run(mut self) -> Result<(Vec<(Instant, Duration)>, Vec<Duration>)> {
        let (mut acknowledged, mut probes) = (Vec::new(), Vec::new());
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let places = number * self.batch..((number + 1) * self.batch).min(self.documents);
            if places.is_empty() {
                break;
            }
            if let Some(rate) = self.rate {
                let due = Duration::from_secs_f64((number * self.batch * METRICS) as f64 / rate as f64);
                tokio::time::sleep_until((self.begin + due).into()).await;
            }
            let documents: Vec<_> =
                places.map(|place| document(place, self.assets)).collect::<Result<_>>()?;
            let values = documents.len() * METRICS;
            let request_id = RequestId::generate().to_string();
            let message = BatchEmitAssetMetricsRequest { documents, request_id: request_id.clone() };
            let begin = Instant::now();
            let answer = self.client.batch_emit_asset_metrics(authorized(message, &self.token)).await?;
            let answer = answer.into_inner();
            let at = Instant::now();
            ensure!(
                usize::try_from(answer.accepted_count)? == values,
                "rejected: {:?}",
                answer.rejections[0]
            );
            acknowledged.push((at, at - begin));
            if number.is_multiple_of(PROBE_EVERY) {
                probes.push(tokio::spawn(applied(self.query.clone(), self.token.clone(), request_id, at)));
            }
        }
        let mut queryable = Vec::new();
        for probe in probes {
            queryable.push(probe.await??);
        }
        Ok((acknowledged, queryable))
    }
}

/// The time from the acknowledgement of a request until it is applied.
async fn applied(
    mut query: QueryServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    request_id: String,
    acknowledged: Instant,
) -> Result<Duration> {
    let question = GetReceiptRequest { request_id, wait: true };
    while acknowledged.elapsed() < DRAIN_LIMIT {
        let answer = query.get_receipt(authorized(question.clone(), &token)).await?;
        if answer.into_inner().state() == State::Applied {
            return Ok(acknowledged.elapsed());
        }
    }
    anyhow::bail!("a request was not applied within {DRAIN_LIMIT:?}")
}

/// The document at a place of the sequence, in which all assets take turns in an order that differs from that
/// of the URNs.
fn document(place: usize, assets: usize) -> Result<AssetDocument> {
    /// Has no factor in common with any usual number of assets.
    const STEP: usize = 2_654_435_761;
    let number = place.wrapping_mul(STEP) % assets;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let value = |name: &str, value: prost_types::Value| AssetMetric {
        name: name.to_owned(),
        value: Some(value),
        ..AssetMetric::default()
    };
    // An asset metric has one value at a time.
    let timestamp = prost_types::Timestamp {
        seconds: i64::try_from(now.as_secs())?,
        nanos: i32::try_from(now.subsec_micros())? * 1_000,
    };
    let scattered = (place % 9_973) as f64;
    Ok(AssetDocument {
        asset_urn: urn(number),
        timestamp: Some(timestamp),
        metrics: vec![
            value("qualityScore", (scattered / 100.0).into()),
            value("rowCount", scattered.into()),
            value("nullRatio", (1.0 / (1.0 + scattered)).into()),
            value("isActiveInLast24Hours", place.is_multiple_of(3).into()),
            value("owner", format!("team-{}", place % 50).into()),
        ],
    })
}
