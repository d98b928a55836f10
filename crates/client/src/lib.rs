//! Reports usage events, flow requests, executions and asset metrics to Flowmeter.
//!
//! | to report | use |
//! | --- | --- |
//! | every request to a server, without a change to its methods | [`UsageLayer`], around tonic, axum and other tower services |
//! | what one function does, with its duration | [`Batcher::start`], whose guard records the event when it is dropped |
//! | events in the background | [`Batcher::record`] and [`Batcher::try_record`] |
//! | a batch of events, and get its result | [`Client::record_usage`] |
//! | how the API calls of one run of a command ended, in the background | [`Batcher::start_execution`], whose guard reports when it is dropped |
//! | the same, and get the result | [`ExecutionMetrics`] and [`Client::report_executions`] |
//! | requests to the endpoint of a flow | [`FlowLayer`], [`Batcher::start_flow_request`], [`Batcher::record_flow_request`] |
//! | asset metrics: strings, numbers and booleans | [`Client::emit_asset_metrics`] and [`Client::batch_emit_asset_metrics`] |
//!
//! # Reporting in the background
//!
//! A [`Batcher`] gathers items into batches and sends the batches while the service continues its work. One batcher
//! per process is enough, because its clones share a buffer.
//!
//! ```
//! use std::time::Duration;
//! use flowmeter_client::{BatcherSettings, Client, ClientSettings, UsageEvent};
//!
//! # flowmeter_fake::example(async |fake| {
//! # let (url, token) = (fake.url(), "fm_secret");
//! // The URL of ingest, such as http://127.0.0.1:7071, and a token with the scope `ingest`.
//! let settings = ClientSettings::new(url).token(token);
//! let batcher = Client::new(settings)?.batcher(BatcherSettings::default());
//!
//! // Waits when the buffer is full. `try_record` drops the event instead, and counts it.
//! batcher
//!     .record(UsageEvent {
//!         application: "shop".into(),
//!         method: "get".into(),
//!         service: "pets".into(),
//!         httpstatus: Some(200),
//!         duration: Some(12), // milliseconds
//!         ..UsageEvent::default()
//!     })
//!     .await?;
//!
//! // Before the process ends.
//! let lost = batcher.shutdown(Duration::from_secs(10)).await;
//! assert!(lost.is_none(), "{lost:?}");
//! # assert_eq!(fake.events()[0].duration, Some(12));
//! # assert_eq!(fake.seen_now()[0].metadata["authorization"], "Bearer fm_secret");
//! # Ok(())
//! # });
//! ```
//!
//! A batch is sent when it has 1,000 items or 1 MiB, or when its first item has waited for 1 s. At most 4 requests are
//! in flight, and at most 100,000 items and 32 MiB are in memory. [`BatcherSettings`] changes these limits.
//!
//! An item is lost if the buffer is full, if the service rejects the item, or if the service does not answer in time.
//! Every lost item is counted in [`Batcher::stats`], reported to [`BatcherSettings::on_incident`], and logged with
//! [`tracing`], at most every 10 s for each kind of loss.
//!
//! # Recording every request to a server
//!
//! ```
//! use flowmeter_client::UsageLayer;
//! use tonic::transport::Server;
//!
//! # use flowmeter_client::{BatcherSettings, Client, ClientSettings, UsageEvent};
//! # use flowmeter_proto::v1::ingest_service_server::IngestServiceServer;
//! # flowmeter_fake::example(async |fake| {
//! # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
//! # let pets = IngestServiceServer::new(flowmeter_fake::Fake::start().await.service());
//! # let incoming = tonic::transport::server::TcpIncoming::bind("127.0.0.1:0".parse()?)?;
//! # let url = format!("http://{}", incoming.local_addr()?);
//! let server = Server::builder()
//!     .layer(UsageLayer::new(batcher.clone()))
//!     .add_service(pets)
//!     .serve_with_incoming(incoming);
//! # tokio::spawn(server);
//! # Client::new(ClientSettings::new(url))?.record_usage(&[UsageEvent::default()]).await?;
//! # batcher.flush().await;
//! # let event = &fake.events()[0];
//! # assert_eq!((event.attributes["key"].as_str(), event.httpstatus), ("RecordUsage", Some(200)));
//! # Ok(())
//! # });
//! ```
//!
//! # Sending one batch and reading its result
//!
//! ```
//! # use flowmeter_client::{Client, ClientSettings, Rejection, UsageEvent};
//! # flowmeter_fake::example(async |fake| {
//! # let client = Client::new(ClientSettings::new(fake.url()))?;
//! # let wrong = Rejection { index: 1, reason: "INVALID_FIELD".into(), ..Rejection::default() };
//! # fake.plan([flowmeter_fake::Plan::Reject(vec![wrong])]);
//! let event = |duration| UsageEvent {
//!     method: "get".into(),
//!     service: "pets".into(),
//!     duration: Some(duration),
//!     ..UsageEvent::default()
//! };
//! let recorded = client.record_usage(&[event(12), event(-1)]).await?;
//! assert_eq!(recorded.accepted_count, 1);
//! for rejection in &recorded.rejections {
//!     eprintln!("event {}: {} {:?}", rejection.index, rejection.reason, rejection.field_violations);
//! }
//! # assert_eq!(recorded.rejections[0].index, 1);
//! # Ok(())
//! # });
//! ```
//!
//! # Executions of integrations
//!
//! ```
//! # use flowmeter_client::{Client, ClientSettings, ExecutionMetrics, ExecutionSchedule};
//! # async fn call(url: &str) -> Result<u16, std::io::Error> {
//! #     match url.split_once(' ') {
//! #         Some((_, status)) => Ok(status.parse().expect("it is one of those below")),
//! #         None => Err(std::io::ErrorKind::ConnectionRefused.into()),
//! #     }
//! # }
//! # flowmeter_fake::example(async |fake| {
//! # let client = Client::new(ClientSettings::new(fake.url()))?;
//! # let urls = ["a 200", "b 429", "c", "d 200", "e 429"];
//! let mut metrics = ExecutionMetrics::new();
//! let mut to_try_again = Vec::new();
//! for url in urls {
//!     match call(url).await {
//!         // Items that are still open at the deadline count as RetryTimeout.
//!         Ok(429) => to_try_again.push(url),
//!         ended => metrics.add_call(&ended),
//!     }
//! }
//! let mut report = metrics.report_or_empty("VirusTotal", "VirusTotal_instance_1", "url");
//! if !to_try_again.is_empty() {
//!     report.schedule = Some(ExecutionSchedule {
//!         id: "run-4711".into(),
//!         items_remaining: to_try_again.len() as i64,
//!         deadline: Some((std::time::SystemTime::now() + std::time::Duration::from_secs(600)).into()),
//!     });
//! }
//! // Later runs that retry the items use ExecutionMetrics::polling(), and report the remaining items.
//! client.report_executions(&[report]).await?;
//! # let report = fake.executions().remove(0);
//! # let counted: Vec<_> = report.metrics.iter().map(|metric| (metric.r#type.as_str(), metric.count)).collect();
//! # assert_eq!(counted, [("Successful", 2), ("ConnectionError", 1)]);
//! # assert_eq!(report.schedule.map(|schedule| schedule.items_remaining), Some(2));
//! # Ok(())
//! # });
//! ```
//!
//! A batcher reports executions in the background, so that a command neither waits for a report nor fails when the
//! service is unavailable:
//!
//! ```
//! # use flowmeter_client::{BatcherSettings, Client, ClientSettings, ExecutionSchedule, MetricType};
//! # flowmeter_fake::example(async |fake| {
//! # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
//! # let schedule = ExecutionSchedule { id: "run-4711".into(), ..ExecutionSchedule::default() };
//! let mut execution = batcher.start_execution("VirusTotal", "VirusTotal_instance_1", "url");
//! execution.metrics_mut().add_many(MetricType::Success, 7);
//! execution.set_schedule(schedule); // if anything has to be retried
//! drop(execution); // puts the report into the buffer
//! # batcher.flush().await;
//! # let report = fake.executions().remove(0);
//! # assert_eq!((report.metrics[0].count, report.schedule.is_some()), (7, true));
//! # Ok(())
//! # });
//! ```
//!
//! # Asset metrics
//!
//! ```
//! # use flowmeter_client::{AssetDocument, AssetValue, Client, ClientSettings, asset_metric};
//! # flowmeter_fake::example(async |fake| {
//! # let client = Client::new(ClientSettings::new(fake.url()))?;
//! let document = AssetDocument {
//!     asset_urn: "urn:datasource:crm:customers".into(),
//!     metrics: vec![
//!         asset_metric("qualityScore", 97.5),
//!         asset_metric("revenue", AssetValue::decimal("12345678901234567.89")), // exact, unlike a double
//!         asset_metric("steward", "Kim"),
//!     ],
//!     ..AssetDocument::default()
//! };
//! client.emit_asset_metrics(&document).await?;
//! # assert_eq!(fake.seen_now()[0].documents[0].metrics, document.metrics);
//! # Ok(())
//! # });
//! ```
//!
//! # Exactly once
//!
//! Each request has an id, a UUID of version 7 that this library generates. If a call fails with `UNAVAILABLE` (which
//! includes a failed connection), `DEADLINE_EXCEEDED` or `RESOURCE_EXHAUSTED`, it is retried with the same id and the
//! same items. Flowmeter counts the items once, even if it recorded the failed call. The wait before a retry is 100 ms,
//! doubles with each retry up to 5 s, has jitter, and is at least as long as the service asks for
//! (`google.rpc.RetryInfo`). Retries end after the [patience](ClientSettings::patience) of the client, or the
//! [patience](BatcherSettings::patience) of the batcher. Other codes are final, and so is a batch that is too large.
//! Programs that call other methods of the services find the same rule in [`retry`], and functions that read errors in
//! [`status`].
//!
//! The buffer of a batcher is only in memory. A process that must not lose events when it crashes keeps the events itself
//! and reports them with [`Client::record_usage_as`], or sets [`UsageEvent::event_id`](UsageEvent#structfield.event_id)
//! and the timestamp of each event.
//!
//! # TLS
//!
//! If the service has a certificate of a public authority, an `https://` URL is enough. The default feature `tls` is
//! required.
//!
//! ```
//! # #[cfg(not(feature = "tls"))] fn main() {}
//! # #[cfg(feature = "tls")] fn main() {
//! # use flowmeter_client::{Client, ClientSettings, TlsSettings, UsageEvent};
//! # flowmeter_fake::example(async |_| {
//! # let (fake, directory) = flowmeter_fake::Fake::start_with_mutual_tls().await;
//! # let url = format!("https://localhost:{}", fake.address.port());
//! // The URL of ingest, such as https://ingest.internal:7071.
//! let tls = TlsSettings::new()
//!     .authority_pem(std::fs::read(directory.join("authority.pem"))?)
//!     // Mutual TLS.
//!     .identity_pem(std::fs::read(directory.join("client.pem"))?, std::fs::read(directory.join("client.key"))?);
//! let client = Client::new(ClientSettings::new(url).tls(tls))?;
//! # client.record_usage(&[UsageEvent::default()]).await?;
//! # assert_eq!(fake.events().len(), 1);
//! # Ok(())
//! # });
//! # }
//! ```
//!
//! # Units and defaults
//!
//! Times are in UTC. An item without a timestamp gets the time at which it was recorded. `duration` is in milliseconds,
//! and `response_size` is in bytes. An empty string means that a field is absent. The contract, `proto/flowmeter/v1`,
//! documents every field.

mod answer;
mod asset;
mod batcher;
mod call;
mod client;
mod connection;
mod error;
mod execution;
mod features;
mod guard;
mod items;
mod layer;
pub mod retry;
mod settings;
pub mod status;

pub use answer::{Emitted, EmittedBatch, Recorded};
pub use asset::{AssetValue, asset_metric};
pub use batcher::{Batcher, BatcherSettings, Incident, IncidentItems, Lost, RecordError, Stats, Tally};
pub use client::Client;
pub use connection::{AuthorizedChannel, Bearer};
pub use error::{Error, SettingsError};
pub use execution::{ExecutionMetrics, MetricType};
/// The types of timestamps and latencies. Convert a `std::time::SystemTime` with `into`, and a `std::time::Duration` with
/// `try_into`.
pub use flowmeter_proto::prost_types::{Duration as ProtoDuration, Timestamp as ProtoTimestamp};
/// The messages of the contract. The comments in `proto/flowmeter/v1` document the meaning, unit, default and limits of
/// each field.
pub use flowmeter_proto::v1::{
    AssetDocument, AssetMetric, ExecutionMetric, ExecutionReport, ExecutionSchedule, FieldViolation,
    FlowOutcome, FlowRequest, Rejection, UsageEvent,
};
pub use guard::{ExecutionGuard, FlowRequestGuard, UsageGuard};
pub use layer::{
    FlowLayer, FlowService, RecordedBody, UsageFuture, UsageLayer, UsageService, describe_by_path,
    httpstatus_of_grpc,
};
pub use settings::ClientSettings;
#[cfg(feature = "tls")]
pub use settings::TlsSettings;
/// The type of [`Error::code`].
pub use tonic::Code;
/// The type of request ids.
pub use uuid::Uuid;

/// Compiles the code of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
