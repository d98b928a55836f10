//! Sends flow requests as fast as the service accepts them.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use flowmeter_core::ids::RequestId;
use flowmeter_proto::raw::RecordFlowRequestsRequest;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::{FlowOutcome, FlowRequest};
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use super::{Bench, Flows};
use crate::authorized;
use crate::events::append_timestamp;
use crate::installation::channel;

/// The result of sending the requests.
pub struct Sent {
    pub requests: usize,
    pub latencies: Vec<Duration>,
    /// When the first batch was acknowledged.
    pub first: Instant,
    pub last: Instant,
}

/// The number of batches that are generated in advance, so that generating them does not affect the
/// measurement. Each batch is sent many times, under different request ids.
const BATCHES: usize = 16;
/// Realistic outcomes: one in ten requests fails.
const OUTCOMES: [FlowOutcome; 10] = [
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::TimeoutError,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
    FlowOutcome::Succeeded,
];

/// Sends batches for the configured time.
pub async fn run(bench: &Bench, settings: &Flows) -> Result<Sent> {
    let batches: Arc<Vec<_>> =
        Arc::new((0..BATCHES).map(|number| batch(bench, number, settings.batch)).collect::<Result<_>>()?);
    let deadline = Instant::now() + Duration::from_secs(settings.seconds);
    let mut senders = Vec::new();
    for connection in 0..settings.connections {
        let channel = channel(&bench.ingest).await?;
        for place in 0..settings.in_flight {
            let client = IngestServiceClient::new(channel.clone());
            let begin_with = connection * settings.in_flight + place;
            senders.push(tokio::spawn(send(
                client,
                bench.token.clone(),
                batches.clone(),
                begin_with,
                deadline,
            )));
        }
    }
    let mut acknowledged = Vec::new();
    for sender in senders {
        acknowledged.extend(sender.await??);
    }
    let first = acknowledged.iter().map(|(at, _)| *at).min().context("nothing was acknowledged")?;
    let last = acknowledged.iter().map(|(at, _)| *at).max().context("nothing was acknowledged")?;
    Ok(Sent {
        requests: acknowledged.len() * settings.batch,
        latencies: acknowledged.into_iter().map(|(_, latency)| latency).collect(),
        first,
        last,
    })
}

async fn send(
    mut client: IngestServiceClient<Channel>,
    token: MetadataValue<Ascii>,
    batches: Arc<Vec<Vec<Bytes>>>,
    begin_with: usize,
    deadline: Instant,
) -> Result<Vec<(Instant, Duration)>> {
    let mut acknowledged = Vec::new();
    while Instant::now() < deadline {
        let requests = batches[(begin_with + acknowledged.len()) % batches.len()].clone();
        let request_id = RequestId::generate().to_string();
        let count = requests.len();
        let begin = Instant::now();
        let message = RecordFlowRequestsRequest { requests, request_id };
        let answer = client.record_flow_requests(authorized(message, &token)).await?.into_inner();
        ensure!(usize::try_from(answer.accepted_count)? == count, "rejected: {:?}", answer.rejections[0]);
        acknowledged.push((Instant::now(), begin.elapsed()));
    }
    Ok(acknowledged)
}

/// A batch of requests from the last seconds.
fn batch(bench: &Bench, number: usize, size: usize) -> Result<Vec<Bytes>> {
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let mut buffer = BytesMut::with_capacity(size * 64);
    let requests = (0..size).map(|index| {
        let scattered = (number * size + index).wrapping_mul(2_654_435_761) >> 4;
        let request = FlowRequest {
            flow_id: bench.flows[scattered % bench.flows.len()].clone(),
            timestamp: None,
            latency: Some(prost_types::Duration {
                seconds: i64::try_from(scattered / 1_000 % 12).expect("small"),
                nanos: i32::try_from(scattered % 1_000_000_000).expect("fits"),
            }),
            outcome: OUTCOMES[scattered / 7 % OUTCOMES.len()].into(),
            count: None,
        };
        request.encode_raw(&mut buffer);
        append_timestamp(&mut buffer, now - index as u64);
        buffer.split().freeze()
    });
    Ok(requests.collect())
}
