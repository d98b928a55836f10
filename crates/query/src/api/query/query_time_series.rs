//! `QueryTimeSeries`: a metric in the buckets of a calendar.

use flowmeter_contract::names::{MetricName, TimeSeriesName};
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::{QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::assets::{AssetSeriesQuery, ReadableMetric, read_asset_series};
use flowmeter_store::catalog::metrics::is_in_use;
use flowmeter_store::catalog::time_series::NewTimeSeries;
use flowmeter_store::rollups::{SeriesQuery, read_series};
use tonic::metadata::MetadataMap;

use super::QueryApi;
use crate::answer::series as answer;
use crate::plan::bucket_grid::BucketGrid;
use crate::plan::query_plan::QueryPlan;
use crate::resolve::{self, EventMetric};
use crate::spec::asset_query::reading;
use crate::spec::clock::RequestClock;
use crate::spec::query::{QuerySpec, Subject};
use flowmeter_contract::enums::{observed_to_proto, reading_to_proto};

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &QueryTimeSeriesRequest,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let clock = RequestClock::start(api.max_event_ahead);
    let stored = stored_series(api, tenant, request).await?;
    let metric = match &stored {
        Some(series) => MetricName { provider: series.provider.clone(), name: series.metric.clone() },
        None => MetricName::parse("metric", &request.metric)?,
    };
    let subject = if metric.is_of_assets() { Subject::Assets } else { Subject::Events };
    let spec = QuerySpec::of_time_series(request, subject, stored.as_ref())?;
    let calendar = resolve::calendar_of(&api.store, tenant, &spec).await?;
    let cut = || BucketGrid::new(&spec, calendar, clock, api.max_points);
    let wait = api.wait_until_applied(tenant, &request.after_request_id, deadline);
    // Everything that is wrong with the request is reported before the wait.
    match subject {
        Subject::Events => {
            let mut found = resolve::event_metric(&api.store, tenant, &metric).await?;
            let grid = tokio::task::block_in_place(cut)?;
            if wait.await? {
                // The tenant can have changed the metric during the wait.
                found = resolve::event_metric(&api.store, tenant, &metric).await?;
            }
            answer_from_events(api, tenant, (&metric, found), &spec, &grid).await
        }
        Subject::Assets => {
            let grid = tokio::task::block_in_place(cut)?;
            wait.await?;
            // Only after the wait: the awaited request can bring the first value of the metric.
            let found = resolve::asset_metric(&api.store, tenant, &metric).await?;
            answer_from_assets(api, tenant, (&metric, found), &spec, &grid).await
        }
    }
}

/// The stored time series that the request names, if it names one.
async fn stored_series(
    api: &QueryApi,
    tenant: TenantId,
    request: &QueryTimeSeriesRequest,
) -> Result<Option<NewTimeSeries>, ApiError> {
    if request.time_series.is_empty() {
        return Ok(None);
    }
    if !request.metric.is_empty() {
        let text = "expected either a metric or a time_series";
        return Err(ApiError::field(Reason::InvalidField, "metric", text));
    }
    let name = TimeSeriesName::parse("time_series", &request.time_series)?;
    let stored = resolve::time_series(&api.store, tenant, &name).await?;
    Ok(Some(stored.series))
}

/// Answers from events and their roll-ups.
async fn answer_from_events(
    api: &QueryApi,
    tenant: TenantId,
    (name, mut metric): (&MetricName, EventMetric),
    spec: &QuerySpec,
    grid: &BucketGrid,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    loop {
        let definition = &*metric.definition;
        let substitute = resolve::substitute_metric(&api.store, tenant, definition, &spec.fields()).await?;
        let read_from = substitute.as_ref().unwrap_or(&metric);
        let source = (&*read_from.definition, read_from.rolled_up_to);
        let plan = QueryPlan::new(spec, grid, source, definition.default_observed);
        let fresh_through = api.fresh_through().await?;
        let series = read(api, tenant, &plan).await?;
        // Roll-ups that were dropped in the meantime can lack newer events, so the metric is read again.
        let generation = read_from.definition.generation;
        if generation == 0 || is_in_use(&api.store, tenant, generation).await? {
            let metric = answer::Metric {
                name: definition.full_name.clone(),
                observed: observed_to_proto(plan.observed),
                unit: definition.unit.clone(),
            };
            return Ok(answer::time_series(metric, grid, series, fresh_through));
        }
        metric = resolve::event_metric(&api.store, tenant, name).await?;
    }
}

/// Answers from the stored values of assets.
async fn answer_from_assets(
    api: &QueryApi,
    tenant: TenantId,
    (name, metric): (&MetricName, ReadableMetric),
    spec: &QuerySpec,
    grid: &BucketGrid,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    let reading = reading(spec.observed, metric.readable)?;
    let fresh_through = api.fresh_through().await?;
    let question = AssetSeriesQuery {
        tenant,
        name: &metric.name,
        reading,
        filter: &spec.filter,
        by_asset: !spec.group_by.is_empty(),
        range: grid.range,
        bucket_starts: &grid.starts,
        max_points: api.max_points,
    };
    let admitted = api.tenant_limiter.admit(tenant).await?;
    let found = read_asset_series(&api.store, &question).await;
    drop(admitted);
    let series = answer::series(found, spec, grid, api.max_points)?;
    let metric = answer::Metric {
        name: name.full(),
        observed: reading_to_proto(reading),
        unit: reading.unit().to_owned(),
    };
    Ok(answer::time_series(metric, grid, series, fresh_through))
}

/// Reads the series of a plan.
pub(super) async fn read(
    api: &QueryApi,
    tenant: TenantId,
    plan: &QueryPlan<'_>,
) -> Result<Vec<Series>, ApiError> {
    let question = SeriesQuery {
        tenant,
        definition: plan.definition,
        observed: plan.observed,
        filter: &plan.spec.filter,
        group_by: &plan.spec.group_by,
        label_set: plan.label_set,
        pieces: &plan.pieces,
        bucket_starts: &plan.grid.starts,
        max_points: api.max_points,
    };
    let _admitted = api.tenant_limiter.admit(tenant).await?;
    let found = read_series(&api.store, &question).await;
    answer::series(found, plan.spec, plan.grid, api.max_points)
}
