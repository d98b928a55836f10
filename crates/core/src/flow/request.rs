//! Reports about requests to the endpoint of a flow.

use std::time::Duration;

use crate::timestamp::Timestamp;
use crate::violation::Violation;

/// The outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The endpoint answered successfully.
    Succeeded,
    /// The request exceeded its time limit.
    TimeoutError,
    /// The endpoint answered with an error.
    UnexpectedHttpStatusCode,
    /// The request was not made, because the flow cannot be served.
    CannotBeServed,
    /// The request failed without an answer.
    NoHttpResponseError,
}

impl Outcome {
    /// All outcomes, in the order of their counters.
    pub const ALL: [Self; 5] = [
        Self::Succeeded,
        Self::TimeoutError,
        Self::UnexpectedHttpStatusCode,
        Self::CannotBeServed,
        Self::NoHttpResponseError,
    ];

    /// The name, which is also the key in the metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::TimeoutError => "timeout_error",
            Self::UnexpectedHttpStatusCode => "unexpected_http_status_code",
            Self::CannotBeServed => "cannot_be_served",
            Self::NoHttpResponseError => "no_http_response_error",
        }
    }

    /// Whether the endpoint was called, so that there is a latency.
    #[must_use]
    pub const fn is_call(self) -> bool {
        !matches!(self, Self::CannotBeServed)
    }
}

/// A latency in seconds, rounded up: 1 to 10, or more than that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Latency(u8);

impl Latency {
    /// The number of latencies.
    pub const COUNT: usize = 11;

    /// All latencies, ascending.
    pub const ALL: [Self; Self::COUNT] =
        [Self(0), Self(1), Self(2), Self(3), Self(4), Self(5), Self(6), Self(7), Self(8), Self(9), Self(10)];

    /// The latency of a `google.protobuf.Duration`. None if the duration is negative or malformed.
    #[must_use]
    pub fn of(seconds: i64, nanos: i32) -> Option<Self> {
        if seconds < 0 || !(0..1_000_000_000).contains(&nanos) {
            return None;
        }
        let up = seconds.saturating_add(i64::from(nanos > 0)).clamp(1, 11);
        Some(Self(u8::try_from(up - 1).expect("0 to 10")))
    }

    /// The index in [`Latency::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The key in the metrics.
    #[must_use]
    pub const fn key(self) -> &'static str {
        ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "10+"][self.index()]
    }
}

/// One or more requests with the same latency and outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FlowRequest<'a> {
    /// The flow.
    pub flow_id: &'a str,
    /// When the requests were made.
    pub timestamp: Option<Timestamp>,
    /// How long the requests took.
    pub latency: Option<Latency>,
    /// The outcome of the requests. None if the report does not say.
    pub outcome: Option<Outcome>,
    /// The number of requests, if the report says.
    pub count: Option<i32>,
}

/// The maximum length of a flow's id in bytes.
pub const MAX_FLOW_ID_BYTES: usize = 128;
/// The maximum number of requests in one item of a report: 100 s at a million requests per second.
pub const MAX_COUNT: i32 = 100_000_000;

/// Checks the id of a flow, given in the request field `field`.
pub fn check_flow_id(field: &str, id: &str) -> Result<(), Violation> {
    if (1..=MAX_FLOW_ID_BYTES).contains(&id.len()) && !id.contains(char::is_control) {
        return Ok(());
    }
    Err(Violation::new(field, format!("expected 1 to {MAX_FLOW_ID_BYTES} bytes without control characters")))
}

/// The limits of accepted requests.
#[derive(Debug, Clone, Copy)]
pub struct FlowLimits {
    /// The maximum age of a request.
    pub max_age: Duration,
    /// How far a request can be ahead of this machine's clock.
    pub max_ahead: Duration,
}

impl FlowLimits {
    /// Adds the violations of `request`, whose time is `timestamp`, at the time `now`. Does not allocate if there
    /// are none.
    pub fn check(
        &self,
        request: &FlowRequest<'_>,
        timestamp: Timestamp,
        now: Timestamp,
        violations: &mut Vec<Violation>,
    ) {
        violations.extend(check_flow_id("flow_id", request.flow_id).err());
        violations.extend(timestamp.check_between(now.minus(self.max_age), now.plus(self.max_ahead)).err());
        if let Some(count) = request.count.filter(|count| !(1..=MAX_COUNT).contains(count)) {
            let text = format!("expected 1 to {MAX_COUNT}, found {count}");
            violations.push(Violation::new("count", text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_rounded_up_to_seconds() {
        let key = |seconds, nanos| Latency::of(seconds, nanos).map(Latency::key);
        for (seconds, nanos, expected) in [
            (0, 0, "1"),
            (0, 1, "1"),
            (1, 0, "1"),
            (1, 1, "2"),
            (1, 100_000_000, "2"),
            (9, 999_999_999, "10"),
            (10, 0, "10"),
            (10, 1, "10+"),
            (i64::MAX, 999_999_999, "10+"),
        ] {
            assert_eq!(key(seconds, nanos), Some(expected), "{seconds}.{nanos:09}");
        }
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (-1, -1)] {
            assert_eq!(key(seconds, nanos), None, "{seconds} {nanos}");
        }
    }

    #[test]
    fn violations_name_the_fields() {
        let limits =
            FlowLimits { max_age: Duration::from_hours(90 * 24), max_ahead: Duration::from_hours(1) };
        let now = Timestamp::from_micros(1_700_000_000_000_000);
        let found = |request: FlowRequest<'_>| {
            let mut violations = Vec::new();
            limits.check(&request, request.timestamp.unwrap_or(now), now, &mut violations);
            violations.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let right = FlowRequest { flow_id: "f", count: Some(MAX_COUNT), ..FlowRequest::default() };
        assert_eq!(found(right), Vec::<String>::new());
        let old = Timestamp::from_micros(1_600_000_000_000_000);
        let wrong = FlowRequest { flow_id: "a\n", timestamp: Some(old), count: Some(0), ..right };
        assert_eq!(
            found(wrong),
            [
                "flow_id: expected 1 to 128 bytes without control characters",
                "timestamp: too old: expected 2023-08-16T22:13:20Z or later, found 2020-09-13T12:26:40Z",
                "count: expected 1 to 100000000, found 0",
            ]
        );
    }
}
