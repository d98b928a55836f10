//! Execution metrics: what the API calls of one execution of a command came to.

mod failure;

use std::error::Error;

use flowmeter_proto::v1::{ExecutionMetric, ExecutionReport};

/// How an API call ended, by the names under which code reports it.
///
/// The service reads `QuotaError` as `OutOfQuota` and `TimeoutError` as `RetryTimeout`, and counts the types of
/// transport failures as `GeneralError`, unless the tenant allows all metric types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// It succeeded.
    Success,
    /// It was beyond a quota or a rate limit.
    QuotaError,
    /// It failed in a way that has no type of its own.
    GeneralError,
    /// The service did not know or allow the caller.
    AuthError,
    /// The service failed.
    ServiceError,
    /// The service was not reached.
    ConnectionError,
    /// The proxy on the way failed.
    ProxyError,
    /// TLS could not be established.
    SslError,
    /// There was no answer in time.
    TimeoutError,
    /// All attempts to repeat it failed.
    RetryError,
}

impl MetricType {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Success,
        Self::QuotaError,
        Self::GeneralError,
        Self::AuthError,
        Self::ServiceError,
        Self::ConnectionError,
        Self::ProxyError,
        Self::SslError,
        Self::TimeoutError,
        Self::RetryError,
    ];

    /// The name that is reported.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Success => "Successful",
            Self::QuotaError => "QuotaError",
            Self::GeneralError => "GeneralError",
            Self::AuthError => "AuthError",
            Self::ServiceError => "ServiceError",
            Self::ConnectionError => "ConnectionError",
            Self::ProxyError => "ProxyError",
            Self::SslError => "SSLError",
            Self::TimeoutError => "TimeoutError",
            Self::RetryError => "RetryError",
        }
    }

    /// How a call ended that was answered with this HTTP status: 200 to 299 succeeded, 401 is an
    /// [`AuthError`](Self::AuthError), 429 a [`QuotaError`](Self::QuotaError), 500 a
    /// [`ServiceError`](Self::ServiceError), and everything else a [`GeneralError`](Self::GeneralError).
    #[must_use]
    pub const fn of_http_status(status: u16) -> Self {
        match status {
            200..=299 => Self::Success,
            401 => Self::AuthError,
            429 => Self::QuotaError,
            500 => Self::ServiceError,
            _ => Self::GeneralError,
        }
    }

    /// How a call ended that failed without an answer, by the error and its causes:
    ///
    /// 1. a [`tonic::Status`] that the service answered with counts like its HTTP status by
    ///    [`httpstatus_of_grpc`](crate::httpstatus_of_grpc), but `DEADLINE_EXCEEDED` is a
    ///    [`TimeoutError`](Self::TimeoutError) and `UNAVAILABLE` a [`ConnectionError`](Self::ConnectionError);
    /// 2. else a time limit of tokio or of the operating system is a [`TimeoutError`](Self::TimeoutError);
    /// 3. else what their words speak of decides, the outermost first: a proxy, a time limit, TLS or certificates, or
    ///    retries;
    /// 4. else what is about a connection is a [`ConnectionError`](Self::ConnectionError): a host that has no address,
    ///    or a connection that was refused, reset, closed or not to be made.
    ///
    /// Anything else is a [`GeneralError`](Self::GeneralError). URLs, names of hosts and a word in quotation marks do
    /// not count. Whoever knows better records that.
    #[must_use]
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        failure::type_of(error)
    }
}

/// The execution metrics of one run of a command, as in Cortex XSOAR's `ExecutionMetrics`.
///
/// Each type counts from 0. There is nothing to report until one is above zero; then types are listed in the
/// order in which they first were, each once, with its last count.
///
/// Those of [`Batcher::start_execution`](crate::Batcher::start_execution) are reported in the background, when their
/// guard is dropped; those made here when their [report](ExecutionMetrics::report) is.
///
/// ```
/// use flowmeter_client::{ExecutionMetrics, MetricType};
///
/// let mut metrics = ExecutionMetrics::new();
/// assert!(metrics.metrics().is_none());
/// for status in [200, 500, 429, 200] {
///     metrics.add(MetricType::of_http_status(status));
/// }
/// let listed: Vec<_> =
///     metrics.metrics().unwrap().into_iter().map(|metric| (metric.r#type, metric.count)).collect();
/// assert_eq!(
///     listed,
///     [("Successful".to_owned(), 2), ("ServiceError".to_owned(), 1), ("QuotaError".to_owned(), 1)]
/// );
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecutionMetrics {
    counts: [i64; MetricType::ALL.len()],
    /// The types that were above zero, in the order in which they first were, with their last such count.
    listed: Vec<(MetricType, i64)>,
    is_polling: bool,
}

impl ExecutionMetrics {
    /// Nothing counted.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a run of a scheduled command that is polling: it tries again what an earlier run has scheduled.
    ///
    /// While a command polls, its successes are not counted, nor what only says that it has to be tried again
    /// ([`QuotaError`](MetricType::QuotaError) and [`RetryError`](MetricType::RetryError)): what is left in the end
    /// counts when the schedule's deadline passes, and not once for each attempt.
    #[must_use]
    pub fn polling() -> Self {
        Self { is_polling: true, ..Self::default() }
    }

    /// The count of a type.
    #[must_use]
    pub const fn get(&self, of: MetricType) -> i64 {
        self.counts[of as usize]
    }

    /// Sets the count of a type. A type that was listed stays listed with the count that it had, if it is set to
    /// zero or less.
    pub fn set(&mut self, of: MetricType, count: i64) {
        if self.is_polling
            && matches!(of, MetricType::Success | MetricType::QuotaError | MetricType::RetryError)
        {
            return;
        }
        self.counts[of as usize] = count;
        if count <= 0 {
            return;
        }
        match self.listed.iter_mut().find(|(listed, _)| *listed == of) {
            Some((_, listed)) => *listed = count,
            None => self.listed.push((of, count)),
        }
    }

    /// Counts one more call of a type.
    pub fn add(&mut self, of: MetricType) {
        self.add_many(of, 1);
    }

    /// Counts several more calls of a type.
    pub fn add_many(&mut self, of: MetricType, count: i64) {
        self.set(of, self.get(of).saturating_add(count));
    }

    /// Counts a call by its answer's HTTP status, or by the error without one.
    pub fn add_call<E: Error + 'static>(&mut self, ended: &Result<u16, E>) {
        self.add(match ended {
            Ok(status) => MetricType::of_http_status(*status),
            Err(error) => MetricType::of_error(error),
        });
    }

    /// What is to be reported. None while no type was above zero.
    #[must_use]
    pub fn metrics(&self) -> Option<Vec<ExecutionMetric>> {
        if self.listed.is_empty() {
            return None;
        }
        let metric =
            |(of, count): &(MetricType, i64)| ExecutionMetric { r#type: of.name().to_owned(), count: *count };
        Some(self.listed.iter().map(metric).collect())
    }

    /// The report of an execution of `command` by an instance of `integration`, at the time of the call. None while
    /// no type was above zero: there is nothing to report.
    #[must_use]
    pub fn report(
        &self,
        integration: impl Into<String>,
        instance: impl Into<String>,
        command: impl Into<String>,
    ) -> Option<ExecutionReport> {
        let report = self.report_or_empty(integration, instance, command);
        if report.metrics.is_empty() { None } else { Some(report) }
    }

    /// The same, also without anything counted: a report that only tells of a schedule.
    #[must_use]
    pub fn report_or_empty(
        &self,
        integration: impl Into<String>,
        instance: impl Into<String>,
        command: impl Into<String>,
    ) -> ExecutionReport {
        ExecutionReport {
            integration: integration.into(),
            instance: instance.into(),
            command: command.into(),
            timestamp: None,
            metrics: self.metrics().unwrap_or_default(),
            schedule: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(metrics: &ExecutionMetrics) -> Vec<(String, i64)> {
        let pair = |metric: ExecutionMetric| (metric.r#type, metric.count);
        metrics.metrics().unwrap_or_default().into_iter().map(pair).collect()
    }

    fn own(list: &[(&str, i64)]) -> Vec<(String, i64)> {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn types_are_listed_in_the_order_in_which_they_came() {
        let mut metrics = ExecutionMetrics::new();
        assert_eq!(metrics.metrics(), None);
        metrics.set(MetricType::GeneralError, 0);
        assert_eq!(metrics.metrics(), None, "nothing is above zero");
        metrics.add_many(MetricType::QuotaError, 2);
        metrics.add(MetricType::Success);
        metrics.add(MetricType::QuotaError);
        assert_eq!(listed(&metrics), own(&[("QuotaError", 3), ("Successful", 1)]));
        metrics.set(MetricType::Success, 9);
        assert_eq!(listed(&metrics), own(&[("QuotaError", 3), ("Successful", 9)]));
        metrics.set(MetricType::QuotaError, 0);
        assert_eq!((metrics.get(MetricType::QuotaError), listed(&metrics).len()), (0, 2));
    }

    #[test]
    fn what_is_tried_again_while_polling_does_not_count() {
        let mut metrics = ExecutionMetrics::polling();
        for of in [MetricType::Success, MetricType::QuotaError, MetricType::RetryError] {
            metrics.add(of);
        }
        assert_eq!(metrics.metrics(), None);
        metrics.add(MetricType::AuthError);
        assert_eq!(listed(&metrics), own(&[("AuthError", 1)]));
    }

    #[test]
    fn answers_have_types() {
        let statuses = [200, 204, 301, 401, 403, 404, 429, 500, 502].map(MetricType::of_http_status);
        let names = statuses.map(MetricType::name);
        assert_eq!(
            names,
            [
                "Successful",
                "Successful",
                "GeneralError",
                "AuthError",
                "GeneralError",
                "GeneralError",
                "QuotaError",
                "ServiceError",
                "GeneralError"
            ]
        );
    }
}
