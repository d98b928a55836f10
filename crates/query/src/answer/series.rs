//! The answer to a question for time series: its series, with their gaps filled as they are to be.

use std::collections::HashMap;

use flowmeter_contract::time::to_proto;
use flowmeter_core::usage::Field;
use flowmeter_proto::v1::{Observed, Point, QueryTimeSeriesResponse, Series};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::points::{LabelledPoints, ReadError};

use crate::plan::bucket_grid::Frame;
use crate::spec::Fill;

/// What was read, and how.
pub struct Answered {
    /// The metric as provider/name.
    pub metric: String,
    pub observed: Observed,
    pub unit: String,
    pub series: Vec<Series>,
    pub fresh_through: Option<prost_types::Timestamp>,
}

impl Answered {
    /// The answer to a question of this frame.
    pub fn within(self, frame: &Frame) -> QueryTimeSeriesResponse {
        QueryTimeSeriesResponse {
            metric: self.metric,
            calendar: frame.calendar.to_string(),
            observed: self.observed.into(),
            unit: self.unit,
            start_time: Some(to_proto(frame.range.start)),
            end_time: Some(to_proto(frame.range.end)),
            series: self.series,
            fresh_through: self.fresh_through,
            time_zone: frame.zone_name(),
        }
    }
}

/// The series of what was found. Without grouping there is one, also where nothing was.
pub fn series(
    found: Result<Vec<LabelledPoints>, ReadError>,
    frame: &Frame,
    max_points: u64,
) -> Result<Vec<Series>, ApiError> {
    let mut found = found.map_err(|error| match error {
        ReadError::Store(error) => error.into(),
        ReadError::TooManyPoints { asked } => too_many(asked.unsigned_abs(), max_points),
    })?;
    if found.is_empty() && frame.group_by.is_empty() {
        found.push(LabelledPoints { labels: Vec::new(), points: Vec::new() });
    }
    if frame.fill != Fill::None {
        let points = found.len() as u64 * frame.bucket_starts.len() as u64;
        if points > max_points {
            return Err(too_many(points, max_points));
        }
    }
    Ok(found.into_iter().map(|series| to_contract(series, frame)).collect())
}

fn too_many(points: u64, limit: u64) -> ApiError {
    let text = format!(
        "the answer has {points} points, at most {limit} are allowed: take a coarser calendar, a shorter range, \
         a narrower filter or fewer labels"
    );
    ApiError::field(Reason::InvalidRange, "range", text)
}

fn to_contract(series: LabelledPoints, frame: &Frame) -> Series {
    let names = frame.group_by.iter().map(|label: &Field| label.name().to_owned());
    let labels: HashMap<String, String> = names.zip(series.labels).collect();
    let at = |bucket: usize| Some(to_proto(frame.bucket_starts[bucket]));
    let found = series.points.into_iter();
    if frame.fill == Fill::None {
        let points = found.map(|point| Point {
            timestamp: at(point.bucket),
            value: Some(point.value),
            count: point.count,
        });
        return Series { labels, points: points.collect() };
    }
    let absent = match frame.fill {
        Fill::Zero => Some("0".to_owned()),
        Fill::Null | Fill::None => None,
    };
    let empty = |bucket| Point { timestamp: at(bucket), value: absent.clone(), count: 0 };
    let mut points: Vec<Point> = (0..frame.bucket_starts.len()).map(empty).collect();
    for point in found {
        let slot = &mut points[point.bucket];
        (slot.value, slot.count) = (Some(point.value), point.count);
    }
    Series { labels, points }
}
