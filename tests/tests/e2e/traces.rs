//! Trace context is propagated with a request from the client through the queue to the worker.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use flowmeter_proto::v1::RecordUsageRequest;
use flowmeter_tests::{Installation, Options, event, eventually, request_id};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// The trace ids and names of spans.
type Spans = BTreeSet<(Vec<u8>, String)>;

/// A collector that keeps the spans that it receives.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Spans>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans;
        let scopes = resources.into_iter().flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans).map(|span| (span.trace_id, span.name));
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test]
async fn a_request_has_one_trace_from_the_client_to_the_worker() {
    let collector = Collector::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(collector.clone()));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));

    let settings = vec![
        ("FLOWMETER_OTLP_ENDPOINT".to_owned(), endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned()),
    ];
    let installation = Installation::start_with("traces", Options { settings, ..Options::default() }).await;
    let tenant = installation.tenant("acme").await;
    let request_id = request_id();
    let mut request = Request::new(RecordUsageRequest {
        events: vec![event()],
        request_id: request_id.clone(),
        return_ids: false,
    });
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    tenant.ingest.clone().record_usage(request).await.unwrap();
    tenant.settled(&request_id).await;

    let trace = u128::from_str_radix(trace, 16).unwrap().to_be_bytes().to_vec();
    let expected: Spans = ["RecordUsage", "apply"].map(|name| (trace.clone(), name.to_owned())).into();
    eventually(true, async || expected.is_subset(&collector.0.lock().unwrap())).await;
}
