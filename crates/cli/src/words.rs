//! The enums of the contract as values of flags, and as words in the output.

pub(crate) mod asset;
pub(crate) mod flow;

use clap::ValueEnum;
use flowmeter_proto::v1 as wire;

/// How the numbers of a bucket are aggregated: the choices for the default of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObservedNumbers {
    /// The exact sum.
    #[value(alias = "sum")]
    Summed,
    /// The sum divided by the number of values.
    Averaged,
    /// The largest value.
    High,
    /// The smallest value.
    Low,
    /// The first value by time.
    Beginning,
    /// The last value by time.
    End,
    /// The default, as if the option were not given.
    Default,
}

impl From<ObservedNumbers> for wire::Observed {
    fn from(observed: ObservedNumbers) -> Self {
        match observed {
            ObservedNumbers::Summed => Self::Summed,
            ObservedNumbers::Averaged => Self::Averaged,
            ObservedNumbers::High => Self::High,
            ObservedNumbers::Low => Self::Low,
            ObservedNumbers::Beginning => Self::Beginning,
            ObservedNumbers::End => Self::End,
            ObservedNumbers::Default => Self::Unspecified,
        }
    }
}

/// How the values of a bucket are aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Observed {
    /// The exact sum.
    #[value(alias = "sum")]
    Summed,
    /// The sum divided by the number of values.
    Averaged,
    /// The largest value.
    High,
    /// The smallest value.
    Low,
    /// The first value by time.
    Beginning,
    /// The last value by time.
    End,
    /// The number of true values of a boolean metric of assets.
    CountTrue,
    /// The number of false values of a boolean metric of assets.
    CountFalse,
    /// The share of true among all boolean values of a metric of assets.
    FractionTrue,
    /// The default, as if the option were not given.
    Default,
}

impl From<Observed> for wire::Observed {
    fn from(observed: Observed) -> Self {
        match observed {
            Observed::Summed => Self::Summed,
            Observed::Averaged => Self::Averaged,
            Observed::High => Self::High,
            Observed::Low => Self::Low,
            Observed::Beginning => Self::Beginning,
            Observed::End => Self::End,
            Observed::CountTrue => Self::CountTrue,
            Observed::CountFalse => Self::CountFalse,
            Observed::FractionTrue => Self::FractionTrue,
            Observed::Default => Self::Unspecified,
        }
    }
}

/// The value of buckets without data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fill {
    /// The value 0.
    Zero,
    /// A row without a value.
    Null,
}

impl From<Fill> for wire::Fill {
    fn from(fill: Fill) -> Self {
        match fill {
            Fill::Zero => Self::Zero,
            Fill::Null => Self::Null,
        }
    }
}

/// The class of an event's method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodClass {
    /// Any method, or none.
    Any,
    /// get, head and options.
    Read,
    /// post, put and patch.
    Write,
    /// delete.
    Delete,
}

impl From<MethodClass> for wire::MethodClass {
    fn from(class: MethodClass) -> Self {
        match class {
            MethodClass::Any => Self::Unspecified,
            MethodClass::Read => Self::Read,
            MethodClass::Write => Self::Write,
            MethodClass::Delete => Self::Delete,
        }
    }
}

/// What a metric measures of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// 1 for each event.
    Count,
    /// The duration of events that have one.
    Duration,
    /// The response size of events that have one.
    ResponseSize,
    /// The value of events that have one.
    Value,
}

impl From<Measure> for wire::Measure {
    fn from(measure: Measure) -> Self {
        match measure {
            Measure::Count => Self::Count,
            Measure::Duration => Self::Duration,
            Measure::ResponseSize => Self::ResponseSize,
            Measure::Value => Self::Value,
        }
    }
}

/// An aggregation method in the spelling of its flag. Empty for the default.
pub(crate) fn observed(observed: wire::Observed) -> String {
    word(observed.as_str_name(), "OBSERVED_")
}

/// A class of methods in the spelling of its flag. Empty for any.
pub(crate) fn method_class(class: wire::MethodClass) -> String {
    word(class.as_str_name(), "METHOD_CLASS_")
}

/// A measure in the spelling of its flag. An unspecified measure is `count`.
pub(crate) fn measure(measure: wire::Measure) -> String {
    let word = word(measure.as_str_name(), "MEASURE_");
    if word.is_empty() { "count".into() } else { word }
}

/// A day of the week, such as `saturday`.
pub(crate) fn day_of_week(day: wire::DayOfWeek) -> String {
    word(day.as_str_name(), "DAY_OF_WEEK_")
}

/// The common name of a UCUM unit. Empty for none.
pub(crate) fn unit(unit: &str) -> &str {
    match unit {
        "1" => "count",
        "By" => "bytes",
        unit => unit,
    }
}

/// `built in` or the version of a definition.
pub(crate) fn origin(built_in: bool, version: i32) -> String {
    if built_in { "built in".into() } else { format!("version {version}") }
}

/// The part of a constant's name that differs from the other constants of its enum.
fn word(name: &str, prefix: &str) -> String {
    match name.strip_prefix(prefix).unwrap_or(name) {
        "UNSPECIFIED" => String::new(),
        name => name.to_lowercase().replace('_', "-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The word for a value of a flag.
    fn flag<E: ValueEnum>(value: &E) -> String {
        value.to_possible_value().unwrap().get_name().to_owned()
    }

    #[test]
    fn answers_use_the_words_of_the_flags() {
        for value in Observed::value_variants().iter().filter(|value| **value != Observed::Default) {
            assert_eq!(observed((*value).into()), flag(value));
        }
        for value in ObservedNumbers::value_variants() {
            let same = Observed::from_str(&flag(value), false).unwrap();
            assert_eq!(wire::Observed::from(*value), wire::Observed::from(same));
        }
        for value in Measure::value_variants() {
            assert_eq!(measure((*value).into()), flag(value));
        }
        for value in MethodClass::value_variants().iter().filter(|value| **value != MethodClass::Any) {
            assert_eq!(method_class((*value).into()), flag(value));
        }
        assert_eq!(observed(Observed::Default.into()), "");
        assert_eq!(method_class(MethodClass::Any.into()), "");
        assert_eq!(day_of_week(wire::DayOfWeek::Saturday), "saturday");
    }
}
