//! Any bytes as a column of a segment: they are decoded, or the column is corrupt. Either way, nothing panics.
#![no_main]

use flowmeter_core::filter::Filter;
use flowmeter_segment::{Column, SegmentReader, select};
use libfuzzer_sys::fuzz_target;

/// One filter on each kind of column.
const FILTERS: [&str; 5] = ["user = a", "service =~ 'b'", "duration > 5", "value = 0.5", "attributes.queue:*"];

fuzz_target!(|input: (u16, &[u8])| {
    let (events, bytes) = input;
    let Ok(reader) = SegmentReader::new(events.into()) else { return };
    let reader = Column::ALL.into_iter().fold(reader, |reader, column| reader.with(column, bytes));
    let _ = reader.ids();
    let _ = reader.rows(0..usize::from(events));
    for filter in FILTERS {
        let filter = Filter::parse(filter).expect("a valid filter");
        let _ = select(&filter, &reader);
    }
});
