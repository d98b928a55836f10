//! How values of assets are read as time series: numbers as those of any metric, booleans by counting.

use crate::metric::Observed;
use crate::usage::Field;

/// The one field by which values of assets are chosen and told apart: the URN of their asset.
#[must_use]
pub fn urn_field() -> Field {
    Field::Attribute("asset_urn".to_owned())
}

/// How the booleans of a bucket become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Truth {
    /// How many are true.
    CountTrue,
    /// How many are false.
    CountFalse,
    /// Those that are true by all.
    FractionTrue,
}

/// Which values of a bucket become one, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reading {
    /// The numbers.
    Numbers(Observed),
    /// The booleans. Only assets have any.
    Booleans(Truth),
}

impl Reading {
    const OF_BOOLEANS: [Truth; 3] = [Truth::CountTrue, Truth::CountFalse, Truth::FractionTrue];

    /// Its name, as the store keeps it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Numbers(observed) => observed.name(),
            Self::Booleans(Truth::CountTrue) => "count_true",
            Self::Booleans(Truth::CountFalse) => "count_false",
            Self::Booleans(Truth::FractionTrue) => "fraction_true",
        }
    }

    /// The reading of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut booleans = Self::OF_BOOLEANS.into_iter().map(Self::Booleans);
        Observed::named(name).map(Self::Numbers).or_else(|| booleans.find(|reading| reading.name() == name))
    }

    /// How numbers become one; none of booleans.
    #[must_use]
    pub const fn of_numbers(self) -> Option<Observed> {
        match self {
            Self::Numbers(observed) => Some(observed),
            Self::Booleans(_) => None,
        }
    }

    /// The unit of what it makes of values of assets, in UCUM's notation: only the sender knows that of a
    /// number.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Numbers(_) => "",
            Self::Booleans(_) => "1",
        }
    }
}

/// What there is to read of a metric of assets. Its values can be of several types, of which texts cannot
/// be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readable {
    /// Numbers alone.
    Numbers,
    /// Booleans alone.
    Booleans,
    /// Both.
    NumbersAndBooleans,
}

impl Readable {
    /// What there is, by whether there are numbers and booleans.
    #[must_use]
    pub const fn of(numbers: bool, booleans: bool) -> Option<Self> {
        match (numbers, booleans) {
            (true, true) => Some(Self::NumbersAndBooleans),
            (true, false) => Some(Self::Numbers),
            (false, true) => Some(Self::Booleans),
            (false, false) => None,
        }
    }

    /// Whether there is something for a reading to read.
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
    fn a_reading_suits_what_there_is() {
        for (numbers, booleans, suiting) in
            [(true, false, 6), (false, true, 3), (true, true, 9), (false, false, 0)]
        {
            let readable = Readable::of(numbers, booleans);
            let suits = |reading: &Reading| readable.is_some_and(|readable| readable.suits(*reading));
            assert_eq!(all().filter(suits).count(), suiting);
        }
    }
}
