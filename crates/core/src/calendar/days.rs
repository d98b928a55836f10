//! Days, months and years as numbers. Days count from 1970-01-01 and months from January
//! of the year 0, in the Gregorian calendar and in both directions without an end, so that
//! the last bucket of the year 9999 needs no special case.

/// Microseconds of a minute.
pub(super) const MINUTE: i64 = 60_000_000;
/// Microseconds of an hour.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// Microseconds of a day of 24 hours.
pub(super) const DAY: i64 = 24 * HOUR;

/// The days from 0000-01-01 to 1970-01-01.
const EPOCH_DAY: i64 = 719_528;

/// The days of a common year before each of its months.
const BEFORE_MONTH: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// The number of a month, of which `month` is counted from 1.
pub(super) fn month_number(year: i64, month: i8) -> i64 {
    year * 12 + i64::from(month) - 1
}

/// The first day of the month of that number.
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

/// The year in which a day lies.
pub(super) fn year_of(day: i64) -> i64 {
    // 400 years have 146,097 days; the quotient is off by one at most.
    let year = ((day + EPOCH_DAY) * 400).div_euclid(146_097);
    if day < year_start(year) {
        year - 1
    } else if day >= year_start(year + 1) {
        year + 1
    } else {
        year
    }
}

/// The number of the month in which a day lies.
pub(super) fn month_of(day: i64) -> i64 {
    let january = year_of(day) * 12;
    (january..january + 12).rev().find(|month| month_start(*month) <= day).unwrap_or(january)
}

/// The day of the week, 0 on Mondays.
pub(super) fn weekday_of(day: i64) -> usize {
    usize::try_from((day + 3).rem_euclid(7)).expect("less than 7")
}

/// Easter Sunday of the Western churches: the Sunday after the first full moon from
/// 21 March on, with the moon of the Gregorian tables.
pub(super) fn easter(year: i64) -> i64 {
    let golden = year.rem_euclid(19);
    let century = year.div_euclid(100);
    // The tables lose the leap days of most centuries, and gain a day in 312 years.
    let solar = century - century.div_euclid(4);
    let lunar = (8 * century + 13).div_euclid(25);
    // How many days after 21 March the moon is full.
    let mut moon = (19 * golden + solar - lunar + 15).rem_euclid(30);
    // No full moon on 19 April, and none twice on 18 April in a cycle of 19 years.
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
    fn easter_is_where_the_tables_put_it() {
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
        fn days_are_those_of_the_civil_calendar(year in 1..=9999_i16, month in 1..=12_i8, of_month in 1..=28_i8) {
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
