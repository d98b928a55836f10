//! A summary of a flow's metrics, in two lines below its definition. A metric that cannot be read is left
//! out.

use std::time::Duration;

use anyhow::Result;
use flowmeter_proto::v1::{Flow, GetFlowMetricRequest, GetFlowMetricResponse};

use super::metric::ask;
use crate::{
    arguments::Remote,
    failure,
    render::{flow, text::grouped},
    suggestion,
    words::flow::{FlowMetric, Granularity},
};

/// The maximum time that the summary can take, because the user did not ask for it.
const PATIENCE: Duration = Duration::from_secs(3);

/// Lines that summarize the whole history of a flow.
pub(super) async fn of(flow: &Flow, remote: &Remote) -> Vec<(&'static str, String)> {
    let remote = Remote { timeout: remote.timeout.min(PATIENCE), ..remote.clone() };
    let remote = &remote;
    let lifetime = |metric: FlowMetric| async move {
        let request = GetFlowMetricRequest {
            flow_id: flow.id.clone(),
            name: metric.name().into(),
            granularity: Granularity::Lifetime.name().into(),
            ..GetFlowMetricRequest::default()
        };
        ask(request, remote).await
    };
    let (requests, errors, checks) = tokio::join!(
        lifetime(FlowMetric::Requests),
        lifetime(FlowMetric::Errors),
        lifetime(FlowMetric::Availability)
    );
    let availability = checks.ok().and_then(|answer| flow::availability_in_words(&answer));
    let pairs = [("requests", requests_in_words(requests, errors)), ("available", availability)];
    pairs.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

fn requests_in_words(
    requests: Result<GetFlowMetricResponse>,
    errors: Result<GetFlowMetricResponse>,
) -> Option<String> {
    match requests {
        Ok(requests) => flow::requests_in_words(&requests, &errors.ok()?),
        Err(error) => {
            let (have, need) = suggestion::shortage(failure::status(&error)?)?;
            Some(format!("{}; metrics need {}", grouped(have), grouped(need)))
        }
    }
}
