//! What all ways to record have in common: authorise, decide, publish, answer.

use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::Request;
use flowmeter_proto::raw::{BatchEmitAssetMetricsRequest, EmitAssetMetricsRequest, Rejection};
use flowmeter_queue::{Accepted, Publisher};
use flowmeter_service::auth::{Authenticator, Scope};
use flowmeter_service::error::ApiError;
use flowmeter_service::{deadline, telemetry};
use flowmeter_store::Store;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tonic::metadata::MetadataMap;
use tracing::Span;

use crate::Config;
use crate::accept::assets::{self, Document};
use crate::accept::executions::{self, ExecutionBatch};
use crate::accept::flows::{self, FlowBatch, FlowBatchLimits};
use crate::accept::usage::{self, UsageBatch, UsageLimits};
use crate::accept::{BatchLimits, Decision};
use crate::flows::Flows;

/// What became of a batch.
pub struct Recorded {
    pub request_id: String,
    pub accepted_count: i32,
    pub rejections: Vec<Rejection>,
}

/// Records batches.
pub struct Recorder {
    publisher: Publisher,
    authenticator: Authenticator,
    flows: Flows,
    usage_limits: UsageLimits,
    flow_limits: FlowBatchLimits,
    confirm_timeout: Duration,
    /// Kibibytes of requests that may wait for the broker: how many are free, and how many there are.
    waiting_kib: Arc<Semaphore>,
    max_waiting_kib: u32,
}

const KIB: usize = 1024;

impl Recorder {
    pub fn new(publisher: Publisher, authenticator: Authenticator, store: Store, config: &Config) -> Self {
        let batch = BatchLimits { max_items: config.max_batch_events, max_bytes: config.max_batch_bytes };
        let waiting = config.max_waiting_bytes.max(config.max_batch_bytes).div_ceil(KIB) + 1;
        Self {
            publisher,
            authenticator,
            flows: Flows::new(store),
            usage_limits: UsageLimits { batch, event: config.event_limits() },
            flow_limits: FlowBatchLimits { batch, request: config.flow_limits() },
            confirm_timeout: config.confirm_timeout,
            waiting_kib: Arc::new(Semaphore::new(waiting)),
            max_waiting_kib: u32::try_from(waiting).unwrap_or(u32::MAX),
        }
    }

    /// Records usage events, and returns when the broker has made them durable: what became of them, and
    /// their ids if they are asked for.
    pub async fn record_usage(
        &self,
        metadata: &MetadataMap,
        batch: UsageBatch,
    ) -> Result<(Recorded, Vec<String>), ApiError> {
        let deadline = self.deadline(metadata);
        let tenant = self.tenant(metadata).await?;
        let (decision, event_ids) = usage::decide(tenant, batch, &self.usage_limits, Timestamp::now())?;
        Ok((self.publish(decision, deadline).await?, event_ids))
    }

    /// Records requests to the endpoints of flows, and returns when the broker has made durable what
    /// they count.
    pub async fn record_flows(&self, metadata: &MetadataMap, batch: FlowBatch) -> Result<Recorded, ApiError> {
        let deadline = self.deadline(metadata);
        let tenant = self.tenant(metadata).await?;
        let now = Timestamp::now();
        let known = self.flows.known(tenant).await?;
        let (mut decision, unknown) = flows::decide(tenant, &batch, &known, &self.flow_limits, now)?;
        if !unknown.is_empty()
            && let Some(known) =
                self.flows.look_for(tenant, &known, &flows::flow_ids(&batch, &unknown)).await?
        {
            (decision, _) = flows::decide(tenant, &batch, &known, &self.flow_limits, now)?;
        }
        self.publish(decision, deadline).await
    }

    /// Reports executions, and returns when the broker has made them durable.
    pub async fn report_executions(
        &self,
        metadata: &MetadataMap,
        batch: ExecutionBatch,
    ) -> Result<Recorded, ApiError> {
        let deadline = self.deadline(metadata);
        let caller = self.authenticator.authorize(metadata, Scope::Ingest).await?;
        let tenant = (caller.tenant, caller.allow_all_metric_types);
        let decision = executions::decide(tenant, &batch, &self.usage_limits, Timestamp::now())?;
        self.publish(decision, deadline).await
    }

    /// Records the metrics of an asset, and returns when the broker has made them durable: what became of
    /// them, and what they were taken for.
    pub async fn emit_document<'a>(
        &self,
        metadata: &MetadataMap,
        request: &'a EmitAssetMetricsRequest,
    ) -> Result<(Recorded, Document<'a>), ApiError> {
        let deadline = self.deadline(metadata);
        let tenant = self.tenant(metadata).await?;
        let (decision, document) =
            assets::decide_document(tenant, request, &self.usage_limits, Timestamp::now())?;
        Ok((self.publish(decision, deadline).await?, document))
    }

    /// Records documents of assets, and returns when the broker has made them durable: what became of them,
    /// and the time of those that gave none.
    pub async fn emit_documents(
        &self,
        metadata: &MetadataMap,
        batch: &BatchEmitAssetMetricsRequest,
    ) -> Result<(Recorded, Timestamp), ApiError> {
        let deadline = self.deadline(metadata);
        let tenant = self.tenant(metadata).await?;
        let decision = assets::decide_batch(tenant, batch, &self.usage_limits, Timestamp::now())?;
        let request_time = decision.request_id.timestamp();
        Ok((self.publish(decision, deadline).await?, request_time))
    }

    async fn tenant(&self, metadata: &MetadataMap) -> Result<TenantId, ApiError> {
        Ok(self.authenticator.authorize(metadata, Scope::Ingest).await?.tenant)
    }

    /// Until when the broker may take to confirm.
    fn deadline(&self, metadata: &MetadataMap) -> Deadline {
        let ours = Instant::now() + self.confirm_timeout;
        Deadline { ours, callers: deadline::of(metadata, self.confirm_timeout) }
    }

    /// Publishes what was decided.
    async fn publish(&self, decision: Decision, deadline: Deadline) -> Result<Recorded, ApiError> {
        let Decision { request, request_id, accepted, bytes, rejections } = decision;
        match timeout_at(deadline.callers, self.enqueue(request, bytes)).await {
            Ok(published) => published?,
            // The caller set a shorter time than we would have taken.
            Err(_) if deadline.callers < deadline.ours => {
                return Err(ApiError::deadline("not confirmed in time; repeat with the same request_id"));
            }
            Err(_) => return Err(flowmeter_queue::PublishError::Unavailable.into()),
        }
        Ok(Recorded {
            request_id: request_id.to_string(),
            accepted_count: i32::try_from(accepted).expect("a batch has at most 10,000 items"),
            rejections,
        })
    }

    async fn enqueue(&self, request: Request, bytes: usize) -> Result<(), flowmeter_queue::PublishError> {
        let trace = telemetry::traceparent(&Span::current());
        // What is larger than all there is waits for all of it.
        let kib = u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).min(self.max_waiting_kib);
        let room = self.waiting_kib.clone().acquire_many_owned(kib).await.expect("it is never closed");
        self.publisher.publish(Accepted { request, trace, room }).await
    }
}

/// Until when a call waits.
struct Deadline {
    /// By our own setting.
    ours: Instant,
    /// By the caller's word, if that is sooner.
    callers: Instant,
}
