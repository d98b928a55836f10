//! The definition of a calendar: reads it from flags, and shows it.

use std::{io::Read, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use flowmeter_proto::v1::{Calendar, DayOfWeek, IntervalCalendar, WorkingDayCalendar, calendar::Kind};

use crate::{
    mask::Changes,
    moment,
    render::table::{Align, properties, table_within},
    words,
};

/// The flags of [`Definition`]. A change needs at least one of them.
pub(super) const FLAGS: [&str; 7] =
    ["description", "time_zone", "interval", "offset", "weekend", "holiday", "holidays_from"];

/// The flags that define how time is cut. A new calendar needs at least one of them.
pub(super) const KIND_FLAGS: [&str; 4] = ["interval", "weekend", "holiday", "holidays_from"];

/// The parts of a definition that the flags set.
#[derive(Debug, Args)]
pub(super) struct Definition {
    /// A description.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// The time zone, as an IANA name such as Europe/Berlin. Default: UTC.
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,

    /// Buckets of this length, an ISO 8601 duration such as PT15M, P1D, P1W or P1M.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["weekend", "holiday", "holidays_from"])]
    interval: Option<String>,

    /// How long after midnight, Monday or the first of a month buckets start, such as PT6H.
    /// Default: no offset.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["weekend", "holiday", "holidays_from"])]
    offset: Option<String>,

    /// Buckets from one working day to the next: the days of the weekend, such as sat,sun, or none.
    #[arg(long, value_name = "DAYS", value_parser = parse_weekend)]
    weekend: Option<Weekend>,

    /// A holiday, as a date or a rule; may be repeated.
    #[arg(long, value_name = "RULE")]
    holiday: Vec<String>,

    /// Read holidays from a file, or from standard input with -: one per line. Blank lines and
    /// lines that start with # are skipped.
    #[arg(long, value_name = "FILE")]
    holidays_from: Option<PathBuf>,
}

/// The days of a weekend.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Weekend(Vec<DayOfWeek>);

/// The days of the week, starting on Monday.
fn days() -> impl Iterator<Item = DayOfWeek> {
    (1..=7).filter_map(|day| DayOfWeek::try_from(day).ok())
}

/// Reads days, such as `sat,sun` or `friday`, or `none`.
fn parse_weekend(text: &str) -> Result<Weekend, String> {
    if text == "none" {
        return Ok(Weekend(Vec::new()));
    }
    let mut weekend = Vec::new();
    for part in text.split(',') {
        let part = part.trim().to_lowercase();
        let day = days().find(|day| {
            let word = words::day_of_week(*day);
            word == part || word[..3] == part
        });
        let day = day.ok_or("expected days separated by commas, such as sat,sun, or none")?;
        if !weekend.contains(&day) {
            weekend.push(day);
        }
    }
    Ok(Weekend(weekend))
}

/// Reads holidays, one per line. Blank lines and lines that start with `#` are skipped.
fn read_holidays(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned)
}

impl Definition {
    /// Whether a change needs the current calendar, because an update replaces the whole rule that cuts time.
    pub(super) fn needs_current(&self) -> bool {
        self.interval.is_some() != self.offset.is_some() || self.weekend.is_some() != self.has_holidays()
    }

    fn has_holidays(&self) -> bool {
        !self.holiday.is_empty() || self.holidays_from.is_some()
    }

    /// Sets the given parts of a calendar, and adds them to the changes.
    pub(super) fn apply(self, calendar: &mut Calendar, changes: &mut Changes) -> Result<()> {
        if self.interval.is_some() || self.offset.is_some() {
            let mut interval = match calendar.kind.take() {
                Some(Kind::Interval(interval)) => interval,
                _ if self.interval.is_none() => {
                    bail!("{} has no interval for an offset: expected --interval", calendar.code)
                }
                _ => IntervalCalendar::default(),
            };
            changes.set("interval", &mut interval.interval, self.interval.clone());
            changes.set("interval", &mut interval.offset, self.offset.clone());
            calendar.kind = Some(Kind::Interval(interval));
        }
        let holidays = self.holidays()?;
        if self.weekend.is_some() || holidays.is_some() {
            let mut days = match calendar.kind.take() {
                Some(Kind::WorkingDays(days)) => days,
                _ => WorkingDayCalendar::default(),
            };
            let weekend = self.weekend.map(|weekend| weekend.0.into_iter().map(Into::into).collect());
            changes.set("working_days", &mut days.weekend, weekend);
            changes.set("working_days", &mut days.holidays, holidays);
            calendar.kind = Some(Kind::WorkingDays(days));
        }
        changes.set("description", &mut calendar.description, self.description);
        changes.set("time_zone", &mut calendar.time_zone, self.time_zone);
        Ok(())
    }

    /// The holidays from the flags and from the file.
    fn holidays(&self) -> Result<Option<Vec<String>>> {
        if !self.has_holidays() {
            return Ok(None);
        }
        let mut holidays: Vec<_> = self.holiday.iter().filter(|rule| !rule.is_empty()).cloned().collect();
        if let Some(file) = &self.holidays_from {
            let mut text = String::new();
            let read = if file.as_os_str() == "-" {
                std::io::stdin().read_to_string(&mut text)
            } else {
                std::fs::File::open(file).and_then(|mut file| file.read_to_string(&mut text))
            };
            read.with_context(|| format!("cannot read {}", file.display()))?;
            holidays.extend(read_holidays(&text));
        }
        Ok(Some(holidays))
    }
}

/// A table of calendars, at most `columns` wide.
pub(super) fn rows(calendars: &[Calendar], columns: usize) -> String {
    let heading = ["CODE", "BUCKETS", "TIME ZONE", "ORIGIN", "DESCRIPTION"];
    let row = |calendar: &Calendar| {
        let holidays = match &calendar.kind {
            Some(Kind::WorkingDays(days)) if days.holidays.len() == 1 => ", 1 holiday".to_owned(),
            Some(Kind::WorkingDays(days)) => format!(", {} holidays", days.holidays.len()),
            _ => String::new(),
        };
        [
            calendar.code.clone(),
            buckets(calendar) + &holidays,
            time_zone(calendar),
            words::origin(calendar.built_in, calendar.version),
            description(calendar),
        ]
    };
    let rows: Vec<_> = calendars.iter().map(row).collect();
    table_within(columns, heading.map(|title| (title, Align::Left)), rows)
}

/// All properties of a calendar, with a line for each holiday.
pub(super) fn describe(calendar: &Calendar) -> String {
    let mut pairs = vec![
        ("code", calendar.code.clone()),
        ("description", description(calendar)),
        ("buckets", buckets(calendar)),
        ("time zone", time_zone(calendar)),
        ("origin", words::origin(calendar.built_in, calendar.version)),
        ("created", moment::rfc3339(calendar.create_time.as_ref())),
        ("changed", moment::rfc3339(calendar.update_time.as_ref())),
    ];
    if let Some(Kind::WorkingDays(days)) = &calendar.kind {
        pairs.extend(days.holidays.iter().map(|rule| ("holiday", rule.clone())));
    }
    properties(&pairs)
}

/// The description of a calendar. Empty for a built-in one: its description says how it cuts time, and
/// [`buckets`] shows it.
fn description(calendar: &Calendar) -> String {
    if calendar.kind.is_none() { String::new() } else { calendar.description.clone() }
}

/// How a calendar cuts time, in words.
fn buckets(calendar: &Calendar) -> String {
    match &calendar.kind {
        None => calendar.description.clone(),
        Some(Kind::Interval(interval)) if interval.offset.is_empty() => interval.interval.clone(),
        Some(Kind::Interval(interval)) => format!("{}, offset {}", interval.interval, interval.offset),
        Some(Kind::WorkingDays(days)) => {
            let weekend: Vec<_> = days.weekend().map(words::day_of_week).collect();
            match weekend.as_slice() {
                [] => "working days, no weekend".into(),
                weekend => format!("working days, weekend {}", weekend.join(" and ")),
            }
        }
    }
}

fn time_zone(calendar: &Calendar) -> String {
    if calendar.time_zone.is_empty() { "UTC".into() } else { calendar.time_zone.clone() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use proptest::prelude::*;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn definition(arguments: &[&str]) -> Option<Definition> {
        let arguments = ["flowmeter", "calendar", "update", "OWN"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).ok()?.command {
            Command::Calendar(super::super::Calendar::Update(update)) => Some(update.definition),
            _ => None,
        }
    }

    fn apply(arguments: &[&str], calendar: &mut Calendar) -> Vec<String> {
        let mut changes = Changes::default();
        definition(arguments).unwrap().apply(calendar, &mut changes).unwrap();
        changes.mask().unwrap().paths
    }

    fn gas() -> Calendar {
        let interval = IntervalCalendar { interval: "P1D".into(), offset: "PT6H".into() };
        Calendar {
            code: "GAS".into(),
            description: "The gas day".into(),
            time_zone: "Europe/Berlin".into(),
            kind: Some(Kind::Interval(interval)),
            version: 2,
            ..Calendar::default()
        }
    }

    fn office() -> Calendar {
        let mut calendar = Calendar { code: "OFFICE".into(), version: 1, ..Calendar::default() };
        apply(
            &["--weekend", "sat,Sunday", "--holiday", "easter - 2 days", "--holiday", "2026-12-28"],
            &mut calendar,
        );
        calendar
    }

    #[test]
    fn changing_a_part_keeps_the_rest() {
        let mut calendar = gas();
        assert_eq!(apply(&["--offset", "PT5H"], &mut calendar), ["interval"]);
        assert_eq!(buckets(&calendar), "P1D, offset PT5H");
        let mut calendar = office();
        assert_eq!(
            apply(&["--weekend", "none", "--description", "d"], &mut calendar),
            ["working_days", "description"]
        );
        let Some(Kind::WorkingDays(days)) = &calendar.kind else { panic!("{calendar:?}") };
        assert_eq!((days.weekend.len(), days.holidays.len()), (0, 2));
        assert_eq!(apply(&["--holiday", ""], &mut calendar), ["working_days"]);
        assert_eq!(rows(&[calendar], usize::MAX).lines().count(), 2);
        // A change of the kind replaces the definition.
        let mut calendar = gas();
        assert_eq!(apply(&["--weekend", "fri"], &mut calendar), ["working_days"]);
        assert_eq!(buckets(&calendar), "working days, weekend friday");
    }

    #[test]
    fn an_offset_needs_an_interval() {
        let mut calendar = office();
        let given = definition(&["--offset", "PT6H"]).unwrap();
        let error = given.apply(&mut calendar, &mut Changes::default()).unwrap_err();
        assert_eq!(error.to_string(), "OFFICE has no interval for an offset: expected --interval");
    }

    #[test]
    fn only_partial_changes_need_the_current_calendar() {
        let needs = |arguments: &[&str]| definition(arguments).unwrap().needs_current();
        assert!(needs(&["--offset", "PT6H"]) && needs(&["--weekend", "sat"]) && needs(&["--holiday", "x"]));
        assert!(!needs(&["--description", "d"]) && !needs(&["--interval", "P1D", "--offset", "PT6H"]));
        assert!(!needs(&["--weekend", "sat", "--holidays-from", "file"]));
    }

    #[test]
    fn conflicting_flags_are_refused() {
        for wrong in [
            &[][..],
            &["--version", "2"],
            &["--interval", "P1D", "--weekend", "sat"],
            &["--offset", "PT6H", "--holiday", "2026-12-28"],
            &["--weekend", "satur"],
            &["--weekend", ""],
        ] {
            assert!(definition(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn holidays_are_read_line_by_line() {
        let text = "# England\n25 of December, shifted\r\n\n  easter - 2 days  \n";
        let read: Vec<_> = read_holidays(text).collect();
        assert_eq!(read, ["25 of December, shifted", "easter - 2 days"]);
    }

    #[test]
    fn calendars_are_listed_and_described() {
        let built_in = Calendar {
            code: "BUSINESS".into(),
            description: "Monday to Friday".into(),
            built_in: true,
            ..Calendar::default()
        };
        insta::assert_snapshot!(rows(&[built_in, gas(), office()], usize::MAX), @r"
        CODE      BUCKETS                                                TIME ZONE      ORIGIN     DESCRIPTION
        BUSINESS  Monday to Friday                                       UTC            built in
        GAS       P1D, offset PT6H                                       Europe/Berlin  version 2  The gas day
        OFFICE    working days, weekend saturday and sunday, 2 holidays  UTC            version 1
        ");
        insta::assert_snapshot!(describe(&office()), @r"
        code       OFFICE
        buckets    working days, weekend saturday and sunday
        time zone  UTC
        origin     version 1
        holiday    easter - 2 days
        holiday    2026-12-28
        ");
    }

    proptest! {
        #[test]
        fn weekends_are_read_in_every_spelling(
            chosen in prop::collection::vec((1..=7_i32, any::<bool>(), any::<bool>()), 1..7),
        ) {
            let spell = |(day, short, upper): &(i32, bool, bool)| {
                let word = words::day_of_week(DayOfWeek::try_from(*day).unwrap());
                let word = if *short { word[..3].to_owned() } else { word };
                if *upper { word.to_uppercase() } else { word }
            };
            let text = chosen.iter().map(spell).collect::<Vec<_>>().join(", ");
            let read: Vec<i32> = parse_weekend(&text).unwrap().0.into_iter().map(Into::into).collect();
            for (day, ..) in &chosen {
                prop_assert_eq!(read.iter().filter(|read| *read == day).count(), 1);
            }
            prop_assert!(read.iter().all(|day| chosen.iter().any(|(chosen, ..)| chosen == day)));
        }
    }
}
