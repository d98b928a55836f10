//! Working days: the days that are not on a weekend and not holidays. The module is independent of clocks and
//! time zones.

use jiff::civil::Weekday;

use super::days::{weekday_of, year_of, year_start};
use super::holiday::{Holiday, HolidayDay, Shift};

/// The maximum number of days by which a holiday is shifted. Real calendars do not have two months of
/// consecutive holidays.
const LONGEST_SHIFT_DAYS: i64 = 60;

/// Days that are not on a weekend and not holidays. If a year would have no working day, its first day is
/// one, so there is always a next working day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkingDays {
    weekend: [bool; 7],
    holidays: Vec<Holiday>,
}

impl WorkingDays {
    /// The days that are not in `weekend` and not in `holidays`, which must be valid.
    pub(super) fn new(weekend: &[Weekday], holidays: Vec<Holiday>) -> Self {
        let mut days = [false; 7];
        for day in weekend {
            days[monday_based(*day)] = true;
        }
        Self { weekend: days, holidays }
    }

    /// The working days, starting with the last one at or before a day.
    pub(super) fn from(&self, day: i64) -> impl Iterator<Item = i64> + '_ {
        let year = year_of(day);
        let mut days = self.of_year(year - 1);
        days.extend(self.of_year(year));
        // The year before has a working day.
        let first = days.partition_point(|working| *working <= day) - 1;
        days.into_iter().skip(first).chain((year + 1..).flat_map(|year| self.of_year(year)))
    }

    /// The number of days after `first`, up to and including `last`, that are not on a weekend.
    pub(super) fn weekdays_between(&self, first: i64, last: i64) -> i64 {
        let working = |day: i64| i64::from(!self.weekend[weekday_of(day)]);
        let a_week: i64 = (0..7).map(working).sum();
        let days = last - first;
        days.div_euclid(7) * a_week + (last - days.rem_euclid(7) + 1..=last).map(working).sum::<i64>()
    }

    /// The working days of a year in ascending order.
    fn of_year(&self, year: i64) -> Vec<i64> {
        let taken = self.taken_around(year);
        let days = year_start(year)..year_start(year + 1);
        let working: Vec<i64> = days.clone().filter(|day| !taken.has(*day)).collect();
        if working.is_empty() { vec![days.start] } else { working }
    }

    /// The weekends and holidays of a year. Includes the holidays of the adjacent years, because they can be
    /// shifted into this year.
    fn taken_around(&self, year: i64) -> Taken {
        let first = year_start(year - 1);
        let mut taken = Taken {
            first,
            days: (first..year_start(year + 2)).map(|day| self.weekend[weekday_of(day)]).collect(),
        };
        // Holidays that are not shifted are placed first, so they always keep their days.
        let mut shifted = Vec::new();
        for holiday in &self.holidays {
            for year in year - 1..=year + 1 {
                holiday.for_each_day(year, |day| match holiday.shift {
                    Some(shift) if self.weekend[weekday_of(day)] => shifted.push((day, shift)),
                    _ => taken.take(day),
                });
            }
        }
        shifted.sort_by_key(|(day, _)| *day);
        for (day, shift) in shifted {
            let step = match shift {
                Shift::Next => 1,
                Shift::Previous => -1,
            };
            let free = (1..=LONGEST_SHIFT_DAYS).map(|days| day + days * step).find(|day| !taken.has(*day));
            if let Some(day) = free {
                taken.take(day);
            }
        }
        taken
    }

    /// The first year in which the weekend and the rules `every …` cover every day.
    pub(super) fn year_without_working_days(&self) -> Option<i16> {
        // The rules change only in the first year of a rule. An expired rule only leaves more working days.
        let mut years: Vec<i16> = self.holidays.iter().filter_map(|holiday| holiday.from_year).collect();
        years.push(1);
        years.sort_unstable();
        years.into_iter().find(|year| {
            let mut free = self.weekend;
            for holiday in self.holidays.iter().filter(|holiday| holiday.is_in_force(i64::from(*year))) {
                if let HolidayDay::Every(weekday) = holiday.day {
                    free[monday_based(weekday)] = true;
                }
            }
            free == [true; 7]
        })
    }
}

/// The index of a weekday in a week that begins on Monday.
pub(super) fn monday_based(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).expect("0 to 6")
}

/// The days of a few years that are not working days.
struct Taken {
    first: i64,
    days: Vec<bool>,
}

impl Taken {
    fn index(&self, day: i64) -> Option<usize> {
        usize::try_from(day - self.first).ok().filter(|index| *index < self.days.len())
    }

    fn has(&self, day: i64) -> bool {
        self.index(day).is_some_and(|index| self.days[index])
    }

    fn take(&mut self, day: i64) {
        if let Some(index) = self.index(day) {
            self.days[index] = true;
        }
    }
}
