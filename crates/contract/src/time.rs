//! Converts timestamps between the domain and the contract.

use flowmeter_core::timestamp::Timestamp;

/// Converts a timestamp to the contract. Timestamps before the year 1, and the end of time, which the contract cannot
/// represent, become the nearest timestamp that it can.
#[must_use]
pub fn to_proto(timestamp: Timestamp) -> prost_types::Timestamp {
    const FIRST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);
    let last = Timestamp::from_micros(Timestamp::END.micros() - 1);
    let (seconds, nanos) = timestamp.clamp(FIRST, last).seconds_nanos();
    prost_types::Timestamp { seconds, nanos }
}

/// Converts a timestamp from the contract. None if it is outside the years 0001 to 9999.
#[must_use]
pub fn from_proto(timestamp: &prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::from_seconds_nanos(timestamp.seconds, timestamp.nanos)
}
