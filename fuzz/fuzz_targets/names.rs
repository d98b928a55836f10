//! Any names of metrics and time series are parsed or rejected.
#![no_main]

use flowmeter_contract::names::{MetricName, TimeSeriesName};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(name) = MetricName::parse("metric", text) {
        assert_eq!(name.full(), text);
    }
    if let Ok(name) = TimeSeriesName::parse("name", text) {
        assert_eq!(name.to_string(), text);
    }
});
