//! Days, months and years as numbers in the Gregorian calendar. Days are counted from 1970-01-01, and months
//! from January of the year 0. The numbers are not limited to the years 1 to 9999, so the last bucket of the
//! year 9999 is not a special case.

/// A minute in microseconds.
pub(super) const MINUTE: i64 = 60_000_000;
/// An hour in microseconds.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// A day of 24 hours in microseconds.
pub(super) const DAY: i64 = 24 * HOUR;

/// The number of days from 0000-01-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_528;

/// The number of days before each month in a common year.
const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// The number of a month. `month` is counted from 1.
pub(super) fn month_number(year: i64, month: i8) -> i64 {
    year * 12 + i64::from(month) - 1
}

/// The first day of a month.
pub(super) fn month_start(month_number: i64) -> i64 {
    let (year, month) = (month_number.div_euclid(12), month_number.rem_euclid(12));
    let leap = year.rem_euclid(4) == 0 && (year.rem_euclid(100) != 0 || year.rem_euclid(400) == 0);
    let before = BEFORE_MONTH[usize::try_from(month).expect("less than 12")];
    year_start(year) + before + i64::from(leap && month > 1)
}

/// The first day of a year.
pub(super) fn year_start(year: i64) -> i64 {
    let leap_days = (year + 3).div_euclid(4) - (year + 99).div_euclid(100) + (year + 399).div_euclid(400);
    365 * year + leap_days - EPOCH_DAY
}

/// The year of a day.
pub(super) fn year_of(day: i64) -> i64 {
    // 400 years have 146,097 days. The quotient is off by at most one.
    let year = ((day + EPOCH_DAY) * 400).div_euclid(146_097);
    if day < year_start(year) {
        year - 1
    } else if day >= year_start(year + 1) {
        year + 1
    } else {
        year
    }
}

/// The number of the month of a day.
pub(super) fn month_of(day: i64) -> i64 {
    let january = year_of(day) * 12;
    (january..january + 12).rev().find(|month| month_start(*month) <= day).unwrap_or(january)
}

/// The day of the week. Monday is 0.
pub(super) fn weekday_of(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).expect("less than 7")
}

/// Easter Sunday of the Western churches: the Sunday after the first full moon on or after 21 March,
/// according to the Gregorian tables.
pub(super) fn easter(year: i64) -> i64 {
    let golden = year.rem_euclid(19);
    let century = year.div_euclid(100);
    // The corrections for leap years and for the moon.
    let solar = century - century.div_euclid(4);
    let lunar = (8 * century + 13).div_euclid(25);
    // The number of days from 21 March to the full moon.
    let mut moon = (19 * golden + solar - lunar + 15).rem_euclid(30);
    // The full moon is never on 19 April, and at most once on 18 April in a cycle of 19 years.
    if moon == 29 || (moon == 28 && golden > 10) {
        moon -= 1;
    }
    let full = month_start(month_number(year, 3)) + 20 + moon;
    let to_sunday = 7 - (weekday_of(full) + 1) % 7;
    full + i64::try_from(to_sunday).expect("at most 7")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::Date;
    use proptest::prelude::*;

    fn day(year: i16, month: i8, day: i8) -> i64 {
        month_start(month_number(i64::from(year), month)) + i64::from(day) - 1
    }

    #[test]
    fn easter_agrees_with_the_tables() {
        for (year, month, of_month) in [
            (1961, 4, 2),
            (1970, 3, 29),
            (1981, 4, 19),
            (2000, 4, 23),
            (2008, 3, 23),
            (2018, 4, 1),
            (2019, 4, 21),
            (2020, 4, 12),
            (2021, 4, 4),
            (2022, 4, 17),
            (2023, 4, 9),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
            (2049, 4, 18),
            (2076, 4, 19),
            (2285, 3, 22),
        ] {
            assert_eq!(easter(i64::from(year)), day(year, month, of_month), "{year}");
        }
    }

    proptest! {
        #[test]
        fn days_agree_with_jiff(year in 1..=9999_i16, month in 1..=12_i8, of_month in 1..=28_i8) {
            let date = Date::new(year, month, of_month).unwrap();
            let epoch = Date::new(1970, 1, 1).unwrap();
            let number = day(year, month, of_month);
            prop_assert_eq!(number, i64::from((date - epoch).get_days()));
            prop_assert_eq!(year_of(number), i64::from(year));
            prop_assert_eq!(month_of(number), month_number(i64::from(year), month));
            prop_assert_eq!(weekday_of(number), usize::try_from(date.weekday().to_monday_zero_offset()).unwrap());
        }
    }
}
