//! Timestamps between the domain and the contract.

use flowmeter_core::timestamp::Timestamp;

/// As the contract writes it. The end of time, which is the first instant that the contract cannot
/// write, is its last one.
#[must_use]
pub fn to_proto(timestamp: Timestamp) -> prost_types::Timestamp {
    let last = Timestamp::from_micros(Timestamp::END.micros() - 1);
    let (seconds, nanos) = timestamp.min(last).seconds_nanos();
    prost_types::Timestamp { seconds, nanos }
}

/// As the contract reads it. None outside the years 0001 to 9999.
#[must_use]
pub fn from_proto(timestamp: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::from_seconds_nanos(timestamp.seconds, timestamp.nanos)
}
