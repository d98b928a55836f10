//! Where lists of assets go on: after a URN, after a name of a metric, or within the times of an asset.

use flowmeter_core::asset::{check_name, check_urn};
use flowmeter_core::ids::RequestId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::assets::Arrival;
use uuid::Uuid;

use super::range;

/// What is left of the metrics of an asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The first time.
    pub from: Timestamp,
    /// The last time, as it was on the first page.
    pub to: Timestamp,
    /// Of the first time only what came after this.
    pub after: Option<Arrival>,
}

/// A place as a token carries it.
#[must_use]
pub fn write(place: &Place) -> Vec<u8> {
    let after = place.after.as_ref().map(|after| (after.request.to_string(), after.place, &after.name));
    serde_json::json!([place.from.micros(), place.to.micros(), after]).to_string().into_bytes()
}

/// Reads a place, if it is one.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Place> {
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
    Some(Place { from: range.start, to: range.end, after })
}

/// Reads the URN of an asset, if it is one. It is written as it is.
#[must_use]
pub fn read_urn(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|urn| check_urn("urn", urn).is_ok())
}

/// Reads the name of a metric, if it is one. It is written as it is.
#[must_use]
pub fn read_name(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|name| check_name("name", name).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(
            from in 0..Timestamp::END.micros(),
            to in 0..Timestamp::END.micros(),
            after in proptest::option::of((any::<u128>(), any::<i16>(), "[a-z\"\\\\ü ]{1,20}")),
        ) {
            let arrival = |(request, place, name)| Arrival { request: RequestId(Uuid::from_u128(request)), place, name };
            let (from, to) = (Timestamp::from_micros(from), Timestamp::from_micros(to));
            let place = Place { from, to, after: after.map(arrival) };
            prop_assert_eq!(read(&write(&place)), Some(place));
        }

        #[test]
        fn reading_never_panics(text in "[\\[\\]0-9\",a-fnul -]{0,60}", bytes in any::<Vec<u8>>()) {
            for bytes in [text.as_bytes(), bytes.as_slice()] {
                let _ = (read(bytes), read_urn(bytes), read_name(bytes));
            }
        }
    }

    #[test]
    fn what_the_store_would_refuse_is_no_place() {
        let id = Uuid::nil();
        assert!(read(format!("[0,1,[\"{id}\",0,\"a\"]]").as_bytes()).is_some());
        assert_eq!(read(format!("[0,1,[\"{id}\",0,\"a\\u0000\"]]").as_bytes()), None);
        assert_eq!(read(format!("[0,1,[\"{id}\",40000,\"a\"]]").as_bytes()), None);
        assert_eq!(read(b"[0,9223372036854775807,null]"), None);
        assert_eq!(read_urn(b"urn\0"), None);
        assert_eq!(read_name(b""), None);
        assert_eq!(read_name(b"\xff"), None);
    }
}
