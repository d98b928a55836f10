//! Encodes time series, and fills the gaps between their points as the request says.

use std::collections::HashMap;

use flowmeter_contract::time::to_proto;
use flowmeter_proto::v1::{Observed, Point, QueryTimeSeriesResponse, Series};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::points::{LabelledPoints, ReadError};

use crate::plan::bucket_grid::BucketGrid;
use crate::spec::query::{Fill, QuerySpec};

/// The metric of an answer, and how its values are aggregated.
pub struct Metric {
    /// The metric as provider/name.
    pub name: String,
    pub observed: Observed,
    pub unit: String,
}

/// The answer to a request for time series.
pub fn time_series(
    metric: Metric,
    grid: &BucketGrid,
    series: Vec<Series>,
    fresh_through: Option<prost_types::Timestamp>,
) -> QueryTimeSeriesResponse {
    QueryTimeSeriesResponse {
        metric: metric.name,
        calendar: grid.calendar.to_string(),
        observed: metric.observed.into(),
        unit: metric.unit,
        start_time: Some(to_proto(grid.range.start)),
        end_time: Some(to_proto(grid.range.end)),
        series,
        fresh_through,
        time_zone: grid.zone_name(),
    }
}

/// The series that were read. A request without labels always has one series, which may be empty.
pub fn series(
    found: Result<Vec<LabelledPoints>, ReadError>,
    spec: &QuerySpec,
    grid: &BucketGrid,
    max_points: u64,
) -> Result<Vec<Series>, ApiError> {
    let mut found = found.map_err(|error| match error {
        ReadError::Store(error) => error.into(),
        ReadError::TooManyPoints { asked } => too_many_points(asked.unsigned_abs(), max_points),
    })?;
    if found.is_empty() && spec.group_by.is_empty() {
        found.push(LabelledPoints { labels: Vec::new(), points: Vec::new() });
    }
    if spec.fill != Fill::None {
        let points = found.len() as u64 * grid.starts.len() as u64;
        if points > max_points {
            return Err(too_many_points(points, max_points));
        }
    }
    Ok(found.into_iter().map(|series| to_proto_series(series, spec, grid)).collect())
}

fn too_many_points(points: u64, limit: u64) -> ApiError {
    let text = format!(
        "expected at most {limit} points, found {points}: choose a coarser calendar, a shorter range, a narrower \
         filter or fewer labels"
    );
    ApiError::field(Reason::InvalidRange, "range", text)
}

fn to_proto_series(series: LabelledPoints, spec: &QuerySpec, grid: &BucketGrid) -> Series {
    let names = spec.group_by.iter().map(|label| label.name().to_owned());
    let labels: HashMap<String, String> = names.zip(series.labels).collect();
    let start_of = |bucket: usize| Some(to_proto(grid.starts[bucket]));
    let found = series.points.into_iter();
    if spec.fill == Fill::None {
        let points = found.map(|point| Point {
            timestamp: start_of(point.bucket),
            value: Some(point.value),
            count: point.count,
        });
        return Series { labels, points: points.collect() };
    }
    let gap_value = (spec.fill == Fill::Zero).then(|| "0".to_owned());
    let gap = |bucket| Point { timestamp: start_of(bucket), value: gap_value.clone(), count: 0 };
    let mut points: Vec<Point> = (0..grid.starts.len()).map(gap).collect();
    for point in found {
        let slot = &mut points[point.bucket];
        (slot.value, slot.count) = (Some(point.value), point.count);
    }
    Series { labels, points }
}
