//! The time of a request. Pure.

use std::time::Duration;

use flowmeter_core::range::Reference;
use flowmeter_core::timestamp::Timestamp;
use jiff::tz::TimeZone;

/// The one time to which every range of a request is relative.
#[derive(Debug, Clone, Copy)]
pub struct RequestClock {
    /// When the request was received.
    pub now: Timestamp,
    /// How far ahead of the clock an event can be.
    pub max_event_ahead: Duration,
}

impl RequestClock {
    /// The clock of a request that has just been received.
    pub fn start(max_event_ahead: Duration) -> Self {
        Self { now: Timestamp::now(), max_event_ahead }
    }

    /// The reference for ranges in a time zone.
    pub fn reference(self, zone: TimeZone) -> Reference {
        // One microsecond after the last one that an event may have.
        let horizon = self.now.plus(self.max_event_ahead).plus(Duration::from_micros(1));
        Reference { now: self.now, zone, horizon }
    }
}
