//! Execution metrics: how the API calls of one execution of a command ended.

mod failure;

use std::error::Error;

use flowmeter_proto::v1::{ExecutionMetric, ExecutionReport};

/// How an API call ended.
///
/// The service counts `QuotaError` as `OutOfQuota`, and `TimeoutError` as `RetryTimeout`. Unless the tenant allows all
/// metric types, it counts the types of transport failures as `GeneralError`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetricType {
    /// The call succeeded.
    Success,
    /// The call exceeded a quota or a rate limit.
    QuotaError,
    /// The call failed in another way.
    GeneralError,
    /// The service did not authenticate or authorize the caller.
    AuthError,
    /// The service failed.
    ServiceError,
    /// The connection to the service failed.
    ConnectionError,
    /// The proxy failed.
    ProxyError,
    /// The TLS handshake failed.
    SslError,
    /// The call exceeded its time limit.
    TimeoutError,
    /// All retries failed.
    RetryError,
}

impl MetricType {
    /// All types.
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

    /// The type of a call that was answered with this HTTP status: 200 to 299 is a [`Success`](Self::Success), 401 an
    /// [`AuthError`](Self::AuthError), 429 a [`QuotaError`](Self::QuotaError), 500 a
    /// [`ServiceError`](Self::ServiceError), and any other status a [`GeneralError`](Self::GeneralError).
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

    /// The type of a call that failed without an answer, by the error and its causes. The first rule that applies decides:
    ///
    /// 1. A [`tonic::Status`] from the service has the type of its HTTP status by
    ///    [`httpstatus_of_grpc`](crate::httpstatus_of_grpc), except that `DEADLINE_EXCEEDED` is a
    ///    [`TimeoutError`](Self::TimeoutError) and `UNAVAILABLE` a [`ConnectionError`](Self::ConnectionError).
    /// 2. A time limit of tokio or of the operating system is a [`TimeoutError`](Self::TimeoutError).
    /// 3. A message that mentions a proxy, a time limit, TLS or certificates, or retries has that type. Messages are
    ///    searched from the outermost to the innermost.
    /// 4. An error of a connection is a [`ConnectionError`](Self::ConnectionError): a host without an address, or a
    ///    connection that failed or was refused, reset or closed.
    /// 5. Any other error is a [`GeneralError`](Self::GeneralError).
    ///
    /// URLs, host names and quoted words in messages are ignored. If the program knows the type, it should record that
    /// type instead.
    #[must_use]
    pub fn of_error(error: &(dyn Error + 'static)) -> Self {
        failure::type_of(error)
    }
}

/// The execution metrics of one run of a command, as in Cortex XSOAR's `ExecutionMetrics`.
///
/// Each type has a count, which starts at 0. Types are listed once their count is above zero, in the order in which that
/// happened, with their last count above zero. Without a listed type there is nothing to report.
///
/// [`Batcher::start_execution`](crate::Batcher::start_execution) reports metrics in the background. To report them
/// otherwise, create them here and send their [report](ExecutionMetrics::report).
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
    /// The listed types with their last count above zero.
    listed: Vec<(MetricType, i64)>,
    is_polling: bool,
}

impl ExecutionMetrics {
    /// Creates metrics without counts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the metrics of a polling run, which retries the items that an earlier run of the command scheduled.
    ///
    /// A polling run does not count successes, [`QuotaError`](MetricType::QuotaError) and
    /// [`RetryError`](MetricType::RetryError), because an item would count with each retry. The items that remain count when
    /// the deadline of the schedule passes.
    #[must_use]
    pub fn polling() -> Self {
        Self { is_polling: true, ..Self::default() }
    }

    /// The count of a type.
    #[must_use]
    pub const fn get(&self, of: MetricType) -> i64 {
        self.counts[of as usize]
    }

    /// Sets the count of a type. If the count of a listed type is set to zero or less, the type stays listed with its
    /// previous count.
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

    /// Counts a call by the HTTP status of its answer, or by its error.
    pub fn add_call<E: Error + 'static>(&mut self, ended: &Result<u16, E>) {
        self.add(match ended {
            Ok(status) => MetricType::of_http_status(*status),
            Err(error) => MetricType::of_error(error),
        });
    }

    /// The listed types with their counts. None if there are none.
    #[must_use]
    pub fn metrics(&self) -> Option<Vec<ExecutionMetric>> {
        if self.listed.is_empty() {
            return None;
        }
        let metric =
            |(of, count): &(MetricType, i64)| ExecutionMetric { r#type: of.name().to_owned(), count: *count };
        Some(self.listed.iter().map(metric).collect())
    }

    /// The report of an execution of `command` by an instance of `integration`. None if no type is listed.
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

    /// The same, even if no type is listed, for a report that only has a schedule.
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
    fn types_are_listed_in_the_order_of_their_first_count() {
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
    fn retries_of_a_polling_run_do_not_count() {
        let mut metrics = ExecutionMetrics::polling();
        for of in [MetricType::Success, MetricType::QuotaError, MetricType::RetryError] {
            metrics.add(of);
        }
        assert_eq!(metrics.metrics(), None);
        metrics.add(MetricType::AuthError);
        assert_eq!(listed(&metrics), own(&[("AuthError", 1)]));
    }

    #[test]
    fn http_statuses_have_types() {
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
