//! The client of the ingest service: one call for each batch.

use std::fmt;
use std::sync::Arc;

use flowmeter_proto::raw;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::{AssetDocument, ExecutionReport, FlowRequest, UsageEvent};
use prost::Message;
use tonic::Code;
use uuid::Uuid;

use crate::answer::{Emitted, EmittedBatch, Recorded};
use crate::batcher::{Batcher, BatcherSettings};
use crate::call::until_answered;
use crate::connection::AuthorizedChannel;
use crate::error::{Error, SettingsError};
use crate::features::Features;
use crate::items::{Items, Kind, encode};
use crate::retry::Patience;
use crate::settings::ClientSettings;

/// A client of the ingest service. It is cheap to clone, and clones share a connection. The client connects at the first
/// call, and reconnects after the connection breaks.
///
/// Each method sends one batch immediately. To report in the background, start a [`Batcher`] with [`Client::batcher`].
#[derive(Clone)]
pub struct Client {
    service: IngestServiceClient<AuthorizedChannel>,
    features: Option<Arc<Features>>,
    settings: ClientSettings,
}

impl Client {
    /// Creates a client. It does not connect yet, so this succeeds even if the service is unavailable.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        let service = IngestServiceClient::new(settings.authorized_channel()?);
        let features = settings.query_channel()?.map(|channel| Arc::new(Features::new(channel)));
        Ok(Self { service, features, settings })
    }

    /// Records a batch of 1 to 10,000 usage events with at most 4 MiB in total.
    ///
    /// If a call fails for a reason that may be temporary, it is retried with the same request id, so that the batch
    /// counts once. Retries use backoff and jitter, respect the delay that the service asks for, and end after the
    /// [patience](ClientSettings::patience) of the client. An event without a timestamp gets the time of the call.
    pub async fn record_usage(&self, events: &[UsageEvent]) -> Result<Recorded, Error> {
        self.record_usage_as(Uuid::now_v7(), events).await
    }

    /// [`Client::record_usage`] with a request id of the caller (`Uuid::now_v7()`). A caller that stores the id can send
    /// the batch again after a crash, within 7 days. With the same id, send the same events in the same order.
    pub async fn record_usage_as(&self, request_id: Uuid, events: &[UsageEvent]) -> Result<Recorded, Error> {
        self.send(Items::encode(Kind::Usage, events), request_id, self.patience()).await
    }

    /// Records a batch of 1 to 10,000 requests to the endpoints of flows with at most 4 MiB in total. Retries are those of
    /// [`Client::record_usage`]. An item without a timestamp gets the time of the call.
    pub async fn record_flow_requests(&self, requests: &[FlowRequest]) -> Result<Recorded, Error> {
        self.record_flow_requests_as(Uuid::now_v7(), requests).await
    }

    /// [`Client::record_flow_requests`] with a request id of the caller. See [`Client::record_usage_as`].
    pub async fn record_flow_requests_as(
        &self,
        request_id: Uuid,
        requests: &[FlowRequest],
    ) -> Result<Recorded, Error> {
        self.send(Items::encode(Kind::FlowRequests, requests), request_id, self.patience()).await
    }

    /// Reports a batch of 1 to 10,000 executions with at most 10,000 metrics and 4 MiB in total. Retries are those of
    /// [`Client::record_usage`]. A report without a timestamp gets the time of the call.
    ///
    /// Returns `Ok(None)` if the version of the service does not support executions. Then nothing is reported.
    pub async fn report_executions(&self, reports: &[ExecutionReport]) -> Result<Option<Recorded>, Error> {
        self.report_executions_as(Uuid::now_v7(), reports).await
    }

    /// [`Client::report_executions`] with a request id of the caller. See [`Client::record_usage_as`].
    pub async fn report_executions_as(
        &self,
        request_id: Uuid,
        reports: &[ExecutionReport],
    ) -> Result<Option<Recorded>, Error> {
        self.send_if_supported(Items::encode(Kind::Executions, reports), request_id, self.patience()).await
    }

    /// Emits 1 to 10,000 metrics of an asset at one time, with at most 4 MiB in total. Retries are those of
    /// [`Client::record_usage`]. A document without a timestamp gets the time of the call. Metrics of the same asset and
    /// time are merged by name, and the newest request wins.
    ///
    /// If any metric is invalid, nothing is kept and the call fails with [violations](Error::field_violations).
    ///
    /// ```
    /// # use flowmeter_client::{AssetDocument, AssetValue, Client, ClientSettings, asset_metric};
    /// # flowmeter_fake::example(async |fake| {
    /// # let client = Client::new(ClientSettings::new(fake.url()))?;
    /// let emitted = client
    ///     .emit_asset_metrics(&AssetDocument {
    ///         asset_urn: "urn:datasource:crm:customers".into(),
    ///         timestamp: None, // now
    ///         metrics: vec![
    ///             asset_metric("qualityScore", 97.5),
    ///             asset_metric("rowCount", 1_200_000),
    ///             asset_metric("revenue", AssetValue::decimal("12345678901234567.89")),
    ///             asset_metric("steward", "Kim"),
    ///             asset_metric("certified", true),
    ///         ],
    ///     })
    ///     .await?;
    /// assert_eq!(emitted.metrics.len(), 5);
    /// # assert_eq!(fake.seen_now()[0].documents[0].metrics, emitted.metrics);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn emit_asset_metrics(&self, document: &AssetDocument) -> Result<Emitted, Error> {
        self.emit_asset_metrics_as(Uuid::now_v7(), document).await
    }

    /// [`Client::emit_asset_metrics`] with a request id of the caller. See [`Client::record_usage_as`].
    pub async fn emit_asset_metrics_as(
        &self,
        request_id: Uuid,
        document: &AssetDocument,
    ) -> Result<Emitted, Error> {
        let message = raw::EmitAssetMetricsRequest {
            asset_urn: document.asset_urn.clone(),
            timestamp: document.timestamp.map(|timestamp| timestamp.encode_to_vec().into()),
            metrics: encode(&document.metrics),
            request_id: request_id.to_string(),
            ..raw::EmitAssetMetricsRequest::default()
        };
        let call = |request| {
            let mut service = self.service.clone();
            async move { service.emit_asset_metrics(request).await }
        };
        let answer = until_answered(self.patience(), request_id, message, call).await?;
        Emitted::read(request_id, answer).map_err(|status| Error::new(&status, request_id))
    }

    /// Emits metrics of many assets and times: 1 to 10,000 documents with at most 10,000 metrics and 4 MiB in total.
    /// Retries are those of [`Client::record_usage`]. A document without a timestamp gets the time of the call.
    ///
    /// Invalid documents are rejected individually, each as a whole. The others are kept.
    ///
    /// ```
    /// # use flowmeter_client::{AssetDocument, Client, ClientSettings, Rejection, asset_metric};
    /// # flowmeter_fake::example(async |fake| {
    /// # let client = Client::new(ClientSettings::new(fake.url()))?;
    /// # fake.plan([flowmeter_fake::Plan::Reject(vec![Rejection { index: 1, ..Rejection::default() }])]);
    /// let document = |(urn, score): (&str, f64)| AssetDocument {
    ///     asset_urn: urn.into(),
    ///     metrics: vec![asset_metric("qualityScore", score)],
    ///     ..AssetDocument::default()
    /// };
    /// let quality = [("urn:datasource:crm:customers", 97.5), ("", 80.0), ("urn:datasource:crm:orders", 99.0)];
    /// let emitted = client.batch_emit_asset_metrics(&quality.map(document)).await?;
    /// for rejection in &emitted.rejections {
    ///     eprintln!("document {}: {:?}", rejection.index, rejection.field_violations);
    /// }
    /// # assert_eq!((emitted.accepted_count, emitted.rejections.len()), (2, 1));
    /// # assert_eq!(fake.seen_now()[0].documents.len(), 3);
    /// # Ok(())
    /// # });
    /// ```
    pub async fn batch_emit_asset_metrics(&self, documents: &[AssetDocument]) -> Result<EmittedBatch, Error> {
        self.batch_emit_asset_metrics_as(Uuid::now_v7(), documents).await
    }

    /// [`Client::batch_emit_asset_metrics`] with a request id of the caller. See [`Client::record_usage_as`].
    pub async fn batch_emit_asset_metrics_as(
        &self,
        request_id: Uuid,
        documents: &[AssetDocument],
    ) -> Result<EmittedBatch, Error> {
        let message = raw::BatchEmitAssetMetricsRequest {
            documents: encode(documents),
            request_id: request_id.to_string(),
        };
        let call = |request| {
            let mut service = self.service.clone();
            async move { service.batch_emit_asset_metrics(request).await }
        };
        let answer = until_answered(self.patience(), request_id, message, call).await?;
        EmittedBatch::read(request_id, answer).map_err(|status| Error::new(&status, request_id))
    }

    /// Whether the service supports a feature, such as `executions`, according to the build information of the query
    /// service at [`ClientSettings::query_url`]. The answer is cached for five minutes. Returns true if there is no
    /// `query_url`, and if the query service does not answer.
    pub async fn is_supported(&self, feature: &str) -> bool {
        match &self.features {
            None => true,
            Some(features) => features.has(feature).await,
        }
    }

    /// Starts a batcher, which reports in the background.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    #[must_use]
    pub fn batcher(&self, settings: BatcherSettings) -> Batcher {
        Batcher::spawn(self.clone(), settings)
    }

    fn patience(&self) -> Patience {
        Patience { call: self.settings.call_timeout, in_all: self.settings.patience }
    }

    /// The deadline of one call.
    pub(crate) fn call_timeout(&self) -> std::time::Duration {
        self.settings.call_timeout
    }

    /// Records a batch of encoded items. Returns `Ok(None)` if the version of the service does not support items of their
    /// kind. Then nothing is recorded.
    pub(crate) async fn send_if_supported(
        &self,
        items: Items,
        request_id: Uuid,
        patience: Patience,
    ) -> Result<Option<Recorded>, Error> {
        let Some(feature) = items.kind.feature() else {
            return self.send(items, request_id, patience).await.map(Some);
        };
        if !self.is_supported(feature).await {
            return Ok(None);
        }
        match self.send(items, request_id, patience).await {
            // There was no build information that said so before the call.
            Err(error) if error.code() == Code::Unimplemented => Ok(None),
            sent => sent.map(Some),
        }
    }

    async fn send(&self, items: Items, request_id: Uuid, patience: Patience) -> Result<Recorded, Error> {
        let (id, Items { kind, encoded }) = (request_id.to_string(), items);
        match kind {
            Kind::Usage => {
                let message = raw::RecordUsageRequest { events: encoded, request_id: id, return_ids: false };
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.record_usage(request).await }
                };
                let answer = until_answered(patience, request_id, message, call).await?;
                Ok(Recorded::new(request_id, answer.accepted_count, answer.rejections))
            }
            Kind::FlowRequests => {
                let message = raw::RecordFlowRequestsRequest { requests: encoded, request_id: id };
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.record_flow_requests(request).await }
                };
                let answer = until_answered(patience, request_id, message, call).await?;
                Ok(Recorded::new(request_id, answer.accepted_count, answer.rejections))
            }
            Kind::Executions => {
                let message = raw::ReportExecutionsRequest { reports: encoded, request_id: id };
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.report_executions(request).await }
                };
                let answer = until_answered(patience, request_id, message, call).await?;
                Ok(Recorded::new(request_id, answer.accepted_count, answer.rejections))
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}
