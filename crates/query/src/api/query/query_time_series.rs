//! `QueryTimeSeries`: a metric by the buckets of a calendar.

mod asset;

use flowmeter_contract::names::{MetricName, TimeSeriesName};
use flowmeter_contract::time::to_proto;
use flowmeter_core::asset::Reading;
use flowmeter_core::calendar::Calendar;
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{QueryTimeSeriesRequest, QueryTimeSeriesResponse, Series};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::metrics::is_in_use;
use flowmeter_store::catalog::time_series::{NewTimeSeries, StoredTimeSeries};
use flowmeter_store::rollups::{SeriesQuestion, read_series};
use tokio::time::Instant;
use tonic::metadata::MetadataMap;

use super::Query;
use crate::resolve;
use crate::spec::{self, Asked, DEFAULT_CALENDAR, Question, Wording};
use flowmeter_contract::enums::observed_to_proto;

use crate::answer::series::{self as answer, Answered};

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &QueryTimeSeriesRequest,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let stored = stored(query, tenant, request).await?.map(|stored| stored.series);
    let metric = match &stored {
        Some(series) => MetricName { provider: series.provider.clone(), name: series.metric.clone() },
        None => MetricName::parse("metric", &request.metric)?,
    };
    let call = Call { query, tenant, deadline, asked, request, stored, metric };
    if call.metric.is_of_assets() { asset::answer(&call).await } else { answer(&call).await }
}

/// A request, and what it names.
struct Call<'a> {
    query: &'a Query,
    tenant: TenantId,
    /// Until when the answer may wait.
    deadline: Instant,
    asked: Asked,
    request: &'a QueryTimeSeriesRequest,
    /// The stored time series that it reads, if it reads one.
    stored: Option<NewTimeSeries>,
    metric: MetricName,
}

impl Call<'_> {
    /// The calendar that the request names, or else the stored time series.
    async fn calendar(&self) -> Result<Calendar, ApiError> {
        let stored = self.stored.as_ref().map(|series| &series.calendar);
        let code = std::iter::once(&self.request.calendar).chain(stored).find(|code| !code.is_empty());
        let code = code.map_or(DEFAULT_CALENDAR, String::as_str);
        resolve::calendar(&self.query.store, self.tenant, code).await
    }

    /// Waits until the caller's own request is applied.
    async fn wait(&self) -> Result<(), ApiError> {
        self.query.after(self.tenant, &self.request.after_request_id, self.deadline).await
    }
}

/// Answers from events and their roll-ups.
async fn answer(call: &Call<'_>) -> Result<QueryTimeSeriesResponse, ApiError> {
    let &Call { query, tenant, asked, .. } = call;
    let mut wording = spec::read(call.request)?;
    if let Some(series) = &call.stored {
        let filter = spec::filter(&series.filter)?;
        // Others are refused before they are stored.
        let observed = series.observed.and_then(Reading::of_numbers);
        refer(&mut wording, series, filter, observed)?;
    }
    let calendar = call.calendar().await?;
    let mut waited = call.request.after_request_id.is_empty();
    loop {
        let metric = resolve::metric(&query.store, tenant, &call.metric).await?;
        let alike = resolve::alike(&query.store, tenant, &metric.definition, &wording.fields()).await?;
        let read_from = alike.as_ref().unwrap_or(&metric);
        let mut wording = wording.clone();
        wording.observed.get_or_insert(metric.definition.default_observed);
        let question = tokio::task::block_in_place(|| {
            let read_from = (&*read_from.definition, read_from.rolled_up_to);
            spec::plan(wording, read_from, calendar.clone(), asked, query.max_points)
        })?;
        if !waited {
            // What is wrong was said at once; a definition can change while we wait.
            call.wait().await?;
            waited = true;
            continue;
        }
        let fresh_through = query.fresh_through().await?.map(to_proto);
        let series = read(query, tenant, &question).await?;
        // Roll-ups that were let go of meanwhile may lack what came since.
        let generation = read_from.definition.generation;
        if generation == 0 || is_in_use(&query.store, tenant, generation).await? {
            let answered = Answered {
                metric: metric.definition.full_name.clone(),
                observed: observed_to_proto(question.observed),
                unit: metric.definition.unit.clone(),
                series,
                fresh_through,
            };
            return Ok(answered.within(&question.frame));
        }
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
    resolve::time_series(&query.store, tenant, &name).await.map(Some)
}

/// Fills in what a stored time series says where the question says nothing, and narrows the
/// question by its filter.
fn refer<O>(
    wording: &mut Wording<O>,
    series: &NewTimeSeries,
    filter: Filter,
    observed: Option<O>,
) -> Result<(), ApiError> {
    if wording.zone.is_none() {
        wording.zone = spec::time_zone(&series.time_zone)?;
    }
    wording.observed = wording.observed.take().or(observed);
    let narrowing = std::mem::take(&mut wording.filter);
    wording.filter = filter.and(narrowing);
    Ok(())
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
        group_by: &question.frame.group_by,
        label_set: question.label_set,
        pieces: &question.pieces,
        bucket_starts: &question.frame.bucket_starts,
        max_points: query.max_points,
    };
    let _turn = query.turns.take(tenant).await?;
    let found = read_series(&query.store, &asked).await;
    answer::series(found, &question.frame, query.max_points)
}
