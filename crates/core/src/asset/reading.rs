//! How values of assets are aggregated into time series: numbers like those of any metric, booleans by counting.

use crate::metric::Observed;
use crate::usage::Field;

/// The only field by which values of assets can be filtered and grouped: the URN of their asset.
#[must_use]
pub fn urn_field() -> Field {
    Field::Attribute("asset_urn".to_owned())
}

/// How the booleans of a bucket are aggregated into one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// The number of true values.
    CountTrue,
    /// The number of false values.
    CountFalse,
    /// The share of true among all boolean values.
    FractionTrue,
}

/// Which values of a bucket are aggregated, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reading {
    /// The numbers.
    Numbers(Observed),
    /// The booleans. Only assets have any.
    Booleans(Truth),
}

impl Reading {
    const OF_BOOLEANS: [Truth; 3] = [Truth::CountTrue, Truth::CountFalse, Truth::FractionTrue];

    /// The name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Numbers(observed) => observed.name(),
            Self::Booleans(Truth::CountTrue) => "count_true",
            Self::Booleans(Truth::CountFalse) => "count_false",
            Self::Booleans(Truth::FractionTrue) => "fraction_true",
        }
    }

    /// The reading with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut booleans = Self::OF_BOOLEANS.into_iter().map(Self::Booleans);
        Observed::named(name).map(Self::Numbers).or_else(|| booleans.find(|reading| reading.name() == name))
    }

    /// How numbers are aggregated. None if booleans are read.
    #[must_use]
    pub const fn of_numbers(self) -> Option<Observed> {
        match self {
            Self::Numbers(observed) => Some(observed),
            Self::Booleans(_) => None,
        }
    }

    /// The unit of the aggregated value in UCUM's notation. Empty for numbers, whose unit only the sender knows.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Numbers(_) => "",
            Self::Booleans(_) => "1",
        }
    }
}

/// Which types of values an asset metric has that can be read as time series. Strings cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// Only numbers.
    Numbers,
    /// Only booleans.
    Booleans,
    /// Both.
    NumbersAndBooleans,
}

impl Readable {
    /// The types, by whether there are numbers and booleans. None if there are neither.
    #[must_use]
    pub const fn of(numbers: bool, booleans: bool) -> Option<Self> {
        match (numbers, booleans) {
            (true, true) => Some(Self::NumbersAndBooleans),
            (true, false) => Some(Self::Numbers),
            (false, true) => Some(Self::Booleans),
            (false, false) => None,
        }
    }

    /// Whether there are values of the type that `reading` aggregates.
    #[must_use]
    pub const fn suits(self, reading: Reading) -> bool {
        match reading {
            Reading::Numbers(_) => matches!(self, Self::Numbers | Self::NumbersAndBooleans),
            Reading::Booleans(_) => matches!(self, Self::Booleans | Self::NumbersAndBooleans),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = Reading> {
        let booleans = Reading::OF_BOOLEANS.into_iter().map(Reading::Booleans);
        Observed::ALL.into_iter().map(Reading::Numbers).chain(booleans)
    }

    #[test]
    fn a_reading_is_found_by_its_name() {
        assert_eq!(all().count(), 9);
        for reading in all() {
            assert_eq!(Reading::named(reading.name()), Some(reading));
        }
        assert_eq!(Reading::named("count-true"), None);
    }

    #[test]
    fn a_reading_suits_the_types_it_aggregates() {
        for (numbers, booleans, suiting) in
            [(true, false, 6), (false, true, 3), (true, true, 9), (false, false, 0)]
        {
            let readable = Readable::of(numbers, booleans);
            let suits = |reading: &Reading| readable.is_some_and(|readable| readable.suits(*reading));
            assert_eq!(all().filter(suits).count(), suiting);
        }
    }
}
