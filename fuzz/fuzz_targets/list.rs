//! Any order and search words of a list are parsed or rejected.
#![no_main]

use flowmeter_query::event_list;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = event_list::order(text);
    if let Ok(words) = event_list::words(text) {
        assert!(words.iter().all(|word| !word.is_empty() && !word.contains('\n')));
    }
});
