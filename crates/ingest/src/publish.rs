//! Publishes accepted items within a memory budget and a deadline. Publishing ends when the broker has
//! confirmed that the request is durable.

use std::sync::Arc;
use std::time::Duration;

use flowmeter_proto::queue::Request;
use flowmeter_proto::raw::Rejection;
use flowmeter_queue::{Accepted, PublishError, Publisher};
use flowmeter_service::error::ApiError;
use flowmeter_service::{deadline, telemetry};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;
use tracing::Span;

use crate::Config;
use crate::accept::Decision;

/// A batch whose accepted items the broker has made durable: the part of the answer that every method has.
pub struct Acknowledged {
    pub request_id: String,
    pub accepted_count: i32,
    pub rejections: Vec<Rejection>,
}

/// A publisher that bounds how long a call waits for the broker and how much memory the waiting requests take.
pub struct BoundedPublisher {
    publisher: Publisher,
    confirm_timeout: Duration,
    /// The free part of the memory budget for waiting requests, in kibibytes.
    free_kib: Arc<Semaphore>,
    /// The whole budget.
    budget_kib: u32,
}

const KIB: usize = 1024;

impl BoundedPublisher {
    pub fn new(publisher: Publisher, config: &Config) -> Self {
        let budget_kib = config.max_waiting_bytes.max(config.max_batch_bytes).div_ceil(KIB) + 1;
        Self {
            publisher,
            confirm_timeout: config.confirm_timeout,
            free_kib: Arc::new(Semaphore::new(budget_kib)),
            budget_kib: u32::try_from(budget_kib).unwrap_or(u32::MAX),
        }
    }

    /// The deadline of a call that starts now.
    pub fn deadline(&self, metadata: &MetadataMap) -> Deadline {
        let own = Instant::now() + self.confirm_timeout;
        Deadline { own, effective: deadline::of(metadata, self.confirm_timeout) }
    }

    /// Publishes a decision and returns when the broker has confirmed it.
    pub async fn publish(&self, decision: Decision, deadline: Deadline) -> Result<Acknowledged, ApiError> {
        let Decision { request, request_id, accepted, bytes, rejections } = decision;
        match timeout_at(deadline.effective, self.publish_within_budget(request, bytes)).await {
            Ok(confirmed) => confirmed?,
            // The caller allowed less time than we would have taken.
            Err(_) if deadline.effective < deadline.own => {
                return Err(ApiError::deadline("not confirmed in time; retry with the same request_id"));
            }
            Err(_) => return Err(PublishError::Unavailable.into()),
        }
        Ok(Acknowledged {
            request_id: request_id.to_string(),
            accepted_count: i32::try_from(accepted).expect("a batch has at most 10,000 items"),
            rejections,
        })
    }

    async fn publish_within_budget(&self, request: Request, bytes: usize) -> Result<(), PublishError> {
        let trace = telemetry::traceparent(&Span::current());
        // A request that is larger than the whole budget waits for all of it.
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.budget_kib);
        let room =
            self.free_kib.clone().acquire_many_owned(kib).await.expect("the semaphore is never closed");
        self.publisher.publish(Accepted { request, trace, room }).await
    }
}

/// The time until which a call waits for the broker.
#[derive(Clone, Copy)]
pub struct Deadline {
    /// The deadline that our own setting gives.
    own: Instant,
    /// The caller's deadline if it is earlier, otherwise our own.
    effective: Instant,
}
