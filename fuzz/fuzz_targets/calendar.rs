//! Any calendar: its buckets are in ascending order and cover the range.
#![no_main]

use flowmeter_core::calendar::Calendar;
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, u64, u32)| {
    let (code, start, seconds) = input;
    let Ok(calendar) = Calendar::parse(code) else { return };
    let start = Timestamp::from_micros((start % Timestamp::END.micros().unsigned_abs()).cast_signed());
    let end = Timestamp::from_micros(start.micros() + 1 + i64::from(seconds) * 1_000_000).min(Timestamp::END);
    if let Ok(starts) = calendar.bucket_starts(TimeRange { start, end }, 1_000) {
        assert!(starts[0] <= start && starts[starts.len() - 1] < end);
        assert!(starts.windows(2).all(|pair| pair[0] < pair[1]));
    }
});
