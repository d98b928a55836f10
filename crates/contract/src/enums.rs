//! Converts enumerations between the contract and the domain. An unknown number is a violation of its field.

use flowmeter_core::asset::{Reading, Truth};
use flowmeter_core::metric::{Measure, MethodClass, Observed};
use flowmeter_core::violation::{Fact, Kind, Violation};
use flowmeter_proto::v1;

/// Reads an aggregation method for events. None if it is unspecified.
pub fn observed(field: &str, number: i32) -> Result<Option<Observed>, Violation> {
    match reading(field, number) {
        Ok(None) => Ok(None),
        Ok(Some(Reading::Numbers(observed))) => Ok(Some(observed)),
        Ok(Some(Reading::Booleans(_))) => {
            let reason = format!("because the others are for booleans of assets, found {}", shown(number));
            Err(expected(field, &[NUMBERS], &reason))
        }
        Err(_) => Err(expected(field, &[NUMBERS], &format!("found {number}"))),
    }
}

/// Reads an aggregation method for values of assets. None if it is unspecified.
pub fn reading(field: &str, number: i32) -> Result<Option<Reading>, Violation> {
    Ok(Some(match v1::Observed::try_from(number) {
        Ok(v1::Observed::Unspecified) => return Ok(None),
        Ok(v1::Observed::Summed) => Reading::Numbers(Observed::Summed),
        Ok(v1::Observed::Averaged) => Reading::Numbers(Observed::Averaged),
        Ok(v1::Observed::High) => Reading::Numbers(Observed::High),
        Ok(v1::Observed::Low) => Reading::Numbers(Observed::Low),
        Ok(v1::Observed::Beginning) => Reading::Numbers(Observed::Beginning),
        Ok(v1::Observed::End) => Reading::Numbers(Observed::End),
        Ok(v1::Observed::CountTrue) => Reading::Booleans(Truth::CountTrue),
        Ok(v1::Observed::CountFalse) => Reading::Booleans(Truth::CountFalse),
        Ok(v1::Observed::FractionTrue) => Reading::Booleans(Truth::FractionTrue),
        Err(_) => return Err(expected(field, &[NUMBERS, BOOLEANS], &format!("found {number}"))),
    }))
}

/// The aggregation methods for numbers.
pub const NUMBERS: &[v1::Observed] = &[
    v1::Observed::Summed,
    v1::Observed::Averaged,
    v1::Observed::High,
    v1::Observed::Low,
    v1::Observed::Beginning,
    v1::Observed::End,
];
/// The aggregation methods for booleans.
pub const BOOLEANS: &[v1::Observed] =
    &[v1::Observed::CountTrue, v1::Observed::CountFalse, v1::Observed::FractionTrue];

/// The violation of a `field` in which one of these groups of aggregation methods was expected. `reason` says why, or
/// what was found.
pub fn expected(field: &str, groups: &[&[v1::Observed]], reason: &str) -> Violation {
    let names =
        |group: &[v1::Observed]| -> Vec<&str> { group.iter().map(v1::Observed::as_str_name).collect() };
    let sentence = |group: &&[v1::Observed]| {
        let names = names(group);
        let short = |name: &str| name.strip_prefix("OBSERVED").unwrap_or(name).to_owned();
        let others: Vec<_> = names[1..names.len() - 1].iter().map(|name| short(name)).collect();
        format!("{}, {} or {}", names[0], others.join(", "), short(names[names.len() - 1]))
    };
    let sentences: Vec<_> = groups.iter().map(sentence).collect();
    let alternatives = groups.iter().flat_map(|group| names(group)).map(str::to_owned).collect();
    Violation::new(field, format!("expected {}, {reason}", sentences.join("; or ")))
        .of_kind(Kind::NotAnAlternative)
        .with(Fact::Alternatives(alternatives))
}

/// The name of an aggregation method, or its number if it has no name.
fn shown(number: i32) -> String {
    v1::Observed::try_from(number)
        .map_or_else(|_| number.to_string(), |observed| observed.as_str_name().to_owned())
}

/// Converts an aggregation method for events to the contract.
#[must_use]
pub fn observed_to_proto(observed: Observed) -> v1::Observed {
    match observed {
        Observed::Summed => v1::Observed::Summed,
        Observed::Averaged => v1::Observed::Averaged,
        Observed::High => v1::Observed::High,
        Observed::Low => v1::Observed::Low,
        Observed::Beginning => v1::Observed::Beginning,
        Observed::End => v1::Observed::End,
    }
}

/// Converts an aggregation method for values of assets to the contract.
#[must_use]
pub fn reading_to_proto(reading: Reading) -> v1::Observed {
    match reading {
        Reading::Numbers(observed) => observed_to_proto(observed),
        Reading::Booleans(Truth::CountTrue) => v1::Observed::CountTrue,
        Reading::Booleans(Truth::CountFalse) => v1::Observed::CountFalse,
        Reading::Booleans(Truth::FractionTrue) => v1::Observed::FractionTrue,
    }
}

/// Reads a measure. The default is the count.
pub fn measure(field: &str, number: i32) -> Result<Measure, Violation> {
    match v1::Measure::try_from(number) {
        Ok(v1::Measure::Unspecified | v1::Measure::Count) => Ok(Measure::Count),
        Ok(v1::Measure::Duration) => Ok(Measure::Duration),
        Ok(v1::Measure::ResponseSize) => Ok(Measure::ResponseSize),
        Ok(v1::Measure::Value) => Ok(Measure::Value),
        Err(_) => {
            let text = format!("expected MEASURE_COUNT, _DURATION, _RESPONSE_SIZE or _VALUE, found {number}");
            Err(Violation::new(field, text))
        }
    }
}

/// Converts a measure to the contract.
#[must_use]
pub fn measure_to_proto(measure: Measure) -> v1::Measure {
    match measure {
        Measure::Count => v1::Measure::Count,
        Measure::Duration => v1::Measure::Duration,
        Measure::ResponseSize => v1::Measure::ResponseSize,
        Measure::Value => v1::Measure::Value,
    }
}

/// Reads a class of HTTP methods. None if it is unspecified.
pub fn method_class(field: &str, number: i32) -> Result<Option<MethodClass>, Violation> {
    match v1::MethodClass::try_from(number) {
        Ok(v1::MethodClass::Unspecified) => Ok(None),
        Ok(v1::MethodClass::Read) => Ok(Some(MethodClass::Read)),
        Ok(v1::MethodClass::Write) => Ok(Some(MethodClass::Write)),
        Ok(v1::MethodClass::Delete) => Ok(Some(MethodClass::Delete)),
        Err(_) => {
            let text = format!("expected METHOD_CLASS_READ, _WRITE or _DELETE, found {number}");
            Err(Violation::new(field, text))
        }
    }
}

/// Converts a class of HTTP methods to the contract.
#[must_use]
pub fn method_class_to_proto(class: Option<MethodClass>) -> v1::MethodClass {
    match class {
        None => v1::MethodClass::Unspecified,
        Some(MethodClass::Read) => v1::MethodClass::Read,
        Some(MethodClass::Write) => v1::MethodClass::Write,
        Some(MethodClass::Delete) => v1::MethodClass::Delete,
    }
}
