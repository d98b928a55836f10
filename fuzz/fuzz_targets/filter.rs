//! Any filter: its printed form parses to the same filter, and it can be evaluated.
#![no_main]

use flowmeter_core::filter::Filter;
use flowmeter_core::usage::UsageEvent;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, i64)| {
    let (text, application, duration) = input;
    let Ok(filter) = Filter::parse(text) else { return };
    assert_eq!(Filter::parse(&filter.to_string()).as_ref(), Ok(&filter));
    let mut event = UsageEvent { duration_ms: Some(duration), ..UsageEvent::default() };
    event.texts = [application; 10];
    let _ = filter.matches(&event);
    let _ = filter.equalities();
});
