//! The order and the words of a list are read or refused.
#![no_main]

use flowmeter_query::list;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = list::order(text);
    if let Ok(words) = list::words(text) {
        assert!(words.iter().all(|word| !word.is_empty() && !word.contains('\n')));
    }
});
