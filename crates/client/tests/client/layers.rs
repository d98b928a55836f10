//! Layers around servers and clients: what they record for each request.

use std::convert::Infallible;
use std::future::{Ready, poll_fn, ready};
use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use flowmeter_client::{
    Batcher, BatcherSettings, Client, ClientSettings, FlowLayer, FlowOutcome, UsageEvent, UsageLayer,
    describe_by_path,
};
use flowmeter_fake::{Fake, Plan, any_port, event, failure};
use flowmeter_proto::v1::RecordUsageRequest;
use flowmeter_proto::v1::ingest_service_client::IngestServiceClient;
use flowmeter_proto::v1::ingest_service_server::IngestServiceServer;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use tokio_stream::wrappers::TcpListenerStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{Code, Status};
use tower_layer::Layer;
use tower_service::Service;

use crate::connect::client;

/// A service that answers with the result of a function.
#[derive(Clone)]
struct Answering<F>(F);

impl<F, R> Service<Request<()>> for Answering<F>
where
    F: FnMut(Request<()>) -> R,
    R: Future,
    R: AnswerFuture,
{
    type Response = R::Answer;
    type Error = R::Failure;
    type Future = R;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> R {
        (self.0)(request)
    }
}

/// A future of a result.
trait AnswerFuture: Future<Output = Result<Self::Answer, Self::Failure>> {
    type Answer;
    type Failure;
}

impl<T, E, R: Future<Output = Result<T, E>>> AnswerFuture for R {
    type Answer = T;
    type Failure = E;
}

fn batcher(fake: &Fake) -> Batcher {
    client(fake).batcher(BatcherSettings::new().max_age(Duration::from_hours(1)))
}

/// The recorded events in order.
async fn flushed(fake: &Fake, batcher: &Batcher) -> Vec<UsageEvent> {
    batcher.flush().await;
    fake.seen_now().into_iter().flat_map(|seen| seen.events).collect()
}

fn get(path: &str) -> Request<()> {
    Request::builder().uri(path).body(()).unwrap()
}

fn answer(status: u16, body: &'static str) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::builder().status(status).body(Full::from(body)).unwrap()))
}

#[tokio::test]
async fn a_request_is_recorded_when_its_answer_ends() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    let mut service = UsageLayer::new(batcher.clone()).layer(Answering(|_| answer(404, "not here")));
    let response = service.call(get("/pets/7?secret=x")).await.unwrap();
    assert_eq!(batcher.stats().usage.recorded, 0);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "not here");
    let event = &flushed(&fake, &batcher).await[0];
    assert_eq!(
        (event.method.as_str(), event.service.as_str(), event.r#type.as_str()),
        ("get", "pets", "api")
    );
    assert_eq!((event.httpstatus, event.response_size), (Some(404), Some(8)));
    assert_eq!(event.attributes["key"], "7");
    assert!(event.duration.is_some() && event.timestamp.is_some());
}

#[tokio::test]
async fn a_cancelled_or_failed_request_is_recorded() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    let layer = UsageLayer::new(batcher.clone());

    let never = |_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>();
    drop(layer.layer(Answering(never)).call(get("/gone")));
    let fails = |_| ready(Err::<Response<Full<Bytes>>, _>(io::Error::other("as planned")));
    assert!(layer.layer(Answering(fails)).call(get("/failed")).await.is_err());
    let panics = |_| poll_fn(|_| -> Poll<Result<Response<Full<Bytes>>, Infallible>> { panic!("as planned") });
    let panics = layer.layer(Answering(panics)).call(get("/panicked"));
    assert!(tokio::spawn(panics).await.is_err());

    let events = flushed(&fake, &batcher).await;
    let recorded: Vec<_> =
        events.iter().map(|event| (event.service.as_str(), event.httpstatus, event.response_size)).collect();
    assert_eq!(
        recorded,
        [("gone", Some(499), None), ("failed", Some(500), None), ("panicked", Some(500), None)]
    );
}

#[tokio::test]
async fn a_function_can_create_the_event_or_skip_it() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    let layer = UsageLayer::new(batcher.clone()).describe(|request| {
        (request.uri.path() != "/health").then(|| UsageEvent {
            user: "me".into(),
            httpstatus: Some(299),
            ..describe_by_path(request)
        })
    });
    let mut service = layer.layer(Answering(|_| answer(200, "")));
    for path in ["/health", "/pets"] {
        let response = service.call(get(path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    }
    let events = flushed(&fake, &batcher).await;
    assert_eq!((events.len(), events[0].user.as_str(), events[0].httpstatus), (1, "me", Some(299)));
}

#[tokio::test]
async fn a_closed_batcher_fails_no_request() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    assert!(batcher.shutdown(Duration::ZERO).await.is_none());
    let mut service = UsageLayer::new(batcher.clone()).layer(Answering(|_| answer(200, "here")));
    let response = service.call(get("/pets")).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "here");
    assert_eq!(batcher.stats().usage.dropped, 1);
}

#[tokio::test]
async fn calls_to_a_grpc_server_are_recorded_with_their_codes() {
    let reports = Fake::start().await;
    let batcher = batcher(&reports);
    let served = Fake::start().await;
    served.plan([Plan::Accept, Plan::Refuse(failure(Code::PermissionDenied, "SCOPE_MISSING", None))]);
    let listener = any_port().await;
    let address = listener.local_addr().unwrap();
    let serving = tonic::transport::Server::builder()
        .layer(UsageLayer::new(batcher.clone()))
        .add_service(IngestServiceServer::new(served.service()))
        .serve_with_incoming(TcpListenerStream::new(listener));
    let _server = AbortOnDropHandle::new(tokio::spawn(serving));

    let client = Client::new(ClientSettings::new(format!("http://{address}"))).unwrap();
    client.record_usage(&[event("a")]).await.unwrap();
    client.record_usage(&[event("a")]).await.unwrap_err();
    let events = flushed(&reports, &batcher).await;
    let statuses: Vec<_> = events.iter().map(|event| event.httpstatus.unwrap()).collect();
    assert_eq!(statuses, [200, 403]);
    assert_eq!(events[0].service, "flowmeter.v1.IngestService");
    assert_eq!(events[0].attributes["key"], "RecordUsage");
    assert!(events[0].response_size > Some(36), "the answer holds a request id");
}

#[tokio::test]
async fn requests_to_the_endpoint_of_a_flow_are_recorded_with_their_outcomes() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    let layer = FlowLayer::new(batcher.clone(), "signup");
    for status in [204, 302, 500] {
        let mut client = layer.layer(Answering(move |_| answer(status, "")));
        assert_eq!(client.call(get("/")).await.unwrap().status(), status);
    }
    let never = |_| std::future::pending::<Result<Response<()>, Infallible>>();
    let limited = layer.clone().time_limit(Duration::ZERO);
    assert!(limited.layer(Answering(never)).call(get("/")).await.is_err());
    let refused = |_| ready(Err::<Response<()>, _>(io::Error::from(io::ErrorKind::ConnectionRefused)));
    assert!(layer.layer(Answering(refused)).call(get("/")).await.is_err());

    batcher.flush().await;
    let requests = fake.seen_now().remove(0).flow_requests;
    let recorded: Vec<_> = requests.iter().map(|request| (request.outcome(), request.count())).collect();
    assert_eq!(
        recorded,
        [
            (FlowOutcome::Succeeded, 1),
            (FlowOutcome::UnexpectedHttpStatusCode, 2),
            (FlowOutcome::TimeoutError, 1),
            (FlowOutcome::NoHttpResponseError, 1)
        ]
    );
    assert!(requests.iter().all(|request| request.flow_id == "signup" && request.latency.is_some()));
}

/// The recorded requests to the endpoint of a flow.
async fn outcomes(fake: &Fake, batcher: &Batcher) -> Vec<(FlowOutcome, i32)> {
    batcher.flush().await;
    let requests = fake.seen_now().into_iter().flat_map(|seen| seen.flow_requests);
    requests.map(|request| (request.outcome(), request.count())).collect()
}

#[tokio::test]
async fn a_grpc_client_is_recorded_by_the_status_of_its_calls() {
    let reports = Fake::start().await;
    let batcher = batcher(&reports);
    let served = Fake::start().await;
    let codes = [Code::DeadlineExceeded, Code::Unavailable, Code::PermissionDenied, Code::Cancelled];
    served.plan([Plan::Accept].into_iter().chain(codes.map(|code| Plan::Refuse(Status::new(code, "")))));
    let channel = tonic::transport::Endpoint::from_shared(served.url()).unwrap();
    let layer = FlowLayer::new(batcher.clone(), "signup");
    let mut client = IngestServiceClient::new(layer.layer(channel.connect_lazy()));
    let mut answers = Vec::new();
    for _ in 0..=codes.len() {
        let answer = client.record_usage(RecordUsageRequest::default()).await;
        answers.push(answer.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    assert_eq!(answers[0], Code::Ok);
    assert_eq!(answers[1..], codes);
    assert_eq!(
        outcomes(&reports, &batcher).await,
        [
            (FlowOutcome::Succeeded, 1),
            (FlowOutcome::TimeoutError, 1),
            (FlowOutcome::NoHttpResponseError, 1),
            (FlowOutcome::UnexpectedHttpStatusCode, 2),
        ]
    );
}

#[tokio::test]
async fn the_outcome_of_a_grpc_call_can_be_in_its_trailers() {
    let fake = Fake::start().await;
    let batcher = batcher(&fake);
    let layer = FlowLayer::new(batcher.clone(), "signup");
    let call = || Request::builder().header("content-type", "application/grpc").body(()).unwrap();
    let ending = |trailers: &[(&'static str, &str)]| {
        let trailers = trailers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let trailers = trailers.collect::<HeaderMap>();
        let body = Full::<Bytes>::from("message").with_trailers(ready(Some(Ok(trailers))));
        ready(Ok::<_, Infallible>(Response::new(body)))
    };
    for status in ["0", "13", "4"] {
        let mut client = layer.layer(Answering(|_| ending(&[("grpc-status", status)])));
        let response = client.call(call()).await.unwrap();
        let recorded = batcher.stats().flow_requests.recorded;
        let body = response.into_body().collect().await.unwrap();
        assert_eq!(body.trailers().unwrap()["grpc-status"], status);
        assert_eq!(batcher.stats().flow_requests.recorded, recorded + 1, "at the end of the body");
    }
    // Without a status, and given up before one.
    let mut client = layer.layer(Answering(|_| ending(&[])));
    client.call(call()).await.unwrap().into_body().collect().await.unwrap();
    drop(client.call(call()).await.unwrap());
    // The status of HTTP decides where it is none of a gRPC answer.
    let gateway = || Response::builder().status(502).body(Empty::<Bytes>::new()).unwrap();
    let mut client = layer.layer(Answering(|_| ready(Ok::<_, Infallible>(gateway()))));
    drop(client.call(call()).await.unwrap());
    assert_eq!(
        outcomes(&fake, &batcher).await,
        [
            (FlowOutcome::Succeeded, 1),
            (FlowOutcome::UnexpectedHttpStatusCode, 2),
            (FlowOutcome::TimeoutError, 1),
            (FlowOutcome::NoHttpResponseError, 2),
        ]
    );
}
