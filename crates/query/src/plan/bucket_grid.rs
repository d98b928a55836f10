//! How an answer is cut into buckets and shown, whatever its values are read from.

use flowmeter_core::calendar::Calendar;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use flowmeter_service::error::{ApiError, Reason};
use jiff::tz::TimeZone;

use crate::spec::{Asked, DEFAULT_CALENDAR, Fill, Wording, place};

/// The buckets of an answer, the labels that tell its series apart, and what stands where there is no value.
#[derive(Debug)]
pub struct Frame {
    /// What cuts time, on the clocks of the question's zone.
    pub calendar: Calendar,
    pub range: TimeRange,
    /// Ascending; the first one is not after the start of the range.
    pub bucket_starts: Vec<Timestamp>,
    pub group_by: Vec<Field>,
    pub fill: Fill,
}

impl Frame {
    /// The range in one bucket.
    pub fn whole<O>(wording: &Wording<O>, asked: Asked) -> Result<Self, ApiError> {
        let zone = wording.zone.clone().unwrap_or(TimeZone::UTC);
        let range = place(&wording.range, &asked.reference(zone.clone()))?;
        // The calendar only tells the zone: there is no bucket but the range.
        let calendar = Calendar::parse(DEFAULT_CALENDAR).expect("it is built in").in_zone(zone);
        Ok(Self::of(wording, calendar, range, vec![range.start]))
    }

    /// The range in the buckets of a calendar.
    pub fn cut<O>(
        wording: &Wording<O>,
        calendar: Calendar,
        asked: Asked,
        max_points: u64,
    ) -> Result<Self, ApiError> {
        let calendar = match &wording.zone {
            Some(zone) => calendar.in_zone(zone.clone()),
            None => calendar,
        };
        let wrong = |text: String| ApiError::field(Reason::InvalidRange, "range", text);
        let range = match wording.range.last() {
            Some(buckets) => calendar
                .last_buckets(asked.now, buckets, max_points)
                .map_err(|error| wrong(error.to_string()))?,
            None => place(&wording.range, &asked.reference(calendar.zone().clone()))?,
        };
        let bucket_starts =
            calendar.bucket_starts(range, max_points).map_err(|error| wrong(error.to_string()))?;
        Ok(Self::of(wording, calendar, range, bucket_starts))
    }

    fn of<O>(
        wording: &Wording<O>,
        calendar: Calendar,
        range: TimeRange,
        bucket_starts: Vec<Timestamp>,
    ) -> Self {
        Self { calendar, range, bucket_starts, group_by: wording.group_by.clone(), fill: wording.fill }
    }

    /// The IANA name of the zone.
    pub fn zone_name(&self) -> String {
        self.calendar.zone().iana_name().unwrap_or("UTC").to_owned()
    }
}
