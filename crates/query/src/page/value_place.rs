//! Where a list of values goes on: the range as it was on the first page, and the last value.

use flowmeter_core::quantity::Quantity;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;

use super::range;

/// A place as a token carries it.
#[must_use]
pub fn write(range: TimeRange, value: &str) -> Vec<u8> {
    serde_json::json!([range.start.micros(), range.end.micros(), value]).to_string().into_bytes()
}

/// Reads a place among the values of a field, if it is one.
#[must_use]
pub fn read(bytes: &[u8], field: &Field) -> Option<(TimeRange, String)> {
    let (start, end, value): (i64, i64, String) = serde_json::from_slice(bytes).ok()?;
    let fits = match field {
        Field::Text(_) | Field::Attribute(_) => !value.contains('\0'),
        Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
            Quantity::parse_kept(&value).is_ok()
        }
    };
    Some((range(start, end)?, value)).filter(|_| fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let text = Field::Attribute("queue".into());
        let place = write(TimeRange::ALL, "a \"b\" ü");
        assert_eq!(read(&place, &text), Some((TimeRange::ALL, "a \"b\" ü".into())));
        assert_eq!(read(&place, &Field::Duration), None);
        assert!(read(&write(TimeRange::ALL, "9223372036854775807"), &Field::Duration).is_some());
        assert_eq!(read(b"[0,1,\"a\\u0000\"]", &text), None);
        assert_eq!(read(b"[-1,1,\"a\"]", &text), None);
    }
}
