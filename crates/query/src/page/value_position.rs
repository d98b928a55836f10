//! The position of a page in a list of values: the range of the first page, and the last value.

use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use flowmeter_store::events::SortKey;

use super::range;

/// Writes a position for a page token.
#[must_use]
pub fn write(range: TimeRange, value: &str) -> Vec<u8> {
    serde_json::json!([range.start.micros(), range.end.micros(), value]).to_string().into_bytes()
}

/// Reads a position among the values of a field. `None` if the bytes are not one.
#[must_use]
pub fn read(bytes: &[u8], field: &Field) -> Option<(TimeRange, SortKey)> {
    let (start, end, value): (i64, i64, String) = serde_json::from_slice(bytes).ok()?;
    Some((range(start, end)?, SortKey::parse(field, value)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let text = Field::Attribute("queue".into());
        let place = write(TimeRange::ALL, "a \"b\" ü");
        assert_eq!(read(&place, &text), Some((TimeRange::ALL, SortKey::Text("a \"b\" ü".into()))));
        assert_eq!(read(&place, &Field::Duration), None);
        assert!(read(&write(TimeRange::ALL, "9223372036854775807"), &Field::Duration).is_some());
        assert_eq!(read(b"[-1,1,\"a\"]", &text), None);
    }
}
