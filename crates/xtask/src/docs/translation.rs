//! Translates addresses, ids, times and days between a document and an installation.

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::shape::{Class, Pair, classed};

/// The comment that names the day on which a document is read.
const TODAY: &str = "<!-- console: today is ";

/// The replacements within one document.
#[derive(Debug, Default)]
pub(crate) struct Translation {
    /// The addresses in documents, and the real ones.
    addresses: Vec<(String, String)>,
    /// The ids, tokens and times of earlier outputs.
    carried: Vec<(String, String)>,
    /// The number of days from the day of the document to today.
    days: i64,
}

impl Translation {
    /// The replacements for a document, and for an installation with other addresses than the document shows.
    pub(crate) fn new(markdown: &str, addresses: Vec<(String, String)>) -> Result<Self, String> {
        let days = match markdown.split_once(TODAY) {
            None => 0,
            Some((_, rest)) => {
                let day = rest.split_whitespace().next().unwrap_or_default();
                let day: Date =
                    day.parse().map_err(|_| format!("expected a date after `{TODAY}`, found `{day}`"))?;
                let today = Timestamp::now().to_zoned_datetime(TimeZone::UTC).date();
                (today - day).get_days().into()
            }
        };
        Ok(Self { addresses, carried: Vec::new(), days })
    }

    /// Adds the texts of an output and their counterparts in the document.
    pub(crate) fn carry(&mut self, pairs: &[Pair<'_>]) {
        for (class, shown, real) in pairs {
            let is_carried = match class {
                Class::Id | Class::Token | Class::Opaque => true,
                // The end of a bucket is the same moment in every output; it moves with the days.
                Class::Time => !shown.contains(":00Z"),
                _ => false,
            };
            if is_carried {
                self.carried.retain(|(one, _)| one != shown);
                self.carried.push(((*shown).to_owned(), (*real).to_owned()));
            }
        }
    }

    /// A command as it is run.
    pub(crate) fn command(&self, command: &str) -> String {
        replace_classed(command, |class, text| {
            let known = self.addresses.iter().chain(&self.carried).find(|(shown, _)| shown == text);
            match known {
                Some((_, real)) => Some(real.clone()),
                None => moved(class, text, self.days),
            }
        })
    }

    /// A line of an output as a document shows it.
    pub(crate) fn line(&self, line: &str) -> String {
        replace_classed(line, |class, text| {
            let known = self.addresses.iter().chain(&self.carried).find(|(_, real)| real == text);
            match (known, class) {
                (Some((shown, _)), _) => Some(shown.clone()),
                // A real secret does not belong into a document.
                (None, Class::Token) => Some("fm_…".to_owned()),
                (None, _) => moved(class, text, -self.days),
            }
        })
    }
}

fn replace_classed(text: &str, replacement: impl Fn(Class, &str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut end = 0;
    for (class, range) in classed(text) {
        if let Some(other) = replacement(class, &text[range.clone()]) {
            out.push_str(&text[end..range.start]);
            out.push_str(&other);
            end = range.end;
        }
    }
    out.push_str(&text[end..]);
    out
}

/// A date or a time, moved by a number of days.
fn moved(class: Class, text: &str, days: i64) -> Option<String> {
    if days == 0 || !matches!(class, Class::Date | Class::Time) {
        return None;
    }
    let date: Date = text.get(..10)?.parse().ok()?;
    Some(format!("{}{}", date.checked_add(days.days()).ok()?, &text[10..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translation() -> Translation {
        let addresses = vec![("127.0.0.1:7071".to_owned(), "127.0.0.1:41234".to_owned())];
        Translation { days: 9, ..Translation::new("", addresses).unwrap() }
    }

    #[test]
    fn addresses_and_days_are_put_in_place_and_back() {
        let translation = translation();
        let (shown, real) = (
            "send 127.0.0.1:7071 --range 'between(2026-11-21T06:00:00Z,2026-11-22)'",
            "send 127.0.0.1:41234 --range 'between(2026-11-30T06:00:00Z,2026-12-01)'",
        );
        assert_eq!(translation.command(shown), real);
        assert_eq!(translation.line(real), shown);
    }

    #[test]
    fn an_id_that_was_shown_is_the_real_one_later() {
        let mut translation = translation();
        let (shown, real) = ("01a2020b-3c1d-7f05-9a5e-2f6c1f0b8e41", "01a20000-0000-7000-8000-000000000000");
        translation.carry(&[(Class::Id, shown, real), (Class::Number, "1", "2")]);
        assert_eq!(translation.command(&format!("get {shown} 1")), format!("get {real} 1"));
        assert_eq!(translation.line(&format!("id {real}")), format!("id {shown}"));
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(translation().line("export TOKEN=fm_abcDEF-1_2"), "export TOKEN=fm_…");
    }

    #[test]
    fn the_day_of_a_document_is_read() {
        let yesterday =
            Timestamp::now().to_zoned_datetime(TimeZone::UTC).date().checked_sub(1.day()).unwrap();
        let markdown = format!("# Title\n<!-- console: today is {yesterday} -->\n");
        assert_eq!(Translation::new(&markdown, Vec::new()).unwrap().days, 1);
        assert!(Translation::new("<!-- console: today is soon -->", Vec::new()).is_err());
    }
}
