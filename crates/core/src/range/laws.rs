//! Properties of all ranges, and comparisons of rules with simpler computations.

use jiff::civil::{DateTime, Weekday};
use jiff::{Span, ToSpan, ZonedDateTime};
use proptest::option;
use proptest::prelude::*;

use super::*;

const ZONES: [&str; 6] =
    ["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"];

/// All times that an event can have.
const MICROS: std::ops::Range<i64> = 0..253_402_300_800_000_000;

fn reference(now: i64, zone: &str) -> Reference {
    let now = Timestamp::from_micros(now);
    let horizon = now.plus(std::time::Duration::from_hours(24));
    Reference { now, zone: TimeZone::get(zone).unwrap(), horizon }
}

fn resolve(text: &str, reference: &Reference) -> Result<TimeRange, SyntaxError> {
    text.parse::<RangeExpression>()?.resolve(reference)
}

fn zone() -> impl Strategy<Value = &'static str> {
    prop::sample::select(ZONES.to_vec())
}

/// Any selection of parts in their order. `text` formats the letter and the number of a part.
fn parts(
    letters: &'static [(char, u32, u32)],
    text: fn(char, u32) -> String,
) -> impl Strategy<Value = String> {
    let parts: Vec<_> = letters
        .iter()
        .map(|(letter, least, most)| {
            let number = prop_oneof![*least..=(*most).min(least + 60), *least..=*most];
            option::of(number.prop_map(move |number| text(*letter, number)))
        })
        .collect();
    parts.prop_map(|parts| parts.into_iter().flatten().collect())
}

fn rule() -> impl Strategy<Value = String> {
    const MOST: u32 = 999_999;
    const SHIFTS: &[(char, u32, u32)] = &[
        ('Y', 0, MOST),
        ('Q', 0, MOST),
        ('M', 0, MOST),
        ('W', 0, MOST),
        ('B', 0, MOST),
        ('D', 0, MOST),
        ('h', 0, MOST),
        ('m', 0, MOST),
        ('s', 0, MOST),
    ];
    const FIELDS: &[(char, u32, u32)] = &[
        ('Y', 1970, 9999),
        ('Q', 1, 4),
        ('M', 1, 12),
        ('W', 1, 53),
        ('D', 1, 31),
        ('h', 0, 23),
        ('m', 0, 59),
        ('s', 0, 59),
    ];
    let shifts = parts(SHIFTS, |unit, number| format!("{number}{unit}"));
    let fields = parts(FIELDS, |field, number| format!("{field}{number}"));
    let shifts = (prop::sample::select(vec!["+", "-"]), shifts)
        .prop_map(|(sign, shifts)| if shifts.is_empty() { shifts } else { format!("{sign}{shifts}") });
    (
        prop::sample::select(vec!["T", "t"]),
        prop_oneof![Just(String::new()), shifts],
        prop_oneof![Just(String::new()), fields],
    )
        .prop_map(|(t, shifts, fields)| format!("{t}{shifts}{fields}"))
}

fn date() -> impl Strategy<Value = String> {
    let year = || prop_oneof![1969_u32..2040, 9995_u32..=9999, 0_u32..=9999];
    prop_oneof![
        year().prop_map(|year| format!("{year:04}")),
        (year(), 1..=4).prop_map(|(year, quarter)| format!("{year:04}Q{quarter}")),
        (year(), 1..=12).prop_map(|(year, month)| format!("{year:04}M{month:02}")),
        (year(), 1..=52).prop_map(|(year, week)| format!("{year:04}W{week:02}")),
        (year(), 1..=12, 1..=28, "([T ](0[0-9]|1[0-9]|2[0-3])(:[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?)?)?")
            .prop_map(|(year, month, day, time)| format!("{year:04}-{month:02}-{day:02}{time}")),
    ]
}

/// A text of the grammar.
fn expression() -> impl Strategy<Value = String> {
    let point = || {
        let date = prop_oneof![date(), rule()];
        (date, option::of(zone())).prop_map(|(date, zone)| match zone {
            Some(zone) => format!("{date}[{zone}]"),
            None => date,
        })
    };
    let argument =
        || option::of(zone()).prop_map(|zone| zone.map_or(String::new(), |zone| format!(", {zone}")));
    prop_oneof![
        point(),
        (prop::sample::select(vec!["from", "to", "within"]), point(), argument())
            .prop_map(|(name, point, zone)| format!("{name}({point}{zone})")),
        (point(), point(), argument())
            .prop_map(|(first, last, zone)| format!("between({first},{last}{zone})")),
        (1..=25_000).prop_map(|buckets| format!("last({buckets})")),
    ]
}

/// Counts the days from Monday to Friday individually.
fn walk(mut date: jiff::civil::Date, days: i64) -> jiff::civil::Date {
    let mut left = days.abs();
    while left > 0 {
        date = date.checked_add(days.signum().days()).unwrap();
        left -= i64::from(!matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday));
    }
    date
}

proptest! {
    #[test]
    fn printed_expressions_parse_to_the_same_expression(text in expression().prop_filter("fits", |text| text.len() <= MAX_BYTES)) {
        let expression: RangeExpression = text.parse().unwrap();
        let printed = expression.to_string();
        let back: RangeExpression = printed.parse().unwrap();
        prop_assert_eq!(&back, &expression);
        prop_assert_eq!(back.to_string(), printed);
    }

    #[test]
    fn a_range_has_a_place_or_an_error(
        text in expression(),
        now in prop_oneof![MICROS, Just(0), Just(MICROS.end - 1)],
        zone in zone(),
    ) {
        match resolve(&text, &reference(now, zone)) {
            Ok(range) => {
                prop_assert!(range.start < range.end);
                prop_assert!(range.start >= Timestamp::EPOCH && range.end <= Timestamp::END);
            }
            Err(error) => prop_assert!((1..=text.len() + 1).contains(&error.position)),
        }
    }

    #[test]
    fn parsing_never_panics(
        text in "((from|between|to|within|last|)\\(?[0-9TtYQMWBDhms:,.+\\[\\]\" Z-]{0,30}\\)?\\PC?|\\PC{0,40})",
        now in MICROS,
    ) {
        if let Ok(range) = resolve(&text, &reference(now, "Europe/London")) {
            prop_assert!(range.start < range.end);
        }
    }

    /// Changes one character of a text of the grammar.
    #[test]
    fn a_typing_error_never_panics(text in expression(), at in any::<prop::sample::Index>(), slip in "\\PC?", now in MICROS) {
        let mut characters: Vec<String> = text.chars().map(String::from).collect();
        *at.get_mut(&mut characters) = slip;
        let text: String = characters.concat();
        if let Err(error) = resolve(&text, &reference(now, "America/New_York")) {
            prop_assert!(error.position <= text.chars().count() + 1);
        }
    }

    /// Compares a shift of all units with jiff.
    #[test]
    fn shifts_agree_with_jiff(
        now in 1_000_000_000_000_000_i64..2_000_000_000_000_000,
        zone in zone(),
        back in any::<bool>(),
        [months, weeks, days] in [0_i64..200, 0_i64..100, 0_i64..1_000],
        [hours, minutes, seconds] in [0_i64..2_000, 0_i64..10_000, 1_i64..100_000],
    ) {
        let reference = reference(now, zone);
        let sign = if back { '-' } else { '+' };
        let rule = format!("T{sign}{months}M{weeks}W{days}D{hours}h{minutes}m{seconds}s");
        let span = Span::new().months(months).weeks(weeks).days(days).hours(hours).minutes(minutes).seconds(seconds);
        let now: ZonedDateTime = reference.now.to_jiff().to_zoned_datetime(reference.zone.clone());
        let expected = if back { now.checked_sub(span) } else { now.checked_add(span) }.unwrap();
        let found = resolve(&rule, &reference).unwrap();
        let expected = Timestamp::from(expected.timestamp());
        // The range is this second, and extends to its second occurrence if it occurs twice.
        prop_assert!(found.start <= expected && expected < found.end, "{:?} {}", found, expected);
        let second = found.end.since(found.start).as_secs();
        prop_assert!(second == 1 || [1_801, 3_601].contains(&second), "{}", second);
    }

    #[test]
    fn hours_are_counted_in_elapsed_time(now in 1_000_000_000_000_000_i64..2_000_000_000_000_000, hours in 0_i64..5_000) {
        let found = resolve(&format!("T-{hours}h"), &reference(now, "UTC")).unwrap();
        let hour = 3_600_000_000;
        prop_assert_eq!(found.start.micros(), (now - hours * hour) / hour * hour);
        prop_assert_eq!(found.end.micros() - found.start.micros(), hour);
    }

    #[test]
    fn business_days_agree_with_counting_them_individually(day in 0_i64..40_000, days in -600_i64..=600) {
        let date = DateTime::constant(1980, 1, 1, 12, 0, 0, 0).date().checked_add(day.days()).unwrap();
        let now: Timestamp = date.at(12, 0, 0, 0).to_zoned_datetime(TimeZone::UTC).unwrap().timestamp().into();
        let found = resolve(&format!("T{days:+}B"), &reference(now.micros(), "UTC")).unwrap();
        let expected = walk(date, days).to_zoned_datetime(TimeZone::UTC).unwrap().timestamp();
        prop_assert_eq!(found.start, Timestamp::from(expected));
    }

    /// Each day begins at the end of the previous one, even when clocks change.
    #[test]
    fn periods_tile_time(day in 0_i64..30_000, zone in zone(), hour in 0..23_u8) {
        let date = jiff::civil::date(1971, 1, 1).checked_add(day.days()).unwrap();
        let next = date.tomorrow().unwrap();
        let reference = reference(0, zone);
        let place = |text: String| resolve(&text, &reference);
        let (today, tomorrow) = (place(date.to_string()).unwrap(), place(next.to_string()).unwrap());
        prop_assert_eq!(today.end, tomorrow.start);
        let hours = (place(format!("{date}T{hour:02}")), place(format!("{date}T{:02}", hour + 1)));
        if let (Ok(this), Ok(next)) = hours {
            prop_assert_eq!(this.end, next.start);
        }
    }
}
