//! Any range: its printed form parses to the same range, and its start is before its end.
#![no_main]

use flowmeter_core::range::{RangeExpression, Reference};
use flowmeter_core::timestamp::Timestamp;
use jiff::tz::TimeZone;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u32)| {
    let (text, days) = input;
    let Ok(expression) = text.parse::<RangeExpression>() else { return };
    assert_eq!(expression.to_string().parse::<RangeExpression>().as_ref(), Ok(&expression));
    let now = Timestamp::from_micros(i64::from(days % 2_900_000) * 86_400_000_000 + 12_345);
    let reference = Reference { now, zone: TimeZone::UTC, horizon: now };
    if let Ok(range) = expression.resolve(&reference) {
        assert!(range.start < range.end);
        assert!(range.start >= Timestamp::EPOCH && range.end <= Timestamp::END);
    }
});
