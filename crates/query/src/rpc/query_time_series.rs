//! `QueryTimeSeries`: a metric by the buckets of a calendar.

use std::collections::HashMap;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::TenantId;
use flowmeter_core::metric::Definition;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_proto::v1::{Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_service::names::{MetricName, TimeSeriesName};
use flowmeter_service::time::to_proto;
use flowmeter_store::catalog::metrics::is_in_use;
use flowmeter_store::catalog::time_series::StoredTimeSeries;
use flowmeter_store::rollups::{LabelledPoints, ReadError, SeriesQuestion, read_series};
use tonic::metadata::MetadataMap;

use super::Query;
use crate::lookup;
use crate::question::enums::observed_to_proto;
use crate::question::{self, Asked, DEFAULT_CALENDAR, Fill, Question, Wording};

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &QueryTimeSeriesRequest,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let mut wording = question::read(request)?;
    let name = match stored(query, tenant, request).await? {
        Some(stored) => refer(&mut wording, &stored)?,
        None => Referred { metric: MetricName::parse("metric", &request.metric)?, calendar: String::new() },
    };
    let code = [&request.calendar, &name.calendar].into_iter().find(|code| !code.is_empty());
    let code = code.map_or(DEFAULT_CALENDAR, String::as_str);
    let calendar = lookup::calendar(&query.store, tenant, code).await?;
    let mut waited = request.after_request_id.is_empty();
    loop {
        let metric = lookup::metric(&query.store, tenant, &name.metric).await?;
        let alike = lookup::alike(&query.store, tenant, &metric.definition, &wording.fields()).await?;
        let read_from = alike.as_ref().unwrap_or(&metric);
        let mut wording = wording.clone();
        wording.observed.get_or_insert(metric.definition.default_observed);
        let question = tokio::task::block_in_place(|| {
            let read_from = (&*read_from.definition, read_from.rolled_up_to);
            question::plan(wording, read_from, calendar.clone(), asked, query.max_points)
        })?;
        if !waited {
            // What is wrong was said at once; a definition can change while we wait.
            query.after(tenant, &request.after_request_id, deadline).await?;
            waited = true;
            continue;
        }
        let fresh_through = query.fresh_through().await?.map(to_proto);
        let series = read(query, tenant, &question).await?;
        // Roll-ups that were let go of meanwhile may lack what came since.
        let generation = read_from.definition.generation;
        if generation == 0 || is_in_use(&query.store, tenant, generation).await? {
            return Ok(answer(&metric.definition, &question, series, fresh_through));
        }
    }
}

fn answer(
    metric: &Definition,
    question: &Question<'_>,
    series: Vec<Series>,
    fresh_through: Option<prost_types::Timestamp>,
) -> QueryTimeSeriesResponse {
    QueryTimeSeriesResponse {
        metric: metric.full_name.clone(),
        calendar: question.calendar.to_string(),
        observed: observed_to_proto(question.observed).into(),
        unit: metric.unit.clone(),
        start_time: Some(to_proto(question.range.start)),
        end_time: Some(to_proto(question.range.end)),
        series,
        fresh_through,
        time_zone: question.calendar.zone().iana_name().unwrap_or("UTC").to_owned(),
    }
}

/// The stored time series that the request names, if it names one.
async fn stored(
    query: &Query,
    tenant: TenantId,
    request: &QueryTimeSeriesRequest,
) -> Result<Option<StoredTimeSeries>, ApiError> {
    if request.time_series.is_empty() {
        return Ok(None);
    }
    if !request.metric.is_empty() {
        let text = "expected either a metric or a time_series";
        return Err(ApiError::field(Reason::InvalidField, "metric", text));
    }
    let name = TimeSeriesName::parse("time_series", &request.time_series)?;
    lookup::time_series(&query.store, tenant, &name).await.map(Some)
}

/// What a stored time series says that the question leaves open.
struct Referred {
    metric: MetricName,
    calendar: String,
}

/// Fills in what a stored time series says where the question says nothing, and narrows the
/// question by its filter.
fn refer(wording: &mut Wording, stored: &StoredTimeSeries) -> Result<Referred, ApiError> {
    let series = &stored.series;
    if wording.zone.is_none() {
        wording.zone = question::time_zone(&series.time_zone)?;
    }
    wording.observed = wording.observed.or(series.observed);
    let narrowing = std::mem::take(&mut wording.filter);
    wording.filter = Filter::and(question::filter(&series.filter)?, narrowing);
    let metric = MetricName { provider: series.provider.clone(), name: series.metric.clone() };
    Ok(Referred { metric, calendar: series.calendar.clone() })
}

/// Reads the series, and fills their gaps.
pub(super) async fn read(
    query: &Query,
    tenant: TenantId,
    question: &Question<'_>,
) -> Result<Vec<Series>, ApiError> {
    let asked = SeriesQuestion {
        tenant,
        definition: question.definition,
        observed: question.observed,
        filter: &question.filter,
        group_by: &question.group_by,
        label_set: question.label_set,
        pieces: &question.pieces,
        bucket_starts: &question.bucket_starts,
        max_points: query.max_points,
    };
    let _turn = query.turns.take(tenant).await?;
    let mut found = read_series(&query.store, &asked).await.map_err(|error| match error {
        ReadError::Store(error) => error.into(),
        ReadError::TooManyPoints { asked } => too_many(asked.unsigned_abs(), query.max_points),
    })?;
    if found.is_empty() && question.group_by.is_empty() {
        found.push(LabelledPoints { labels: Vec::new(), points: Vec::new() });
    }
    if question.fill != Fill::None {
        let points = found.len() as u64 * question.bucket_starts.len() as u64;
        if points > query.max_points {
            return Err(too_many(points, query.max_points));
        }
    }
    Ok(found.into_iter().map(|series| to_contract(series, question)).collect())
}

fn too_many(points: u64, limit: u64) -> ApiError {
    let text = format!(
        "the answer has {points} points, at most {limit} are allowed: take a coarser calendar, a shorter range, \
         a narrower filter or fewer labels"
    );
    ApiError::field(Reason::InvalidRange, "range", text)
}

fn to_contract(series: LabelledPoints, question: &Question<'_>) -> Series {
    let names = question.group_by.iter().map(|label: &Field| label.name().to_owned());
    let labels: HashMap<String, String> = names.zip(series.labels).collect();
    let at = |bucket: usize| Some(to_proto(question.bucket_starts[bucket]));
    let found = series.points.into_iter();
    if question.fill == Fill::None {
        let points = found.map(|point| Point {
            timestamp: at(point.bucket),
            value: Some(point.value),
            count: point.count,
        });
        return Series { labels, points: points.collect() };
    }
    let absent = match question.fill {
        Fill::Zero => Some("0".to_owned()),
        Fill::Null | Fill::None => None,
    };
    let empty = |bucket| Point { timestamp: at(bucket), value: absent.clone(), count: 0 };
    let mut points: Vec<Point> = (0..question.bucket_starts.len()).map(empty).collect();
    for point in found {
        let slot = &mut points[point.bucket];
        (slot.value, slot.count) = (Some(point.value), point.count);
    }
    Series { labels, points }
}
