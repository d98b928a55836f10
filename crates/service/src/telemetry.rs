//! Logs, panics included, and traces if an endpoint for them is set. A trace follows a request from the
//! client's `traceparent` through the headers of its message to the worker.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::collections::HashMap;
use std::panic::PanicHookInfo;

use anyhow::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TracerProvider};
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::config::{LogFormat, TelemetryArgs};
use crate::tasks::TASK_SPAN;

/// Keeps telemetry running. Dropping it sends the remaining traces.
pub struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

/// Starts logging to standard error, and tracing if it is configured.
pub fn start(args: &TelemetryArgs, service: &'static str) -> anyhow::Result<Telemetry> {
    let filter = EnvFilter::try_new(&args.log).with_context(|| format!("--log {:?}", args.log))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = match args.log_format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let traces = match &args.otlp_endpoint {
        Some(endpoint) => Some(trace_provider(endpoint, service)?),
        None => None,
    };
    let spans = traces.as_ref().map(|provider| {
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(service));
        // The span of a background task names its log lines. It lasts as long as the process, so it must not
        // be the parent of all that the task does.
        layer.with_filter(filter_fn(|metadata| metadata.name() != TASK_SPAN))
    });
    tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init()?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(Telemetry { traces })
}

/// Logs panics like other errors, with the background task or the call in which they happen, and with a
/// backtrace if `RUST_BACKTRACE` is set.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("(no message)");
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    tracing::error!(
        panic = message,
        location = panic.location().map(tracing::field::display),
        thread = thread.name(),
        backtrace =
            (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(backtrace)),
        "panicked"
    );
}

fn trace_provider(endpoint: &str, service: &'static str) -> anyhow::Result<SdkTracerProvider> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("--otlp-endpoint {endpoint:?}"))?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(format!("flowmeter-{service}")).build())
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = self.traces.take()
            && let Err(error) = traces.shutdown()
        {
            tracing::warn!(%error, "cannot send the last traces");
        }
    }
}

/// Makes `span` part of the caller's trace.
pub fn continue_trace(span: &Span, metadata: &MetadataMap) {
    struct Headers<'a>(&'a MetadataMap);
    impl Extractor for Headers<'_> {
        fn get(&self, key: &str) -> Option<&str> {
            self.0.get(key)?.to_str().ok()
        }
        fn keys(&self) -> Vec<&str> {
            Vec::new()
        }
    }
    if !span.is_disabled() && metadata.contains_key("traceparent") {
        let _ = span.set_parent(TraceContextPropagator::new().extract(&Headers(metadata)));
    }
}

/// Makes `span` part of the trace of a W3C `traceparent`.
pub fn continue_traceparent(span: &Span, traceparent: Option<&str>) {
    if let Some(traceparent) = traceparent.filter(|_| !span.is_disabled()) {
        let headers = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
        let _ = span.set_parent(TraceContextPropagator::new().extract(&headers));
    }
}

/// The id of the trace that a span belongs to. None if there are no traces.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let of_span = context.span().span_context().clone();
    of_span.is_valid().then(|| of_span.trace_id().to_string())
}

/// The W3C `traceparent` of a span, for the headers of a message. None if there are no traces.
#[must_use]
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let mut headers = HashMap::new();
    TraceContextPropagator::new().inject_context(&span.context(), &mut headers);
    headers.remove("traceparent")
}
