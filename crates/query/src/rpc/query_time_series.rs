//! `QueryTimeSeries`: a metric by the buckets of a calendar.

use std::collections::HashMap;

use flowmeter_core::metric::Catalog;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::{Point, QueryTimeSeriesRequest, QueryTimeSeriesResponse, TimeSeries};
use flowmeter_service::error::ApiError;
use flowmeter_service::time::to_proto;
use flowmeter_store::rollups::{SeriesQuestion, read_series};
use tonic::metadata::MetadataMap;

use super::Query;
use crate::question;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &QueryTimeSeriesRequest,
) -> Result<QueryTimeSeriesResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let question = question::read(
        request,
        Catalog::built_in(),
        Timestamp::now(),
        query.max_event_ahead,
        query.max_points,
    )?;
    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let asked = SeriesQuestion {
        tenant,
        definition: question.definition,
        observed: question.observed,
        filter: &question.filter,
        label_set: question.label_set,
        pieces: &question.pieces,
        bucket_starts: &question.bucket_starts,
    };
    let points = read_series(&query.store, &asked).await?.into_iter().map(|point| Point {
        timestamp: Some(to_proto(question.bucket_starts[point.bucket])),
        value: point.value,
        count: point.count,
    });
    Ok(QueryTimeSeriesResponse {
        metric: question.definition.full_name.clone(),
        calendar: question.calendar.to_string(),
        observed: question::observed_to_proto(question.observed).into(),
        unit: question.definition.unit.to_owned(),
        start_time: Some(to_proto(question.range.start)),
        end_time: Some(to_proto(question.range.end)),
        series: vec![TimeSeries { labels: HashMap::new(), points: points.collect() }],
        fresh_through,
    })
}
