//! The catalog service: one metric, one calendar, two time series of each object, and any number of flows.

use std::collections::HashMap;

use flowmeter_proto::v1::{self as api, backfill::State, catalog_service_server::CatalogService};
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{Answer, Service, not_found, unimplemented};

/// Rejects a version that is not the current one.
fn check(given: i32, current: i32) -> Result<(), Status> {
    if given == 0 || given == current {
        return Ok(());
    }
    let metadata = HashMap::from([("current".into(), current.to_string())]);
    let details = ErrorDetails::with_error_info("VERSION_MISMATCH", "flowmeter", metadata);
    Err(Status::with_error_details(Code::Aborted, "it is at another version", details))
}

#[tonic::async_trait]
impl CatalogService for Service {
    async fn get_metric(&self, request: Request<api::GetMetricRequest>) -> Answer<api::GetMetricResponse> {
        let mut contents = self.0.contents();
        let request = request.into_inner();
        let name = request.name;
        if name != contents.metric.name {
            return Err(not_found("metric", &name));
        }
        if request.version > 0 {
            let metadata = [("version".into(), request.version.to_string())];
            let mut details = ErrorDetails::with_error_info("NOT_FOUND", "flowmeter", metadata);
            details.set_resource_info("metric", name, "", "");
            return Err(Status::with_error_details(Code::NotFound, "not in this version", details));
        }
        let mut metric = contents.metric.clone();
        let state = if contents.backfill_calls > 0 { State::Running } else { State::Done };
        contents.backfill_calls = contents.backfill_calls.saturating_sub(1);
        metric.backfill =
            Some(api::Backfill { state: state.into(), event_count: 5000, ..api::Backfill::default() });
        Ok(Response::new(api::GetMetricResponse { metric: Some(metric) }))
    }

    async fn create_metric(
        &self,
        request: Request<api::CreateMetricRequest>,
    ) -> Answer<api::CreateMetricResponse> {
        let mut metric = request.into_inner().metric.unwrap();
        metric.version = 1;
        metric.backfill = Some(api::Backfill { state: State::Pending.into(), ..api::Backfill::default() });
        self.0.contents().metric = metric.clone();
        Ok(Response::new(api::CreateMetricResponse { metric: Some(metric) }))
    }

    async fn update_metric(
        &self,
        request: Request<api::UpdateMetricRequest>,
    ) -> Answer<api::UpdateMetricResponse> {
        let request = request.into_inner();
        let mut metric = request.metric.unwrap();
        let mut contents = self.0.contents();
        check(metric.version, contents.metric.version)?;
        contents.masks.push(request.update_mask.unwrap().paths);
        metric.version = contents.metric.version + 1;
        contents.metric = metric.clone();
        Ok(Response::new(api::UpdateMetricResponse { metric: Some(metric) }))
    }

    async fn delete_metric(
        &self,
        request: Request<api::DeleteMetricRequest>,
    ) -> Answer<api::DeleteMetricResponse> {
        let request = request.into_inner();
        let mut contents = self.0.contents();
        if !contents.metric.name.is_empty() && request.name != contents.metric.name {
            return Err(not_found("metric", &request.name));
        }
        check(request.version, contents.metric.version)?;
        contents.deleted.push(request.name);
        Ok(Response::new(api::DeleteMetricResponse {}))
    }

    async fn get_calendar(&self, _: Request<api::GetCalendarRequest>) -> Answer<api::GetCalendarResponse> {
        let calendar = self.0.contents().calendar.clone();
        Ok(Response::new(api::GetCalendarResponse { calendar: Some(calendar) }))
    }

    async fn create_calendar(
        &self,
        request: Request<api::CreateCalendarRequest>,
    ) -> Answer<api::CreateCalendarResponse> {
        let mut calendar = request.into_inner().calendar.unwrap();
        calendar.version = 1;
        self.0.contents().calendar = calendar.clone();
        Ok(Response::new(api::CreateCalendarResponse { calendar: Some(calendar) }))
    }

    async fn update_calendar(
        &self,
        request: Request<api::UpdateCalendarRequest>,
    ) -> Answer<api::UpdateCalendarResponse> {
        let request = request.into_inner();
        let mut calendar = request.calendar.unwrap();
        let mut contents = self.0.contents();
        check(calendar.version, contents.calendar.version)?;
        contents.masks.push(request.update_mask.unwrap().paths);
        calendar.version = contents.calendar.version + 1;
        contents.calendar = calendar.clone();
        Ok(Response::new(api::UpdateCalendarResponse { calendar: Some(calendar) }))
    }

    /// Two pages of one time series each.
    async fn list_time_series(
        &self,
        request: Request<api::ListTimeSeriesRequest>,
    ) -> Answer<api::ListTimeSeriesResponse> {
        let request = request.into_inner();
        let (id, next) = if request.page_token.is_empty() { ("X", "next") } else { ("Y", "") };
        let parent = if request.parent.is_empty() { "objects/AAA" } else { &request.parent };
        let name = format!("{parent}/timeSeries/{id}");
        let series =
            api::TimeSeries { name, provider: "P".into(), metric: "m".into(), ..api::TimeSeries::default() };
        Ok(Response::new(api::ListTimeSeriesResponse {
            time_series: vec![series],
            next_page_token: next.into(),
        }))
    }

    /// Pages of two flows each.
    async fn list_flows(&self, request: Request<api::ListFlowsRequest>) -> Answer<api::ListFlowsResponse> {
        let after = request.into_inner().page_token;
        let contents = self.0.contents();
        let mut flows: Vec<_> = contents.flows.values().filter(|flow| flow.id > after).cloned().collect();
        let has_more = flows.len() > 2;
        flows.truncate(2);
        let last = flows.last().map(|flow| flow.id.clone()).unwrap_or_default();
        let next_page_token = if has_more { last } else { String::new() };
        Ok(Response::new(api::ListFlowsResponse { flows, next_page_token }))
    }

    async fn get_flow(&self, request: Request<api::GetFlowRequest>) -> Answer<api::GetFlowResponse> {
        let id = request.into_inner().id;
        let flow = self.0.contents().flows.get(&id).cloned();
        let flow = Some(flow.ok_or_else(|| not_found("flow", &id))?);
        Ok(Response::new(api::GetFlowResponse { flow }))
    }

    async fn create_flow(&self, request: Request<api::CreateFlowRequest>) -> Answer<api::CreateFlowResponse> {
        let flow = api::Flow { version: 1, ..request.into_inner().flow.unwrap() };
        self.0.contents().flows.insert(flow.id.clone(), flow.clone());
        Ok(Response::new(api::CreateFlowResponse { flow: Some(flow) }))
    }

    async fn update_flow(&self, request: Request<api::UpdateFlowRequest>) -> Answer<api::UpdateFlowResponse> {
        let request = request.into_inner();
        let given = request.flow.unwrap();
        let mut contents = self.0.contents();
        let flow = contents.flows.get_mut(&given.id).ok_or_else(|| not_found("flow", &given.id))?;
        check(given.version, flow.version)?;
        let paths = request.update_mask.unwrap().paths;
        for path in &paths {
            match path.as_str() {
                "name" => flow.name.clone_from(&given.name),
                "endpoint_url" => flow.endpoint_url.clone_from(&given.endpoint_url),
                "data_api_version" => flow.data_api_version.clone_from(&given.data_api_version),
                "time_zone" => flow.time_zone.clone_from(&given.time_zone),
                "check_interval" => flow.check_interval = given.check_interval,
                other => return Err(Status::invalid_argument(format!("update_mask: {other}"))),
            }
        }
        flow.version += 1;
        let flow = flow.clone();
        contents.masks.push(paths);
        Ok(Response::new(api::UpdateFlowResponse { flow: Some(flow) }))
    }

    async fn delete_flow(&self, request: Request<api::DeleteFlowRequest>) -> Answer<api::DeleteFlowResponse> {
        let request = request.into_inner();
        let mut contents = self.0.contents();
        let current = contents.flows.get(&request.id).map(|flow| flow.version);
        check(request.version, current.ok_or_else(|| not_found("flow", &request.id))?)?;
        contents.flows.remove(&request.id);
        Ok(Response::new(api::DeleteFlowResponse {}))
    }

    async fn list_providers(
        &self,
        _: Request<api::ListProvidersRequest>,
    ) -> Answer<api::ListProvidersResponse> {
        unimplemented()
    }

    async fn list_metrics(
        &self,
        request: Request<api::ListMetricsRequest>,
    ) -> Answer<api::ListMetricsResponse> {
        let request = request.into_inner();
        if request.provider == "asset" {
            return Ok(Response::new(self.0.contents().assets.list_metrics(&request)));
        }
        let metrics = vec![self.0.contents().metric.clone()];
        Ok(Response::new(api::ListMetricsResponse { metrics, ..api::ListMetricsResponse::default() }))
    }

    async fn list_calendars(
        &self,
        _: Request<api::ListCalendarsRequest>,
    ) -> Answer<api::ListCalendarsResponse> {
        unimplemented()
    }

    async fn delete_calendar(
        &self,
        request: Request<api::DeleteCalendarRequest>,
    ) -> Answer<api::DeleteCalendarResponse> {
        Err(not_found("calendar", &request.into_inner().code))
    }

    /// Each object has the time series X.
    async fn get_time_series(
        &self,
        request: Request<api::GetTimeSeriesRequest>,
    ) -> Answer<api::GetTimeSeriesResponse> {
        let name = request.into_inner().name;
        if !name.ends_with("/timeSeries/X") {
            return Err(not_found("time series", &name));
        }
        let time_series = Some(api::TimeSeries { name, ..api::TimeSeries::default() });
        Ok(Response::new(api::GetTimeSeriesResponse { time_series }))
    }

    async fn create_time_series(
        &self,
        _: Request<api::CreateTimeSeriesRequest>,
    ) -> Answer<api::CreateTimeSeriesResponse> {
        unimplemented()
    }

    async fn update_time_series(
        &self,
        _: Request<api::UpdateTimeSeriesRequest>,
    ) -> Answer<api::UpdateTimeSeriesResponse> {
        unimplemented()
    }

    async fn delete_time_series(
        &self,
        _: Request<api::DeleteTimeSeriesRequest>,
    ) -> Answer<api::DeleteTimeSeriesResponse> {
        unimplemented()
    }
}
