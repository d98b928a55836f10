//! One call for one batch.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use flowmeter_proto::raw;
use flowmeter_proto::raw::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::{ExecutionReport, FieldViolation, FlowRequest, Rejection, UsageEvent};
use prost::Message;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::batcher::{Batcher, BatcherSettings};
use crate::error::{Error, SettingsError};
use crate::features::Features;
use crate::retry::{Patience, repeat};
use crate::settings::ClientSettings;

/// The feature of services that take executions.
const EXECUTIONS: &str = "executions";

/// A client of the ingest service. Cheap to clone; clones share a connection, which is made when the first call is
/// and anew after it broke.
///
/// Its methods report one batch, at once. A service that reports what it does while it does it uses a
/// [`Batcher`], which [`Client::batcher`] starts.
#[derive(Clone)]
pub struct Client {
    service: IngestServiceClient<InterceptedService<Channel, Bearer>>,
    features: Option<Arc<Features>>,
    settings: ClientSettings,
}

/// What became of a batch that was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The id of the request. A question that names it as `after_request_id` is answered with it in.
    pub request_id: Uuid,
    /// The number of items that were accepted.
    pub accepted_count: usize,
    /// The items that were not accepted, and why, by ascending index. They are wrong for good.
    pub rejections: Vec<Rejection>,
}

impl Client {
    /// A client of these settings. It does not connect yet, so it succeeds while the service is away.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn new(settings: ClientSettings) -> Result<Self, SettingsError> {
        let bearer = Bearer(settings.authorization()?);
        let service = IngestServiceClient::new(InterceptedService::new(settings.channel()?, bearer));
        let features = settings.query_channel()?.map(|channel| Arc::new(Features::new(channel)));
        Ok(Self { service, features, settings })
    }

    /// Records a batch of usage events: 1 to 10,000, and 4 MiB in all.
    ///
    /// While that can help, a failed call is repeated with the same request id, so that the batch counts once:
    /// with backoff and jitter, not before the service asks for it, and as long as the client's
    /// [patience](ClientSettings::patience) lasts. An event without a timestamp gets the time of the call.
    pub async fn record_usage(&self, events: &[UsageEvent]) -> Result<Recorded, Error> {
        self.record_usage_as(Uuid::now_v7(), events).await
    }

    /// [`Client::record_usage`] under a request id that the caller made (`Uuid::now_v7()`) and keeps, to repeat
    /// the batch after its process died, within 7 days. The same id means the same events in the same order.
    pub async fn record_usage_as(&self, request_id: Uuid, events: &[UsageEvent]) -> Result<Recorded, Error> {
        self.send(Items::Usage(encode(events)), request_id, self.patience()).await
    }

    /// Records a batch of requests to the endpoints of flows: 1 to 10,000 items, and 4 MiB in all. Repeated like
    /// [`Client::record_usage`]. An item without a timestamp gets the time of the call.
    pub async fn record_flow_requests(&self, requests: &[FlowRequest]) -> Result<Recorded, Error> {
        self.record_flow_requests_as(Uuid::now_v7(), requests).await
    }

    /// [`Client::record_flow_requests`] under a request id that the caller made and keeps. See
    /// [`Client::record_usage_as`].
    pub async fn record_flow_requests_as(
        &self,
        request_id: Uuid,
        requests: &[FlowRequest],
    ) -> Result<Recorded, Error> {
        self.send(Items::FlowRequests(encode(requests)), request_id, self.patience()).await
    }

    /// Reports a batch of executions: 1 to 10,000 with 10,000 metrics, and 4 MiB in all. Repeated like
    /// [`Client::record_usage`]. A report without a timestamp gets the time of the call.
    ///
    /// Ok(None) if the service is of a version that does not take them: then nothing is reported, which is no error.
    pub async fn report_executions(&self, reports: &[ExecutionReport]) -> Result<Option<Recorded>, Error> {
        self.report_executions_as(Uuid::now_v7(), reports).await
    }

    /// [`Client::report_executions`] under a request id that the caller made and keeps. See
    /// [`Client::record_usage_as`].
    pub async fn report_executions_as(
        &self,
        request_id: Uuid,
        reports: &[ExecutionReport],
    ) -> Result<Option<Recorded>, Error> {
        if !self.is_supported(EXECUTIONS).await {
            return Ok(None);
        }
        let message =
            raw::ReportExecutionsRequest { reports: encode(reports), request_id: request_id.to_string() };
        let call = |request| {
            let mut service = self.service.clone();
            async move { service.report_executions(request).await }
        };
        match repeat(self.patience(), request_id, message, call).await {
            Ok(answer) => Ok(Some(recorded(request_id, answer.accepted_count, answer.rejections))),
            Err(error) if error.code() == Code::Unimplemented => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the service has a feature, such as `executions`, as its build information says. It is asked once in
    /// five minutes, where [`ClientSettings::query_url`] says of whom. Without that, and while there is no answer,
    /// every feature is taken to be there.
    pub async fn is_supported(&self, feature: &str) -> bool {
        match &self.features {
            None => true,
            Some(features) => features.has(feature).await,
        }
    }

    /// Starts a batcher, which reports in the background.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
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

    /// Records a batch whose items are encoded.
    pub(crate) async fn send(
        &self,
        items: Items,
        request_id: Uuid,
        patience: Patience,
    ) -> Result<Recorded, Error> {
        let id = request_id.to_string();
        match items {
            Items::Usage(events) => {
                let message = raw::RecordUsageRequest { events, request_id: id, return_ids: false };
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.record_usage(request).await }
                };
                let answer = repeat(patience, request_id, message, call).await?;
                Ok(recorded(request_id, answer.accepted_count, answer.rejections))
            }
            Items::FlowRequests(requests) => {
                let message = raw::RecordFlowRequestsRequest { requests, request_id: id };
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.record_flow_requests(request).await }
                };
                let answer = repeat(patience, request_id, message, call).await?;
                Ok(recorded(request_id, answer.accepted_count, answer.rejections))
            }
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The items of a batch as they go over the wire: encoded once, however often the call is repeated.
#[derive(Debug, Clone)]
pub(crate) enum Items {
    Usage(Vec<Bytes>),
    FlowRequests(Vec<Bytes>),
}

impl Items {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Usage(items) | Self::FlowRequests(items) => items.len(),
        }
    }
}

fn encode<M: Message>(items: &[M]) -> Vec<Bytes> {
    items.iter().map(|item| item.encode_to_vec().into()).collect()
}

fn recorded(request_id: Uuid, accepted_count: i32, rejections: Vec<raw::Rejection>) -> Recorded {
    let violation = |raw::FieldViolation { field, description }| FieldViolation { field, description };
    let rejection = |rejection: raw::Rejection| Rejection {
        index: rejection.index,
        reason: rejection.reason,
        field_violations: rejection.field_violations.into_iter().map(violation).collect(),
    };
    Recorded {
        request_id,
        accepted_count: usize::try_from(accepted_count).unwrap_or_default(),
        rejections: rejections.into_iter().map(rejection).collect(),
    }
}

/// Adds the token to every call, if one was given.
#[derive(Clone)]
struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}
