//! What both ways to record have in common: authorise, decide, publish, answer.

use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::raw::Rejection;
use flowmeter_queue::{Accepted, Publisher};
use flowmeter_service::auth::{Authenticator, Scope};
use flowmeter_service::error::ApiError;
use flowmeter_service::{deadline, telemetry};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;
use tracing::Span;

use crate::Config;
use crate::accept::{Batch, BatchLimits, decide};

/// What became of a batch.
pub struct Recorded {
    pub request_id: String,
    pub accepted_count: i32,
    pub rejections: Vec<Rejection>,
    pub event_ids: Vec<String>,
}

/// Records batches.
pub struct Recorder {
    publisher: Publisher,
    authenticator: Authenticator,
    limits: BatchLimits,
    confirm_timeout: Duration,
    /// Kibibytes of requests that may wait for the broker.
    waiting_kib: Arc<Semaphore>,
}

const KIB: usize = 1024;

impl Recorder {
    pub fn new(publisher: Publisher, authenticator: Authenticator, config: &Config) -> Self {
        let limits = BatchLimits {
            event: config.limits(),
            max_events: config.max_batch_events,
            max_bytes: config.max_batch_bytes,
        };
        // One request of the largest size always fits.
        let waiting = config.max_waiting_bytes.max(config.max_batch_bytes).div_ceil(KIB) + 1;
        Self {
            publisher,
            authenticator,
            limits,
            confirm_timeout: config.confirm_timeout,
            waiting_kib: Arc::new(Semaphore::new(waiting)),
        }
    }

    /// Records a batch, and returns when the broker has made it durable.
    pub async fn record(&self, metadata: &MetadataMap, batch: Batch) -> Result<Recorded, ApiError> {
        let ours = Instant::now() + self.confirm_timeout;
        let deadline = deadline::of(metadata, self.confirm_timeout);
        let caller = self.authenticator.authorize(metadata, Scope::Ingest).await?;
        let bytes: usize = batch.events.iter().map(bytes::Bytes::len).sum();
        let decision = decide(caller.tenant, batch, &self.limits, Timestamp::now())?;
        let accepted_count = i32::try_from(decision.request.usage.len()).expect("at most 10,000");

        let trace = telemetry::traceparent(&Span::current());
        let publishing = async {
            let kib = u32::try_from(bytes.div_ceil(KIB)).expect("batches are limited to megabytes");
            let room = self.waiting_kib.clone().acquire_many_owned(kib).await.expect("it is never closed");
            self.publisher.publish(Accepted { request: decision.request, trace, room }).await
        };
        match timeout_at(deadline, publishing).await {
            Ok(published) => published?,
            // The caller set a shorter time than we would have taken.
            Err(_) if deadline < ours => {
                return Err(ApiError::deadline("not confirmed in time; repeat with the same request_id"));
            }
            Err(_) => return Err(flowmeter_queue::PublishError::Unavailable.into()),
        }
        Ok(Recorded {
            request_id: decision.request_id.to_string(),
            accepted_count,
            rejections: decision.rejections,
            event_ids: decision.event_ids,
        })
    }
}
