//! Guards, which record an event, a flow request or an execution when they are dropped, also in a panic.

use std::error::Error;
use std::io;
use std::time::{Instant, SystemTime};

use flowmeter_proto::prost_types;
use flowmeter_proto::v1::{ExecutionSchedule, FlowOutcome, FlowRequest, UsageEvent};

use crate::batcher::Batcher;
use crate::execution::ExecutionMetrics;

/// The HTTP status of a panic.
const INTERNAL_SERVER_ERROR: i32 = 500;

/// A use of an API in progress. When the guard is dropped, it records the event, with the time since its start as
/// `duration`. If the buffer of the batcher is full, the event is dropped: a guard never waits and never fails.
///
/// ```
/// # use flowmeter_client::{Batcher, BatcherSettings, Client, ClientSettings, UsageEvent};
/// # fn find(name: &str) -> Option<String> { name.strip_prefix("a ").map(str::to_owned) }
/// fn pet(batcher: &Batcher, name: &str) -> Option<String> {
///     let mut call = batcher.start(UsageEvent {
///         method: "get".into(),
///         service: "pets".into(),
///         ..UsageEvent::default()
///     });
///     let pet = find(name); // a panic in here is recorded, with httpstatus 500
///     call.set_httpstatus(if pet.is_some() { 200 } else { 404 });
///     pet
/// }
/// # flowmeter_fake::example(async |fake| {
/// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
/// # assert_eq!((pet(&batcher, "a cat").as_deref(), pet(&batcher, "none")), (Some("cat"), None));
/// # batcher.flush().await;
/// # let statuses: Vec<_> = fake.events().iter().map(|event| event.httpstatus).collect();
/// # assert_eq!(statuses, [Some(200), Some(404)]);
/// # Ok(())
/// # });
/// ```
#[derive(Debug)]
pub struct UsageGuard {
    batcher: Batcher,
    event: Option<UsageEvent>,
    start: Instant,
}

impl UsageGuard {
    pub(crate) fn new(batcher: Batcher, mut event: UsageEvent) -> Self {
        event.timestamp.get_or_insert_with(|| SystemTime::now().into());
        Self { batcher, event: Some(event), start: Instant::now() }
    }

    /// Sets the HTTP status code of the answer, 100 to 999. Default: the status of the event with which the guard was
    /// started, otherwise 500 in a panic, otherwise absent.
    pub fn set_httpstatus(&mut self, httpstatus: u16) {
        self.event_mut().httpstatus = Some(httpstatus.into());
    }

    /// The event, to set further fields. If `duration` is set, the guard does not change it. The timestamp is the time of
    /// the start, unless the event had one.
    pub fn event_mut(&mut self) -> &mut UsageEvent {
        self.event.as_mut().expect("the event is taken only when the guard is dropped")
    }

    /// Drops the guard without recording the event.
    pub fn discard(mut self) {
        self.event = None;
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        let Some(mut event) = self.event.take() else { return };
        let elapsed = self.start.elapsed().as_millis();
        event.duration.get_or_insert_with(|| i64::try_from(elapsed).unwrap_or(i64::MAX));
        if std::thread::panicking() {
            event.httpstatus.get_or_insert(INTERNAL_SERVER_ERROR);
        }
        // The batcher counts and logs what it drops.
        let _ = self.batcher.try_record(event);
    }
}

/// A request to the endpoint of a flow in progress. Call the method for how the request ended, and the guard records the
/// request, with the time since its start as latency. If the guard is dropped before, by a panic or because the caller was
/// cancelled, the outcome is [`FlowOutcome::NoHttpResponseError`]. A guard never waits and never fails.
///
/// ```
/// # use flowmeter_client::{Batcher, BatcherSettings, Client, ClientSettings, FlowOutcome};
/// # async fn post(url: &str) -> Result<http::Response<()>, std::io::Error> {
/// #     if url.is_empty() { Err(std::io::ErrorKind::TimedOut.into()) } else { Ok(http::Response::new(())) }
/// # }
/// async fn exchange(batcher: &Batcher, url: &str) -> Result<http::Response<()>, std::io::Error> {
///     let request = batcher.start_flow_request("signup");
///     let answer = post(url).await;
///     match &answer {
///         Ok(answer) => request.answered(answer.status().as_u16()),
///         Err(error) => request.failed(error),
///     }
///     answer
/// }
/// # flowmeter_fake::example(async |fake| {
/// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
/// # assert!(exchange(&batcher, "https://signup.example/flow").await.is_ok());
/// # assert!(exchange(&batcher, "").await.is_err());
/// # batcher.flush().await;
/// # let outcomes: Vec<_> = fake.seen_now()[0].flow_requests.iter().map(|request| request.outcome()).collect();
/// # assert_eq!(outcomes, [FlowOutcome::Succeeded, FlowOutcome::TimeoutError]);
/// # Ok(())
/// # });
/// ```
#[derive(Debug)]
pub struct FlowRequestGuard {
    batcher: Batcher,
    request: FlowRequest,
    start: Instant,
}

impl FlowRequestGuard {
    pub(crate) fn new(batcher: Batcher, flow_id: String) -> Self {
        let request = FlowRequest {
            flow_id,
            timestamp: Some(SystemTime::now().into()),
            outcome: FlowOutcome::NoHttpResponseError.into(),
            ..FlowRequest::default()
        };
        Self { batcher, request, start: Instant::now() }
    }

    /// The endpoint answered with this HTTP status code: 200 to 299 is [`FlowOutcome::Succeeded`], and any other code is
    /// [`FlowOutcome::UnexpectedHttpStatusCode`].
    pub fn answered(self, httpstatus: u16) {
        self.ended(outcome_of_http(httpstatus));
    }

    /// The request exceeded its time limit.
    pub fn timed_out(self) {
        self.ended(FlowOutcome::TimeoutError);
    }

    /// The request failed without an answer. The outcome is [`FlowOutcome::TimeoutError`] if the error or one of its causes
    /// is a time limit of tokio ([`tokio::time::error::Elapsed`]), of tonic ([`tonic::TimeoutExpired`]) or of the operating
    /// system ([`io::ErrorKind::TimedOut`]), and otherwise [`FlowOutcome::NoHttpResponseError`]. For time limits of other
    /// types, call [`FlowRequestGuard::timed_out`].
    pub fn failed(self, error: &(dyn Error + 'static)) {
        self.ended(outcome_of_error(error));
    }

    /// The request was not sent, because the flow cannot be served. Such a request has no latency.
    pub fn cannot_be_served(self) {
        self.ended(FlowOutcome::CannotBeServed);
    }

    /// The request ended with this outcome.
    pub fn ended(mut self, outcome: FlowOutcome) {
        self.set_outcome(outcome);
    }

    pub(crate) fn set_outcome(&mut self, outcome: FlowOutcome) {
        self.request.outcome = outcome.into();
    }

    /// The answer started, so its latency is known, but not its outcome.
    pub(crate) fn answer_began(&mut self) {
        self.request.latency = prost_types::Duration::try_from(self.start.elapsed()).ok();
    }
}

impl Drop for FlowRequestGuard {
    fn drop(&mut self) {
        let mut request = std::mem::take(&mut self.request);
        if request.outcome() != FlowOutcome::CannotBeServed && request.latency.is_none() {
            request.latency = prost_types::Duration::try_from(self.start.elapsed()).ok();
        }
        // The batcher counts and logs what it drops.
        let _ = self.batcher.try_record_flow_request(request);
    }
}

/// An execution of a command in progress, with its [`ExecutionMetrics`]. When the guard is dropped, it reports the metrics
/// and the schedule, if there are any. If the buffer of the batcher is full, the report is dropped: a guard never waits and
/// never fails. If the service does not support executions, nothing is reported, which is not a loss.
///
/// ```
/// # use flowmeter_client::{Batcher, BatcherSettings, Client, ClientSettings};
/// # async fn call(_: &str) -> Result<u16, std::io::Error> { Ok(200) }
/// async fn enrich(batcher: &Batcher, urls: &[&str]) {
///     let mut execution = batcher.start_execution("VirusTotal", "VirusTotal_instance_1", "url");
///     for url in urls {
///         execution.metrics_mut().add_call(&call(url).await);
///     }
/// }
/// # flowmeter_fake::example(async |fake| {
/// # let batcher = Client::new(ClientSettings::new(fake.url()))?.batcher(BatcherSettings::default());
/// # enrich(&batcher, &["https://a.example", "https://b.example"]).await;
/// # batcher.flush().await;
/// # assert_eq!(fake.executions()[0].metrics[0].count, 2);
/// # Ok(())
/// # });
/// ```
#[derive(Debug)]
pub struct ExecutionGuard {
    batcher: Batcher,
    integration: String,
    instance: String,
    command: String,
    metrics: ExecutionMetrics,
    schedule: Option<ExecutionSchedule>,
}

impl ExecutionGuard {
    pub(crate) fn new(batcher: Batcher, integration: String, instance: String, command: String) -> Self {
        Self { batcher, integration, instance, command, metrics: ExecutionMetrics::new(), schedule: None }
    }

    /// Counts as a polling run. See [`ExecutionMetrics::polling`].
    #[must_use = "the execution ends when the guard is dropped"]
    pub fn polling(mut self) -> Self {
        self.metrics = ExecutionMetrics::polling();
        self
    }

    /// The metrics, to count calls.
    pub fn metrics_mut(&mut self) -> &mut ExecutionMetrics {
        &mut self.metrics
    }

    /// Sets what the command has scheduled for a retry. It is reported even if no call was counted.
    ///
    /// The timestamp of the report is the time at which the guard is dropped. At the deadline, the last report with a
    /// timestamp up to the deadline counts. A report with a later timestamp neither closes nor moves the schedule. A report
    /// with an earlier timestamp that arrives after the items were counted, such as after an outage, has no effect.
    pub fn set_schedule(&mut self, schedule: ExecutionSchedule) {
        self.schedule = Some(schedule);
    }

    /// Drops the guard without a report.
    pub fn discard(mut self) {
        self.metrics = ExecutionMetrics::new();
        self.schedule = None;
    }
}

impl Drop for ExecutionGuard {
    fn drop(&mut self) {
        let names = [&mut self.integration, &mut self.instance, &mut self.command].map(std::mem::take);
        let [integration, instance, command] = names;
        let mut report = self.metrics.report_or_empty(integration, instance, command);
        report.schedule = self.schedule.take();
        if report.metrics.is_empty() && report.schedule.is_none() {
            return;
        }
        // The batcher counts and logs what it drops.
        let _ = self.batcher.try_report_execution(report);
    }
}

pub(crate) fn outcome_of_http(httpstatus: u16) -> FlowOutcome {
    match httpstatus {
        200..=299 => FlowOutcome::Succeeded,
        _ => FlowOutcome::UnexpectedHttpStatusCode,
    }
}

fn outcome_of_error(error: &(dyn Error + 'static)) -> FlowOutcome {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let timed_out =
            error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::TimedOut);
        if timed_out || error.is::<tokio::time::error::Elapsed>() || error.is::<tonic::TimeoutExpired>() {
            return FlowOutcome::TimeoutError;
        }
        cause = error.source();
    }
    FlowOutcome::NoHttpResponseError
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Wrapped<E: Error + 'static>(#[source] E);

    #[tokio::test(start_paused = true)]
    async fn time_limits_are_distinguished_from_other_failures() {
        let elapsed = tokio::time::timeout(std::time::Duration::ZERO, std::future::pending::<()>()).await;
        let elapsed = elapsed.unwrap_err();
        assert_eq!(outcome_of_error(&Wrapped(elapsed)), FlowOutcome::TimeoutError);
        assert_eq!(outcome_of_error(&Wrapped(tonic::TimeoutExpired(()))), FlowOutcome::TimeoutError);
        let of = |kind: io::ErrorKind| outcome_of_error(&Wrapped(io::Error::from(kind)));
        assert_eq!(of(io::ErrorKind::TimedOut), FlowOutcome::TimeoutError);
        assert_eq!(of(io::ErrorKind::ConnectionRefused), FlowOutcome::NoHttpResponseError);
    }
}
