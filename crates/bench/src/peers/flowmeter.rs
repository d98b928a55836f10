//! Flowmeter itself, over its public interface.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use flowmeter_core::ids::RequestId;
use flowmeter_proto::raw::RecordUsageRequest;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::QueryTimeSeriesRequest;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_stack::Stack;
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};

use super::dialect::Cache;
use super::{Answer, Load, Measured, Question, ask_often, settled};
use crate::authorized;
use crate::events::{Encoder, Special};
use crate::ingest::wait_until_all_is_answered;
use crate::installation::{Used, channel, connect, event_tables};
use crate::query::questions::reads;

/// The number of connections that send at the same time.
const CONNECTIONS: u32 = 4;

/// Loads the events, and asks the questions.
pub async fn measure(stack: &Stack, load: &Load) -> Result<Measured> {
    let token: MetadataValue<Ascii> = format!("Bearer {}", stack.installation.token).parse()?;
    let query = QueryServiceClient::new(channel(&stack.installation.query.url()).await?);
    let before = Used::by(stack);
    let begin = Instant::now();
    send(stack, load, &token).await?;
    let events = load.days.events;
    let answered = wait_until_all_is_answered(query.clone(), &token, usize::try_from(events)?).await?;
    let cpu = Used::by(stack).cpu_since(&before);

    let database = connect(stack.servers.postgres.url()).await?;
    let bytes = settled(async || {
        let tables = event_tables(&database).await?;
        Ok(tables.iter().map(|size| size.bytes.unsigned_abs() + size.index_bytes.unsigned_abs()).sum())
    });
    let bytes = bytes.await?;

    let mut answers = Vec::new();
    for question in Question::ALL {
        let asked = ask_often(question, load, async |question, turn| {
            let series = load.days.series("#PT1H");
            let filter = match question {
                Question::Reads => String::new(),
                Question::Gets => reads(turn),
            };
            let request = authorized(QueryTimeSeriesRequest { filter, ..series }, &token);
            let answer = query.clone().query_time_series(request).await?.into_inner();
            let series = answer.series.first().context("expected a series, found none")?;
            Ok(series.points.iter().map(|point| point.count.unsigned_abs()).sum())
        });
        // It keeps no answers.
        answers.push(Answer { question, cache: Cache::Unused, durations: asked.await? });
    }
    Ok(Measured {
        loaded: events as f64 / answered.duration_since(begin).as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / events as f64,
        bytes: bytes as f64 / events as f64,
        answers,
    })
}

async fn send(stack: &Stack, load: &Load, token: &MetadataValue<Ascii>) -> Result<()> {
    let (encoder, next) = (Arc::new(Encoder::new()), Arc::new(AtomicU64::new(0)));
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS.min(load.in_flight) {
        channels.push(channel(&stack.installation.ingest.url()).await?);
    }
    let mut senders = JoinSet::new();
    for channel in channels.iter().cycle().take(usize::try_from(load.in_flight)?) {
        let mut client = IngestServiceClient::new(channel.clone());
        let (encoder, next, token) = (encoder.clone(), next.clone(), token.clone());
        let (days, batch) = (load.days, load.batch);
        senders.spawn(async move {
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= days.events {
                    return anyhow::Ok(());
                }
                let numbers = first..(first + batch).min(days.events);
                let events = encoder.batch(numbers, |number| days.time_of(number), Special::default())?;
                let request_id = RequestId::generate().to_string();
                let message = RecordUsageRequest { events, request_id, return_ids: false };
                let answer = client.record_usage(authorized(message, &token)).await?.into_inner();
                ensure!(answer.rejections.is_empty(), "rejected: {:?}", answer.rejections[0]);
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(())
}
