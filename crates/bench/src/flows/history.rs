//! Writes a history of 90 days, as a client that counts requests before it reports them.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use flowmeter_core::ids::RequestId;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::{FlowOutcome, FlowRequest, RecordFlowRequestsRequest};
use flowmeter_stack::Stack;
use tokio::task::JoinSet;

use super::{Bench, DRAIN_LIMIT};
use crate::authorized;
use crate::figures::Figure;
use crate::installation::{channel, connect};
use crate::report::Report;

const QUARTER: u64 = 15 * 60;
/// The number of quarter-hours, just within the accepted age.
const QUARTERS: u64 = 90 * 96 - 8;
/// The number of items per quarter-hour.
const ITEMS: usize = 6;
/// The number of items in a batch.
const BATCH: usize = 5_000;
/// The number of flows that are written at the same time.
const SENDERS: usize = 4;

/// Writes the history of every flow, and returns the number of its requests.
pub async fn write(bench: &Bench) -> Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let mut senders = JoinSet::new();
    for sender in 0..SENDERS {
        let mut client = IngestServiceClient::new(channel(&bench.ingest).await?);
        let flows: Vec<_> = bench.flows.iter().skip(sender).step_by(SENDERS).cloned().collect();
        let token = bench.token.clone();
        senders.spawn(async move {
            let mut written = 0;
            for flow in flows {
                let items: Vec<_> = history(&flow, now).collect();
                for batch in items.chunks(BATCH) {
                    let requests = batch.to_vec();
                    written += requests
                        .iter()
                        .filter_map(|item| item.count)
                        .map(|count| u64::from(count.unsigned_abs()))
                        .sum::<u64>();
                    let request_id = RequestId::generate().to_string();
                    let message = RecordFlowRequestsRequest { requests, request_id };
                    let answer = client.record_flow_requests(authorized(message, &token)).await?.into_inner();
                    ensure!(answer.rejections.is_empty(), "rejected: {:?}", answer.rejections[0]);
                }
            }
            anyhow::Ok(written)
        });
    }
    let mut written = 0;
    while let Some(sender) = senders.join_next().await {
        written += sender??;
    }
    Ok(written)
}

fn history(flow: &str, now: u64) -> impl Iterator<Item = FlowRequest> {
    (0..QUARTERS * ITEMS as u64).map(move |number| {
        let (quarter, item) = (number / ITEMS as u64, usize::try_from(number % ITEMS as u64).expect("small"));
        let outcome = if item == 0 { FlowOutcome::TimeoutError } else { FlowOutcome::Succeeded };
        FlowRequest {
            flow_id: flow.to_owned(),
            timestamp: Some(prost_types::Timestamp {
                seconds: i64::try_from(now - (quarter + 1) * QUARTER).expect("our time"),
                nanos: 0,
            }),
            latency: Some(prost_types::Duration {
                seconds: i64::try_from(item * 2).expect("small"),
                nanos: 0,
            }),
            outcome: outcome.into(),
            count: Some(1 + i32::try_from(number % 97).expect("small")),
        }
    })
}

/// Waits until all counters are folded, and does what autovacuum would have done in 90 days.
pub async fn settle(stack: &Stack) -> Result<()> {
    let client = connect(stack.servers.postgres.url()).await?;
    let begin = Instant::now();
    loop {
        let row = client.query_one("SELECT EXISTS (SELECT FROM flow_partial)", &[]).await?;
        if !row.get::<_, bool>(0) {
            break;
        }
        ensure!(begin.elapsed() < DRAIN_LIMIT, "the counters are not folded after {DRAIN_LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for table in ["flow_day", "flow_partial"] {
        client.batch_execute(&format!("VACUUM (ANALYZE) {table}")).await?;
    }
    client.batch_execute("CHECKPOINT").await?;
    Ok(())
}

/// Reports the size of the counters on disk.
pub async fn report_size(stack: &Stack, report: &mut Report) -> Result<()> {
    let client = connect(stack.servers.postgres.url()).await?;
    let row = client
        .query_one("SELECT pg_total_relation_size('flow_day')::float8, count(*)::float8 FROM flow_day", &[])
        .await?;
    let (bytes, rows): (f64, f64) = (row.get(0), row.get(1));
    report.add(Figure::new("on disk: flow_day", "MB", bytes / 1e6));
    report.add(Figure::new("on disk: a day of a flow", "bytes", bytes / rows).headline());
    Ok(())
}
