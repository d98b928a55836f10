//! What a request for time series of assets may say. Pure.

use flowmeter_contract::enums;
use flowmeter_core::asset::{NotANumber, Number, Readable, Reading, Truth, urn_field};
use flowmeter_core::filter::{Condition, Filter, Operator, Value};
use flowmeter_core::metric::Observed;
use flowmeter_core::usage::Field;
use flowmeter_service::error::{ApiError, Reason};

use super::labels;

/// The maximum number of characters of a name in an error.
const MAX_SHOWN_CHARS: usize = 40;

/// Checks that a request names no service, because assets have none.
pub fn check_no_service(service: &str) -> Result<(), ApiError> {
    if service.is_empty() {
        return Ok(());
    }
    let text = "expected none, because assets have no service: choose them by asset_urn in filter, or by key";
    Err(ApiError::field(Reason::InvalidField, "service", text))
}

/// Checks that a filter selects assets only by their URN.
pub fn check_filter(filter: &Filter) -> Result<(), ApiError> {
    let urn = urn_field();
    if let Some(other) = filter.fields().into_iter().find(|field| **field != urn) {
        return Err(ApiError::field(Reason::InvalidFilter, "filter", not_the_urn(other.name())));
    }
    if let Some(number) = compared_number(filter.condition()) {
        let found = shortened(number);
        let text = format!("expected text to compare asset_urn with, because a URN is text, found {found}");
        return Err(ApiError::field(Reason::InvalidFilter, "filter", text));
    }
    Ok(())
}

/// A number with which a filter compares the order of URNs. URNs are text, and nearly all of them come after
/// any text that begins with a digit, so such a comparison is a mistake. A test for equality is not a
/// mistake, because a URN can be a number.
fn compared_number(condition: &Condition) -> Option<&str> {
    match condition {
        Condition::All(parts) | Condition::Any(parts) => parts.iter().find_map(compared_number),
        Condition::Not(inner) => compared_number(inner),
        Condition::Compare { operator, value: Value::Text(text), .. } if *operator != Operator::Equal => {
            let is_number = text.parse::<Number>() != Err(NotANumber::Malformed);
            is_number.then_some(text)
        }
        Condition::Compare { .. }
        | Condition::In { .. }
        | Condition::Matches { .. }
        | Condition::Present(_) => None,
    }
}

/// Reads the labels to group by: the URN, or none.
pub fn group_by(names: &[String]) -> Result<Vec<Field>, ApiError> {
    let urn = Ok(urn_field());
    if let Some(index) = names.iter().position(|name| Filter::field(name.trim()) != urn) {
        let field = format!("group_by[{index}]");
        return Err(ApiError::field(Reason::InvalidField, &field, not_the_urn(&names[index])));
    }
    labels::group_by(names)
}

fn not_the_urn(found: &str) -> String {
    let found = shortened(found);
    format!("expected asset_urn, because it is the only label of metrics of assets, found {found:?}")
}

fn shortened(text: &str) -> String {
    text.chars().take(MAX_SHOWN_CHARS).collect()
}

/// The reading if a request names none. A metric with numbers and booleans has no default. Otherwise, a
/// single value of the other type, sent by mistake, would silently change the meaning of every request.
pub fn default_reading(readable: Readable) -> Option<Reading> {
    match readable {
        Readable::Numbers => Some(Reading::Numbers(Observed::Averaged)),
        Readable::Booleans => Some(Reading::Booleans(Truth::FractionTrue)),
        Readable::NumbersAndBooleans => None,
    }
}

/// How an asset metric is read: as the request says, if the metric has such values.
pub fn reading(asked: Option<Reading>, readable: Readable) -> Result<Reading, ApiError> {
    let Some(reading) = asked.or_else(|| default_reading(readable)) else {
        let reason = "because the metric has numbers and booleans, found none";
        return Err(enums::expected("observed", &[enums::NUMBERS, enums::BOOLEANS], reason).into());
    };
    if readable.suits(reading) {
        return Ok(reading);
    }
    let (missing, expected) = match reading {
        Reading::Numbers(_) => ("numbers", enums::BOOLEANS),
        Reading::Booleans(_) => ("booleans", enums::NUMBERS),
    };
    let found = enums::reading_to_proto(reading).as_str_name();
    let reason = format!("because the metric has no {missing}, found {found}");
    Err(enums::expected("observed", &[expected], &reason).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_proto::v1;

    use crate::spec::query::{QuerySpec, Subject};

    fn spec(change: impl FnOnce(&mut v1::QueryTimeSeriesRequest)) -> Result<QuerySpec, String> {
        let mut request =
            v1::QueryTimeSeriesRequest { range: "2026-11".into(), ..v1::QueryTimeSeriesRequest::default() };
        change(&mut request);
        QuerySpec::of_time_series(&request, Subject::Assets, None).map_err(message)
    }

    fn message(error: ApiError) -> String {
        tonic::Status::from(error).message().to_owned()
    }

    #[test]
    fn a_filter_chooses_assets_by_their_urn() {
        let filter = |change: fn(&mut v1::QueryTimeSeriesRequest)| spec(change).unwrap().filter.to_string();
        assert_eq!(filter(|_| {}), "");
        assert_eq!(filter(|request| request.key = "urn:a".into()), r#"asset_urn = "urn:a""#);
        assert_eq!(
            filter(|request| {
                request.filter = r#"{"asset_urn":{"$in":["urn:a","urn:b"]}}"#.into();
                request.key = "urn:b".into();
            }),
            r#"asset_urn IN ("urn:a", "urn:b") AND asset_urn = "urn:b""#
        );
        for text in ["asset_urn = 5", "asset_urn IN (5, 6)", "asset_urn > \"urn:5\"", "asset_urn < 5a"] {
            assert!(spec(|request| request.filter = text.into()).is_ok(), "{text}");
        }
        let grouped = spec(|request| request.group_by = vec!["attributes.asset_urn".into()]).unwrap();
        assert_eq!(grouped.group_by, [urn_field()]);
        let observed =
            |number: v1::Observed| spec(|request| request.observed = number.into()).unwrap().observed;
        assert_eq!(observed(v1::Observed::Unspecified), None);
        assert_eq!(observed(v1::Observed::End), Some(Reading::Numbers(Observed::End)));
        assert_eq!(observed(v1::Observed::CountFalse), Some(Reading::Booleans(Truth::CountFalse)));
    }

    #[test]
    fn errors_name_the_wrong_field() {
        const NOT_THE_URN: &str =
            "expected asset_urn, because it is the only label of metrics of assets, found";
        for (change, expected) in [
            (
                (|request| request.range = String::new()) as fn(&mut v1::QueryTimeSeriesRequest),
                "range: expected a range such as from(2024-11-20), last(24) or 2024-11".to_owned(),
            ),
            (
                |request| request.filter = "asset_urn".into(),
                "filter: at character 10: expected an operator: =, !=, <, <=, >, >=, =~, !~, IN, NOT IN or :*".to_owned(),
            ),
            (
                |request| request.filter = "asset_urn = a AND NOT (asset_urn = b OR application = c)".into(),
                format!("filter: {NOT_THE_URN} \"application\""),
            ),
            (|request| request.filter = "value > 5".into(), format!("filter: {NOT_THE_URN} \"value\"")),
            (
                |request| request.filter = "asset_urn = a OR NOT asset_urn > 5".into(),
                "filter: expected text to compare asset_urn with, because a URN is text, found 5".to_owned(),
            ),
            (
                |request| request.filter = r#"{"asset_urn":{"$lte":-1.5e3}}"#.into(),
                "filter: expected text to compare asset_urn with, because a URN is text, found -1.5e3".to_owned(),
            ),
            (
                |request| request.group_by = vec!["asset_urn".into(), "duration".into()],
                format!("group_by[1]: {NOT_THE_URN} \"duration\""),
            ),
            (
                |request| request.group_by = vec!["asset_urn".into(), "asset_urn".into()],
                "group_by[1]: expected each label once".to_owned(),
            ),
            (
                |request| request.service = "crm".into(),
                "service: expected none, because assets have no service: choose them by asset_urn in filter, or by key"
                    .to_owned(),
            ),
            (
                |request| request.key = "a\0b".into(),
                "key: expected text without NUL characters".to_owned(),
            ),
            (
                |request| request.observed = 99,
                "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END; \
                 or OBSERVED_COUNT_TRUE, _COUNT_FALSE or _FRACTION_TRUE, found 99"
                    .to_owned(),
            ),
            (
                |request| request.fill = 9,
                "fill: expected FILL_ZERO, FILL_NULL or none, found 9".to_owned(),
            ),
            (
                |request| request.time_zone = "Mars".into(),
                "time_zone: expected an IANA time zone such as Europe/Berlin or UTC, found \"Mars\"".to_owned(),
            ),
        ] {
            let found = spec(change).unwrap_err();
            assert!(found.starts_with(&expected), "{found}");
        }
    }

    #[test]
    fn a_reading_must_suit_the_values_of_the_metric() {
        let (high, count) = (Reading::Numbers(Observed::High), Reading::Booleans(Truth::CountTrue));
        let read = |asked, readable| reading(asked, readable).map_err(message);
        assert_eq!(
            read(None, Readable::NumbersAndBooleans).unwrap_err(),
            "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END; \
             or OBSERVED_COUNT_TRUE, _COUNT_FALSE or _FRACTION_TRUE, \
             because the metric has numbers and booleans, found none"
        );
        assert_eq!(read(Some(high), Readable::NumbersAndBooleans), Ok(high));
        assert_eq!(read(None, Readable::Numbers), Ok(Reading::Numbers(Observed::Averaged)));
        assert_eq!(read(Some(count), Readable::NumbersAndBooleans), Ok(count));
        assert_eq!(read(None, Readable::Booleans), Ok(Reading::Booleans(Truth::FractionTrue)));
        assert_eq!(
            read(Some(high), Readable::Booleans).unwrap_err(),
            "observed: expected OBSERVED_COUNT_TRUE, _COUNT_FALSE or _FRACTION_TRUE, \
             because the metric has no numbers, found OBSERVED_HIGH"
        );
        assert_eq!(
            read(Some(count), Readable::Numbers).unwrap_err(),
            "observed: expected OBSERVED_SUMMED, _AVERAGED, _HIGH, _LOW, _BEGINNING or _END, \
             because the metric has no booleans, found OBSERVED_COUNT_TRUE"
        );
    }
}
