//! The buckets into which a range of time is cut.

use flowmeter_core::calendar::Calendar;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_service::error::{ApiError, Reason};
use jiff::tz::TimeZone;

use crate::spec::clock::RequestClock;
use crate::spec::parameters::resolve_range;
use crate::spec::query::{DEFAULT_CALENDAR, QuerySpec};

/// The range of an answer and the buckets in it.
#[derive(Debug, Clone)]
pub struct BucketGrid {
    /// The calendar that divides the range, in the time zone of the request.
    pub calendar: Calendar,
    pub range: TimeRange,
    /// The starts of the buckets, ascending. The first start is at or before the start of the range.
    pub starts: Vec<Timestamp>,
}

impl BucketGrid {
    /// The range of a request in the buckets of a calendar, or as one bucket if there is no calendar.
    pub fn new(
        spec: &QuerySpec,
        calendar: Option<Calendar>,
        clock: RequestClock,
        max_points: u64,
    ) -> Result<Self, ApiError> {
        let Some(calendar) = calendar else { return Self::one_bucket(spec, clock) };
        let calendar = match &spec.zone {
            Some(zone) => calendar.in_zone(zone.clone()),
            None => calendar,
        };
        let wrong = |text: String| ApiError::field(Reason::InvalidRange, "range", text);
        let range = match spec.range.last() {
            Some(buckets) => calendar
                .last_buckets(clock.now, buckets, max_points)
                .map_err(|error| wrong(error.to_string()))?,
            None => resolve_range(&spec.range, &clock.reference(calendar.zone().clone()))?,
        };
        let starts = calendar.bucket_starts(range, max_points).map_err(|error| wrong(error.to_string()))?;
        Ok(Self { calendar, range, starts })
    }

    fn one_bucket(spec: &QuerySpec, clock: RequestClock) -> Result<Self, ApiError> {
        let zone = spec.zone.clone().unwrap_or(TimeZone::UTC);
        let range = resolve_range(&spec.range, &clock.reference(zone.clone()))?;
        // The calendar only carries the time zone, because the range itself is the bucket.
        let calendar = Calendar::parse(DEFAULT_CALENDAR).expect("it is built in").in_zone(zone);
        Ok(Self { calendar, range, starts: vec![range.start] })
    }

    /// The IANA name of the time zone.
    pub fn zone_name(&self) -> String {
        self.calendar.zone().iana_name().unwrap_or("UTC").to_owned()
    }
}
