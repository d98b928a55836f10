//! `QueryExecutions`: the API calls of executions, by their labels and time.

use flowmeter_contract::time::to_proto;
use flowmeter_core::execution::{LABELS, METRIC, PROVIDER};
use flowmeter_core::metric::Catalog;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_proto::v1::{
    ExecutionPoint, ExecutionSeries, Point, QueryExecutionsRequest, QueryExecutionsResponse,
    QueryTimeSeriesRequest, Series,
};
use flowmeter_service::error::{ApiError, Reason};
use tonic::metadata::MetadataMap;

use super::{Query, query_time_series};
use crate::resolve;
use crate::spec::{self, Asked};

/// The range of a question that names none: the last 7 days, as the dashboards show.
const DEFAULT_RANGE: &str = "from(T-7D)";

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &QueryExecutionsRequest,
) -> Result<QueryExecutionsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let asked = Asked { now: Timestamp::now(), ahead: query.max_event_ahead };
    let wording = read(request)?;
    let calendar = match request.calendar.as_str() {
        "" if wording.range.last().is_some() => {
            let text = "expected a calendar, because range is the last of its buckets";
            return Err(ApiError::field(Reason::InvalidCalendar, "calendar", text));
        }
        "" => None,
        code => Some(resolve::calendar(&query.store, tenant, code).await?),
    };
    let name = format!("{PROVIDER}/{METRIC}");
    let definition = Catalog::built_in().metric(&name).expect("it is built in");
    let is_total = calendar.is_none();
    // It is rolled up from its first event on.
    let metric = (definition, Timestamp::END);
    let question = tokio::task::block_in_place(|| match calendar {
        Some(calendar) => spec::plan(wording, metric, calendar, asked, query.max_points),
        None => spec::plan_total(wording, metric, asked),
    })?;
    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let found = query_time_series::read(query, tenant, &question).await?;
    let series = found.into_iter().filter(|series| !series.points.is_empty());
    Ok(QueryExecutionsResponse {
        series: series.map(|series| to_contract(series, is_total)).collect(),
        start_time: Some(to_proto(question.frame.range.start)),
        end_time: Some(to_proto(question.frame.range.end)),
        calendar: if is_total { String::new() } else { question.frame.calendar.to_string() },
        time_zone: question.frame.zone_name(),
        fresh_through,
    })
}

/// Reads what is asked for as a question for the metric of calls.
fn read(request: &QueryExecutionsRequest) -> Result<spec::Wording, ApiError> {
    for (index, label) in request.group_by.iter().enumerate() {
        if !LABELS.contains(&label.as_str()) {
            let shown: String = label.chars().take(40).collect();
            let text = format!("expected one of {}, found {shown:?}", LABELS.join(", "));
            return Err(ApiError::field(Reason::InvalidField, &format!("group_by[{index}]"), text));
        }
    }
    let filter = spec::filter_about(&request.filter, &LABELS.map(Field::named))?;
    let range = if request.range.is_empty() { DEFAULT_RANGE } else { &request.range };
    let wording = spec::read(&QueryTimeSeriesRequest {
        group_by: request.group_by.clone(),
        range: range.to_owned(),
        time_zone: request.time_zone.clone(),
        ..QueryTimeSeriesRequest::default()
    })?;
    Ok(spec::Wording { filter, ..wording })
}

fn to_contract(series: Series, is_total: bool) -> ExecutionSeries {
    let calls = |point: &Point| point.value.as_deref().map_or(0, whole);
    let total = series.points.iter().fold(0_i64, |sum, point| sum.saturating_add(calls(point)));
    let points = series.points.iter().filter(|_| !is_total);
    let points = points.map(|point| ExecutionPoint { timestamp: point.timestamp, count: calls(point) });
    ExecutionSeries { points: points.collect(), labels: series.labels, total }
}

/// A sum of calls, which are whole and never negative. What is beyond the contract's number becomes the greatest.
fn whole(value: &str) -> i64 {
    value.parse().unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_beyond_the_contracts_number_is_the_greatest() {
        for (text, expected) in
            [("7", 7), ("9223372036854775807", i64::MAX), ("9223372036854775808", i64::MAX)]
        {
            assert_eq!(whole(text), expected, "{text}");
        }
    }

    #[test]
    fn a_filter_is_about_labels_alone() {
        let asked = |filter: &str| {
            let request = QueryExecutionsRequest { filter: filter.into(), ..Default::default() };
            let wording = read(&request).map_err(|error| tonic::Status::from(error).message().to_owned())?;
            Ok::<_, String>(wording.filter.to_string())
        };
        let filter = r#"command = "url" AND type = "OutOfQuota""#;
        assert_eq!(asked(filter).unwrap(), filter);
        let expected = "filter: at character 19: expected one of integration, instance, command, type";
        assert_eq!(asked("command = url AND Type = OutOfQuota").unwrap_err(), expected);
    }
}
