//! The layer around a server.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use flowmeter_proto::v1::UsageEvent;
use http::request::Parts;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::body::{Guard, RecordedBody, Recording};
use super::describe::{describe_by_path, is_grpc};
use crate::batcher::Batcher;

type Describe = Arc<dyn Fn(&Parts) -> Option<UsageEvent> + Send + Sync>;

/// Records a usage event for each request to a server of tonic, axum, or any other tower service that takes an
/// `http::Request` and returns an `http::Response`.
///
/// The event comes from [`describe_by_path`], or from the function passed to [`UsageLayer::describe`]. The layer adds the
/// following fields, unless the function has set them:
///
/// - `httpstatus`: the status of the answer. For a gRPC call, the HTTP status of its `grpc-status` by
///   [`httpstatus_of_grpc`](super::httpstatus_of_grpc). 500 if the service fails or panics, and 499 if the caller
///   disconnects before the answer starts, or before the `grpc-status`.
/// - `duration`: the time until the body of the answer ends or is dropped, in milliseconds.
/// - `response_size`: the bytes of the body that were passed to the connection, without headers and trailers.
///
/// The layer never delays a request and never fails one. If the buffer of the batcher is full, the event is dropped, counted
/// and logged.
///
/// ```
/// use flowmeter_client::{Batcher, UsageEvent, UsageLayer, describe_by_path};
/// # use flowmeter_client::{BatcherSettings, Client, ClientSettings};
/// # use tower_layer::Layer;
/// # use tower_service::Service;
///
/// fn layer(batcher: Batcher) -> UsageLayer {
///     UsageLayer::new(batcher).describe(|request| {
///         let user = request.headers.get("x-user").and_then(|user| user.to_str().ok()).unwrap_or_default();
///         match request.uri.path() {
///             "/health" => None, // not recorded
///             _ => Some(UsageEvent { user: user.into(), ..describe_by_path(request) }),
///         }
///     })
/// }
/// # flowmeter_fake::example(async |fake| {
/// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
/// # let mut server = layer(batcher.clone()).layer(tonic::service::Routes::default());
/// # for path in ["/health", "/pets"] {
/// #     let request = http::Request::builder().uri(path).header("x-user", "kim");
/// #     server.call(request.body(tonic::body::Body::empty())?).await?;
/// # }
/// # batcher.flush().await;
/// # let users: Vec<_> = fake.events().iter().map(|event| (event.user.clone(), event.service.clone())).collect();
/// # assert_eq!(users, [("kim".to_owned(), "pets".to_owned())]);
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct UsageLayer {
    batcher: Batcher,
    describe: Describe,
}

impl UsageLayer {
    /// Creates a layer that records every request with this batcher.
    #[must_use]
    pub fn new(batcher: Batcher) -> Self {
        Self { batcher, describe: Arc::new(|request| Some(describe_by_path(request))) }
    }

    /// Sets the function that creates the event of a request. If it returns None, the request is not recorded. It runs
    /// before the request is served, so it should return quickly.
    #[must_use]
    pub fn describe(
        mut self,
        describe: impl Fn(&Parts) -> Option<UsageEvent> + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(describe);
        self
    }
}

impl std::fmt::Debug for UsageLayer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("UsageLayer").field("batcher", &self.batcher).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for UsageLayer {
    type Service = UsageService<S>;

    fn layer(&self, inner: S) -> UsageService<S> {
        UsageService { layer: self.clone(), inner }
    }
}

/// A service, the requests of which are recorded. Created by [`UsageLayer`].
#[derive(Debug, Clone)]
pub struct UsageService<S> {
    layer: UsageLayer,
    inner: S,
}

impl<S, B, ResB> Service<Request<B>> for UsageService<S>
where
    S: Service<Request<B>, Response = Response<ResB>>,
    ResB: http_body::Body,
{
    type Response = Response<RecordedBody<ResB>>;
    type Error = S::Error;
    type Future = UsageFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let recording = (self.layer.describe)(&parts).map(|event| {
            Recording::new(Guard::Usage(self.layer.batcher.start(event)), is_grpc(&parts.headers))
        });
        let inner = self.inner.call(Request::from_parts(parts, body));
        UsageFuture { inner, recording }
    }
}

pin_project! {
    /// The future of the answer of a [`UsageService`].
    #[derive(Debug)]
    pub struct UsageFuture<F> {
        #[pin]
        inner: F,
        recording: Option<Recording>,
    }
}

impl<F, ResB, E> Future for UsageFuture<F>
where
    F: Future<Output = Result<Response<ResB>, E>>,
    ResB: http_body::Body,
{
    type Output = Result<Response<RecordedBody<ResB>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        // On the stack, so that it is dropped during a panic of the service.
        let mut recording = this.recording.take();
        let Poll::Ready(answer) = this.inner.poll(context) else {
            *this.recording = recording;
            return Poll::Pending;
        };
        if let Some(recording) = &mut recording {
            match &answer {
                Ok(response) => recording.answered(response.status(), response.headers()),
                Err(_) => recording.failed(),
            }
        }
        Poll::Ready(answer.map(|response| response.map(|body| RecordedBody::new(body, recording))))
    }
}
