//! A page token names a place or is refused.
#![no_main]

use flowmeter_query::event_list;
use flowmeter_query::page::{List, asset_place, event_place};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (token, place) = input;
    let list = List::new("ListUsageEvents", &[]);
    let _ = list.place(token);
    assert_eq!(list.place(&list.token(place)).ok().flatten().unwrap_or_default(), place);
    let order = event_list::order("duration desc, user").expect("an order");
    if let Some((range, place)) = event_place::read(place, &order) {
        assert_eq!(event_place::read(&event_place::write(range, &place), &order), Some((range, place)));
    }
    if let Some(place) = asset_place::read(place) {
        assert_eq!(asset_place::read(&asset_place::write(&place)), Some(place));
    }
    for text in [asset_place::read_urn(place), asset_place::read_name(place)].into_iter().flatten() {
        assert_eq!(text.as_bytes(), place);
    }
});
