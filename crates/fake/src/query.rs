//! The query service: answers with recorded requests, and with the [`Contents`](crate::Contents) of the test.

use std::collections::{BTreeMap, HashMap, HashSet};

use flowmeter_proto::v1::{self as api, get_receipt_response::State, query_service_server::QueryService};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Answer, Service, not_found, unimplemented};

#[tonic::async_trait]
impl QueryService for Service {
    async fn list_asset_metrics(
        &self,
        request: Request<api::ListAssetMetricsRequest>,
    ) -> Answer<api::ListAssetMetricsResponse> {
        self.0.contents().assets.list_documents(request.into_inner()).map(Response::new)
    }

    async fn get_latest_asset_metrics(
        &self,
        request: Request<api::GetLatestAssetMetricsRequest>,
    ) -> Answer<api::GetLatestAssetMetricsResponse> {
        self.0.contents().assets.list_latest(&request.into_inner()).map(Response::new)
    }

    async fn list_assets(&self, request: Request<api::ListAssetsRequest>) -> Answer<api::ListAssetsResponse> {
        Ok(Response::new(self.0.contents().assets.list(&request.into_inner())))
    }

    async fn get_flow_metric(
        &self,
        request: Request<api::GetFlowMetricRequest>,
    ) -> Answer<api::GetFlowMetricResponse> {
        let request = request.into_inner();
        let mut contents = self.0.contents();
        contents.flow_metric_requests.push(request.clone());
        if contents.is_denied {
            return Err(Status::permission_denied("the token has no scope query"));
        }
        if let Some(have) = contents.too_few {
            let metadata = HashMap::from([("have".into(), have.to_string()), ("need".into(), "250".into())]);
            let details = ErrorDetails::with_error_info("NOT_ENOUGH_DATA", "flowmeter", metadata);
            let message = format!("the flow has had {have} requests, and its metrics need 250");
            return Err(Status::with_error_details(Code::FailedPrecondition, message, details));
        }
        // A deleted flow still has its data points.
        let time_zone = match contents.flows.get(&request.flow_id) {
            Some(flow) => flow.time_zone.clone(),
            None if contents.flow_points.is_empty() => return Err(not_found("flow", &request.flow_id)),
            None => "Asia/Kolkata".into(),
        };
        let metric = api::FlowMetric {
            granularity: request.granularity.to_uppercase(),
            data_points: contents.flow_points.get(request.name.as_str()).cloned().unwrap_or_default(),
            name: request.name,
        };
        Ok(Response::new(api::GetFlowMetricResponse {
            id: request.flow_id,
            metric: Some(metric),
            fresh_through: Some(prost_types::Timestamp { seconds: 1_706_608_800, nanos: 0 }),
            time_zone,
        }))
    }

    async fn query_executions(
        &self,
        request: Request<api::QueryExecutionsRequest>,
    ) -> Answer<api::QueryExecutionsResponse> {
        let request = request.into_inner();
        let mut contents = self.0.contents();
        let response = api::QueryExecutionsResponse {
            calendar: request.calendar.clone(),
            ..contents.execution_calls.clone()
        };
        contents.execution_queries.push(request);
        Ok(Response::new(response))
    }

    /// The receipt of a recorded request. An event whose id an earlier request had is a duplicate.
    async fn get_receipt(&self, request: Request<api::GetReceiptRequest>) -> Answer<api::GetReceiptResponse> {
        self.0.authorize(request.metadata())?;
        let request_id = request.into_inner().request_id;
        let mut known = HashSet::new();
        for (id, events) in self.0.accepted_events() {
            let new = events.iter().filter(|event| known.insert(event.event_id.clone())).count();
            if id == request_id {
                return Ok(Response::new(api::GetReceiptResponse {
                    request_id,
                    state: State::Applied.into(),
                    accepted_count: i32::try_from(new).unwrap(),
                    duplicate_count: i32::try_from(events.len() - new).unwrap(),
                    ..api::GetReceiptResponse::default()
                }));
            }
        }
        let state = State::Pending.into();
        Ok(Response::new(api::GetReceiptResponse { request_id, state, ..api::GetReceiptResponse::default() }))
    }

    /// The number of accepted events in each hour, for every metric. While there are none, there is no
    /// metric.
    async fn query_time_series(
        &self,
        request: Request<api::QueryTimeSeriesRequest>,
    ) -> Answer<api::QueryTimeSeriesResponse> {
        self.0.authorize(request.metadata())?;
        let metric = request.into_inner().metric;
        let mut hours: BTreeMap<i64, i64> = BTreeMap::new();
        for event in self.0.accepted_events().iter().flat_map(|(_, events)| events) {
            let second = event.timestamp.as_ref().unwrap().seconds;
            *hours.entry(second - second.rem_euclid(3600)).or_default() += 1;
        }
        if hours.is_empty() {
            return Err(not_found("metric", &metric));
        }
        let point = |(seconds, count): (i64, i64)| api::Point {
            timestamp: Some(prost_types::Timestamp { seconds, nanos: 0 }),
            value: Some(count.to_string()),
            count,
        };
        let points = hours.into_iter().map(point).collect();
        Ok(Response::new(api::QueryTimeSeriesResponse {
            metric,
            calendar: "#PT1H".into(),
            observed: api::Observed::Summed.into(),
            unit: "1".into(),
            series: vec![api::Series { points, ..api::Series::default() }],
            ..api::QueryTimeSeriesResponse::default()
        }))
    }

    /// The features that the test set.
    async fn get_build_info(
        &self,
        _: Request<api::GetBuildInfoRequest>,
    ) -> Answer<api::GetBuildInfoResponse> {
        *self.0.build_info_calls.lock().unwrap() += 1;
        let features = self.0.features.lock().unwrap().clone();
        Ok(Response::new(api::GetBuildInfoResponse { features, ..api::GetBuildInfoResponse::default() }))
    }

    async fn get_usage_event(
        &self,
        _: Request<api::GetUsageEventRequest>,
    ) -> Answer<api::GetUsageEventResponse> {
        unimplemented()
    }

    async fn list_usage_events(
        &self,
        _: Request<api::ListUsageEventsRequest>,
    ) -> Answer<api::ListUsageEventsResponse> {
        unimplemented()
    }

    async fn list_field_values(
        &self,
        _: Request<api::ListFieldValuesRequest>,
    ) -> Answer<api::ListFieldValuesResponse> {
        unimplemented()
    }
}
