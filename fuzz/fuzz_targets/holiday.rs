//! Any holiday: a calendar with it has buckets, which are computed in bounded time.
#![no_main]

use flowmeter_core::calendar::{Calendar, Definition, Holiday};
use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use jiff::civil::Weekday;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(holiday) = text.parse::<Holiday>() else { return };
    assert_eq!(holiday.to_string().parse::<Holiday>().as_ref(), Ok(&holiday));
    let definition = Definition::WorkingDays {
        weekend: vec![Weekday::Saturday, Weekday::Sunday],
        zone: "Europe/London".to_owned(),
        holidays: vec![holiday],
    };
    let Ok(calendar) = Calendar::defined("X", &definition) else { return };
    let start = Timestamp::from_micros(1_700_000_000_000_000);
    let end = Timestamp::from_micros(1_800_000_000_000_000);
    let starts = calendar.bucket_starts(TimeRange { start, end }, 25_000).expect("three years");
    assert!(!starts.is_empty());
});
