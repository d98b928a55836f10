//! `QueryExecutions`: the API calls of executions, by their labels and time.

use flowmeter_contract::time::to_proto;
use flowmeter_core::execution::{METRIC, PROVIDER};
use flowmeter_core::metric::Catalog;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{QueryExecutionsRequest, QueryExecutionsResponse};
use flowmeter_service::error::ApiError;
use tonic::metadata::MetadataMap;

use super::{QueryApi, query_time_series};
use crate::answer::executions;
use crate::plan::bucket_grid::BucketGrid;
use crate::plan::query_plan::QueryPlan;
use crate::resolve;
use crate::spec::clock::RequestClock;
use crate::spec::query::QuerySpec;

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &QueryExecutionsRequest,
) -> Result<QueryExecutionsResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let clock = RequestClock::start(api.max_event_ahead);
    let spec = QuerySpec::of_executions(request)?;
    let calendar = resolve::calendar_of(&api.store, tenant, &spec).await?;
    let is_total = calendar.is_none();
    let grid = tokio::task::block_in_place(|| BucketGrid::new(&spec, calendar, clock, api.max_points))?;
    let definition =
        Catalog::built_in().metric(&format!("{PROVIDER}/{METRIC}")).expect("the metric is built in");
    // A built-in metric is rolled up from its first event.
    let plan = QueryPlan::new(&spec, &grid, (definition, Timestamp::END), definition.default_observed);
    api.wait_until_applied(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = api.fresh_through().await?;
    let series = query_time_series::read(api, tenant, &plan).await?;
    Ok(QueryExecutionsResponse {
        series: executions::to_proto(series, is_total),
        start_time: Some(to_proto(grid.range.start)),
        end_time: Some(to_proto(grid.range.end)),
        calendar: if is_total { String::new() } else { grid.calendar.to_string() },
        time_zone: grid.zone_name(),
        fresh_through,
    })
}
