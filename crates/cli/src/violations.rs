//! The wrong fields of a failed call, with their kinds and facts as data. The sentences beside the data are
//! for people and are never parsed.

use std::collections::HashMap;

use tonic::Status;
use tonic_types::StatusExt;

/// The keys of facts about a wrong field in `google.rpc.ErrorInfo.metadata`. Those of the second field end in
/// `_2`, those of the third in `_3`, and so on.
const KEYS: [&str; 4] = ["position", "expected", "found", "alternatives"];

/// A wrong field of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The path of the field.
    pub(crate) field: String,
    /// The sentence for people.
    pub(crate) description: String,
    /// The kind, such as `UNKNOWN_TIME_ZONE`, or empty.
    pub(crate) kind: String,
    /// The index of the first wrong character, counted from 1.
    pub(crate) position: Option<usize>,
    /// The text that was found in place of an expected one.
    pub(crate) found: Option<String>,
    /// The values that the field accepts.
    pub(crate) alternatives: Vec<String>,
}

/// The wrong fields of a failed call.
pub(crate) fn of(status: &Status) -> Vec<Violation> {
    let details = status.get_error_details();
    let metadata = details.error_info().map(|info| info.metadata.clone()).unwrap_or_default();
    let listed = details.bad_request().map(|request| request.field_violations.clone()).unwrap_or_default();
    let violation = |(number, listed): (usize, tonic_types::FieldViolation)| {
        let fact = |key: &str| fact(&metadata, key, number);
        Violation {
            field: listed.field,
            description: listed.description,
            kind: listed.reason,
            position: fact("position").and_then(|text| text.parse().ok()),
            found: fact("found").map(str::to_owned),
            alternatives: fact("alternatives")
                .map_or_else(Vec::new, |names| names.split(',').map(str::to_owned).collect()),
        }
    };
    (1..).zip(listed).map(violation).collect()
}

fn fact<'a>(metadata: &'a HashMap<String, String>, key: &str, number: usize) -> Option<&'a str> {
    let found = if number == 1 { metadata.get(key) } else { metadata.get(&format!("{key}_{number}")) };
    found.map(String::as_str)
}

/// Whether a key of the metadata is a fact about a wrong field, which its sentence contains, too.
pub(crate) fn is_about_a_field(key: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    KEYS.iter().any(|known| {
        key.strip_prefix(known)
            .is_some_and(|rest| rest.is_empty() || rest.strip_prefix('_').is_some_and(is_number))
    })
}
