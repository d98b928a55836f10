//! The metrics, granularities and outcomes of flows as values of flags. Each has the name of the `WhatsApp`
//! Flows Metrics API and a short one.
#![allow(clippy::doc_markdown, reason = "the comments of values are help texts, which have no backticks")]

use clap::ValueEnum;
use flowmeter_proto::v1::{Flow, FlowOutcome};

/// A metric of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FlowMetric {
    /// ENDPOINT_REQUEST_COUNT: the number of requests.
    #[value(aliases = ["count", "request", "ENDPOINT_REQUEST_COUNT"])]
    Requests,
    /// ENDPOINT_REQUEST_ERROR: the failed requests by error.
    #[value(aliases = ["error", "ENDPOINT_REQUEST_ERROR"])]
    Errors,
    /// ENDPOINT_REQUEST_ERROR_RATE: the share of failed requests.
    #[value(aliases = ["rate", "error_rate", "ENDPOINT_REQUEST_ERROR_RATE"])]
    ErrorRate,
    /// ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL: the requests by latency in seconds, rounded up.
    #[value(aliases = ["latencies", "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL"])]
    Latency,
    /// ENDPOINT_AVAILABILITY: the checks of the endpoint by result.
    #[value(aliases = ["available", "checks", "ENDPOINT_AVAILABILITY"])]
    Availability,
}

impl FlowMetric {
    /// All metrics, in the order of the `WhatsApp` reference.
    pub(crate) const ALL: [Self; 5] =
        [Self::Requests, Self::Errors, Self::ErrorRate, Self::Latency, Self::Availability];

    /// The name in the contract.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Requests => "ENDPOINT_REQUEST_COUNT",
            Self::Errors => "ENDPOINT_REQUEST_ERROR",
            Self::ErrorRate => "ENDPOINT_REQUEST_ERROR_RATE",
            Self::Latency => "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL",
            Self::Availability => "ENDPOINT_AVAILABILITY",
        }
    }
}

/// The length of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Granularity {
    /// One day, up to 90 days back.
    Day,
    /// One hour, up to 30 days back.
    Hour,
    /// The whole period as one point.
    Lifetime,
}

impl Granularity {
    /// The name in the contract.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Day => "DAY",
            Self::Hour => "HOUR",
            Self::Lifetime => "LIFETIME",
        }
    }
}

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// The endpoint answered as expected. Short form: ok.
    #[value(aliases = ["success", "ok"])]
    Succeeded,
    /// The request timed out. Short form: timeout.
    #[value(aliases = ["timeout", "timeout-error"])]
    TimeoutError,
    /// The endpoint answered with an error status. Short form: http-status.
    #[value(aliases = ["http-status", "unexpected-http-status-code"])]
    UnexpectedHttpStatusCode,
    /// The request was not made, because the flow cannot be served. Short form: not-served.
    #[value(aliases = ["not-served", "cannot-be-served"])]
    CannotBeServed,
    /// The endpoint did not answer. Short form: no-response.
    #[value(aliases = ["no-response", "no-http-response-error"])]
    NoHttpResponseError,
}

impl From<Outcome> for FlowOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Succeeded => Self::Succeeded,
            Outcome::TimeoutError => Self::TimeoutError,
            Outcome::UnexpectedHttpStatusCode => Self::UnexpectedHttpStatusCode,
            Outcome::CannotBeServed => Self::CannotBeServed,
            Outcome::NoHttpResponseError => Self::NoHttpResponseError,
        }
    }
}

/// Whether the endpoint is checked. It is if there is an endpoint with data API version 3.0 or later.
pub(crate) fn is_checked(flow: &Flow) -> bool {
    let major = flow.data_api_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    !flow.endpoint_url.is_empty() && major.is_some_and(|major| major >= 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_the_contract_are_accepted_in_upper_and_lower_case() {
        for metric in FlowMetric::ALL {
            assert_eq!(FlowMetric::from_str(metric.name(), true), Ok(metric));
            assert_eq!(FlowMetric::from_str(&metric.name().to_lowercase(), true), Ok(metric));
        }
        for granularity in Granularity::value_variants() {
            assert_eq!(Granularity::from_str(granularity.name(), true), Ok(*granularity));
        }
        for outcome in Outcome::value_variants() {
            let name = FlowOutcome::from(*outcome).as_str_name();
            let key = name.strip_prefix("FLOW_OUTCOME_").unwrap();
            assert_eq!(Outcome::from_str(key, true), Ok(*outcome));
            let word = outcome.to_possible_value().unwrap();
            assert_eq!(word.get_name(), key.to_lowercase(), "the word is spelled like the key of the metric");
        }
    }
}
