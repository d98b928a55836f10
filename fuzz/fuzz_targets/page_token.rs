//! A page token names a place or is refused.
#![no_main]

use flowmeter_query::list;
use flowmeter_query::page_token::{List, event_place};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (token, place) = input;
    let list = List::new("ListUsageEvents", &[]);
    let _ = list.place(token);
    assert_eq!(list.place(&list.token(place)).ok().flatten().unwrap_or_default(), place);
    let order = list::order("duration desc, user").expect("an order");
    if let Some((range, place)) = event_place::read(place, &order) {
        assert_eq!(event_place::read(&event_place::write(range, &place), &order), Some((range, place)));
    }
});
