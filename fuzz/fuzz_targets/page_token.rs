//! Any page token is decoded to a position or rejected.
#![no_main]

use flowmeter_query::event_list;
use flowmeter_query::page::{Page, asset_position, event_position};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| {
    let (token, position) = input;
    let page = |token: &str| Page::read("ListUsageEvents", &[], 0, token);
    let _ = page(token);
    if !position.is_empty() {
        let token = page("").expect("the first page").token_after(position);
        let read = page(&token).expect("our token").after(|bytes| Some(bytes.to_vec()));
        assert_eq!(read.ok().flatten().as_deref(), Some(position));
    }
    let order = event_list::order("duration desc, user").expect("an order");
    if let Some((range, place)) = event_position::read(position, &order) {
        let written = event_position::write(range, &place);
        assert_eq!(event_position::read(&written, &order), Some((range, place)));
    }
    if let Some(read) = asset_position::read(position) {
        assert_eq!(asset_position::read(&asset_position::write(&read)), Some(read));
    }
});
