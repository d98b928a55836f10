//! The layer around a client of a flow's endpoint.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Guard, RecordedBody, Recording};
use super::describe::is_grpc;
use crate::batcher::Batcher;

/// The error of a [`FlowService`]: the error of the inner service, or tokio's [`Elapsed`](tokio::time::error::Elapsed) if
/// the time limit was exceeded.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Records each request that a client sends to the endpoint of a flow: the outcome, and the latency until the headers of
/// the answer.
///
/// | the inner service | outcome |
/// | --- | --- |
/// | answers with 200 to 299 | `SUCCEEDED` |
/// | answers with another status | `UNEXPECTED_HTTP_STATUS_CODE` |
/// | answers a gRPC call with `OK` | `SUCCEEDED` |
/// | … with `DEADLINE_EXCEEDED` | `TIMEOUT_ERROR` |
/// | … with `UNAVAILABLE`, or its answer ends before the `grpc-status` | `NO_HTTP_RESPONSE_ERROR` |
/// | … with another code | `UNEXPECTED_HTTP_STATUS_CODE` |
/// | takes longer than the [time limit](FlowLayer::time_limit), or fails with a time limit (see [`FlowRequestGuard::failed`](crate::FlowRequestGuard::failed)) | `TIMEOUT_ERROR` |
/// | fails otherwise, or the caller is cancelled | `NO_HTTP_RESPONSE_ERROR` |
///
/// A gRPC call is recognized by its `content-type`. Its outcome is in the headers or the trailers of its answer, so it is
/// recorded when these arrive or when the body is dropped. Latency and time limit still end with the headers.
///
/// Except for the time limit, the layer never delays a request and never fails one. For a client that is not a tower
/// service, use [`Batcher::start_flow_request`].
///
/// ```
/// use flowmeter_client::FlowLayer;
/// use tower_layer::Layer;
///
/// # use flowmeter_client::{BatcherSettings, Client, ClientSettings, FlowOutcome};
/// # use flowmeter_proto::v1::{RecordUsageRequest, ingest_service_client::IngestServiceClient};
/// # flowmeter_fake::example(async |fake| {
/// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
/// # let flow = flowmeter_fake::Fake::start().await;
/// # let channel = tonic::transport::Endpoint::from_shared(flow.url())?.connect_lazy();
/// let endpoint = FlowLayer::new(batcher.clone(), "signup").layer(channel);
/// # IngestServiceClient::new(endpoint).record_usage(RecordUsageRequest::default()).await?;
/// # batcher.flush().await;
/// # let request = &fake.seen_now()[0].flow_requests[0];
/// # assert_eq!((request.flow_id.as_str(), request.outcome()), ("signup", FlowOutcome::Succeeded));
/// # Ok(())
/// # });
/// ```
#[derive(Debug, Clone)]
pub struct FlowLayer {
    batcher: Batcher,
    flow_id: String,
    time_limit: Option<Duration>,
}

impl FlowLayer {
    /// Creates a layer that records the requests to the endpoint of a flow.
    pub fn new(batcher: Batcher, flow_id: impl Into<String>) -> Self {
        Self { batcher, flow_id: flow_id.into(), time_limit: None }
    }

    /// Sets the time limit of requests until the headers of the answer. Default: no limit.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }
}

impl<S> Layer<S> for FlowLayer {
    type Service = FlowService<S>;

    fn layer(&self, inner: S) -> FlowService<S> {
        FlowService { layer: self.clone(), inner }
    }
}

/// A client, the requests of which are recorded. Created by [`FlowLayer`].
#[derive(Debug, Clone)]
pub struct FlowService<S> {
    layer: FlowLayer,
    inner: S,
}

impl<S, B, ResB> Service<Request<B>> for FlowService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<RecordedBody<ResB>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<RecordedBody<ResB>>, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let is_grpc = is_grpc(request.headers());
        let mut guard = self.layer.batcher.start_flow_request(&self.layer.flow_id);
        let answer = self.inner.call(request);
        let limit = self.layer.time_limit;
        Box::pin(async move {
            let answer = match limit {
                None => answer.await.map_err(Into::into),
                Some(limit) => match tokio::time::timeout(limit, answer).await {
                    Ok(answer) => answer.map_err(Into::into),
                    Err(elapsed) => Err(elapsed.into()),
                },
            };
            match answer {
                Ok(response) => {
                    guard.answer_began();
                    Ok(recorded(response, Recording::new(Guard::Flow(guard), is_grpc)))
                }
                Err(error) => {
                    guard.failed(error.as_ref());
                    Err(error)
                }
            }
        })
    }
}

/// The answer. Its body is observed only if its headers do not say how the request ended.
fn recorded<B>(response: Response<B>, mut recording: Recording) -> Response<RecordedBody<B>> {
    recording.answered(response.status(), response.headers());
    let unended = Some(recording).filter(|recording| !recording.has_ended());
    response.map(|body| RecordedBody::new(body, unended))
}
