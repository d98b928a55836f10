//! Reads the names of fields of events, and of labels, by which series are grouped. Pure.

use flowmeter_core::filter::Filter;
use flowmeter_core::usage::Field;
use flowmeter_service::error::{ApiError, Reason};

/// The maximum number of labels in a request.
const MAX_GROUP_BY: usize = 8;
/// The maximum length of the name of a field in bytes, which is the maximum length of the name of an
/// attribute.
const MAX_NAME_BYTES: usize = 1_024;

/// Reads the name of a field of events from the field `parameter` of a request.
pub fn event_field(parameter: &str, name: &str) -> Result<Field, ApiError> {
    read_field(name).map_err(|expected| wrong_name(parameter, name, &expected))
}

/// Reads the labels to group by.
pub fn group_by(names: &[String]) -> Result<Vec<Field>, ApiError> {
    let parameter = |index: usize| format!("group_by[{index}]");
    let wrong = |index: usize, text: &str| ApiError::field(Reason::InvalidField, &parameter(index), text);
    if names.len() > MAX_GROUP_BY {
        return Err(wrong(MAX_GROUP_BY, &format!("expected at most {MAX_GROUP_BY} labels")));
    }
    let mut labels = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let label = read_label(name).map_err(|expected| wrong_name(&parameter(index), name, &expected))?;
        if labels.contains(&label) {
            return Err(wrong(index, "expected each label once"));
        }
        labels.push(label);
    }
    Ok(labels)
}

/// Reads the name of a label: a field that is not a measure. The error says what was expected.
pub fn read_label(name: &str) -> Result<Field, String> {
    match read_field(name)? {
        Field::Duration | Field::ResponseSize | Field::Value => {
            Err("a field of text, an attribute or httpstatus".to_owned())
        }
        field => Ok(field),
    }
}

/// The name of a label as [`read_label`] reads it.
pub fn label_name(label: &Field) -> String {
    match Filter::field(label.name()) {
        Ok(_) => label.name().to_owned(),
        Err(_) => format!("attributes.{}", label.name()),
    }
}

/// Reads a name that has only one meaning. The error says what was expected.
fn read_field(name: &str) -> Result<Field, String> {
    if name.len() > MAX_NAME_BYTES {
        return Err(format!("a name of at most {MAX_NAME_BYTES} bytes"));
    }
    match Filter::field(name.trim())? {
        Field::Attribute(name)
            if name.trim() != name
                || Filter::field(&name).is_ok_and(|other| other != Field::Attribute(name.clone())) =>
        {
            Err("a name that does not also name another field".to_owned())
        }
        field => Ok(field),
    }
}

fn wrong_name(parameter: &str, name: &str, expected: &str) -> ApiError {
    ApiError::field(Reason::InvalidField, parameter, format!("expected {expected}, found {name:?}"))
}
