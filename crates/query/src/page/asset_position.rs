//! The position of a page among the metrics of an asset.

use flowmeter_core::asset::check_name;
use flowmeter_core::ids::RequestId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::assets::Arrival;
use uuid::Uuid;

use super::range;

/// The metrics that follow a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetPosition {
    /// The first time.
    pub from: Timestamp,
    /// The last time, which is the same on all pages.
    pub to: Timestamp,
    /// Of the metrics at the first time, only those after this one follow.
    pub after: Option<Arrival>,
}

/// Writes a position for a page token.
#[must_use]
pub fn write(position: &AssetPosition) -> Vec<u8> {
    let after = position.after.as_ref().map(|after| (after.request.to_string(), after.place, &after.name));
    serde_json::json!([position.from.micros(), position.to.micros(), after]).to_string().into_bytes()
}

/// Reads a position. `None` if the bytes are not one.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<AssetPosition> {
    type Written = (i64, i64, Option<(String, i16, String)>);
    let (from, to, after): Written = serde_json::from_slice(bytes).ok()?;
    let after = match after {
        Some((request, place, name)) => {
            check_name("name", &name).ok()?;
            Some(Arrival { request: RequestId(Uuid::try_parse(&request).ok()?), place, name })
        }
        None => None,
    };
    let range = range(from, to)?;
    Some(AssetPosition { from: range.start, to: range.end, after })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_position_is_read_as_it_was_written(
            from in 0..Timestamp::END.micros(),
            to in 0..Timestamp::END.micros(),
            after in proptest::option::of((any::<u128>(), any::<i16>(), "[a-z\"\\\\ü ]{1,20}")),
        ) {
            let arrival = |(request, place, name)| Arrival { request: RequestId(Uuid::from_u128(request)), place, name };
            let (from, to) = (Timestamp::from_micros(from), Timestamp::from_micros(to));
            let position = AssetPosition { from, to, after: after.map(arrival) };
            prop_assert_eq!(read(&write(&position)), Some(position));
        }

        #[test]
        fn reading_never_panics(text in "[\\[\\]0-9\",a-fnul -]{0,60}", bytes in any::<Vec<u8>>()) {
            for bytes in [text.as_bytes(), bytes.as_slice()] {
                let _ = read(bytes);
            }
        }
    }

    #[test]
    fn a_position_that_the_store_would_refuse_is_not_read() {
        let id = Uuid::nil();
        assert!(read(format!("[0,1,[\"{id}\",0,\"a\"]]").as_bytes()).is_some());
        assert_eq!(read(format!("[0,1,[\"{id}\",0,\"a\\u0000\"]]").as_bytes()), None);
        assert_eq!(read(format!("[0,1,[\"{id}\",40000,\"a\"]]").as_bytes()), None);
        assert_eq!(read(b"[0,9223372036854775807,null]"), None);
    }
}
