//! The requests by their latency in whole seconds.

use flowmeter_proto::v1::FlowDataPoint;

use super::{
    Frame, Report, Unit,
    points::{count, number},
    section as titled,
};
use crate::{
    render::{
        chart,
        table::{Align, table},
        text::{percent, width},
    },
    words::flow::FlowMetric,
};

/// The keys of latencies, ascending: seconds, rounded up, and more than ten seconds.
pub(super) const KEYS: [&str; 11] = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "10+"];

/// The maximum width of a bar.
const BAR: usize = 44;

/// The section of latency: percentiles and the distribution.
pub(super) fn section(report: &Report<'_>, frame: &Frame) -> String {
    let points = report.points(FlowMetric::Latency);
    let counts = KEYS.map(|key| points.total(key));
    let all: f64 = counts.iter().sum();
    if all == 0.0 {
        return titled("Latency", "no requests with a known latency", "");
    }
    let classes = [50, 95, 99].map(|share| format!("p{share} {}", within(&counts, share)));
    // Requests whose endpoint was not called have no latency, so their number is not that of all requests.
    let figures = format!("{} of {}", classes.join(", "), requests(all));
    let mut drawing = histogram(&counts, frame.width);
    if report.is_alone() && frame.timeline.slots() > 1 {
        let by_slot = points.by_slot(&frame.timeline);
        let slow: Vec<_> = by_slot.into_iter().map(|point| place(&self::counts(point?), 95)).collect();
        let within = frame.over_time("P95", &slow, Unit::SecondsCeil);
        drawing = format!("{drawing}\np95 by {}\n{within}", frame.interval(true));
    }
    titled("Latency", &figures, &drawing)
}

fn requests(count_of: f64) -> String {
    format!("{} {}", count(count_of), if count_of <= 1.0 { "request" } else { "requests" })
}

/// A row for each class: its count, its share and a bar.
fn histogram(counts: &[f64; 11], room: usize) -> String {
    let all: f64 = counts.iter().sum();
    let row = |(key, number): (&&str, &f64)| match number {
        0.0 => vec![(*key).to_owned(), String::new(), String::new()],
        number => vec![(*key).to_owned(), count(*number), percent(*number, all, 1)],
    };
    let mut rows: Vec<_> = KEYS.iter().zip(counts).map(row).collect();
    let mut heading = vec![("SECONDS", Align::Right), ("COUNT", Align::Right), ("SHARE", Align::Right)];
    let taken = table(&heading, &rows).lines().map(width).max().unwrap_or(0);
    let values = counts.map(|number| (number > 0.0).then_some(number));
    for (row, bar) in rows.iter_mut().zip(chart::bars(&values, room.saturating_sub(taken + 2).clamp(8, BAR)))
    {
        row.push(bar);
    }
    heading.push(("", Align::Left));
    table(heading, rows)
}

/// The counts of one point.
pub(super) fn counts(point: &FlowDataPoint) -> [f64; 11] {
    KEYS.map(|key| number(point, key).unwrap_or_default())
}

/// The class within which `share` percent of the requests ended. Empty without requests.
pub(super) fn within(counts: &[f64; 11], share: u8) -> String {
    place(counts, share).map(class).unwrap_or_default()
}

/// The index of the class within which `share` percent of the requests ended, counted from 1.
fn place(counts: &[f64; 11], share: u8) -> Option<f64> {
    let all: f64 = counts.iter().sum();
    let (mut done, mut place) = (0.0, 0.0);
    for number in counts {
        done += number;
        place += 1.0;
        if *number > 0.0 && done * 100.0 >= all * f64::from(share) {
            return Some(place);
        }
    }
    None
}

/// The text of the class with this index.
pub(super) fn class(place: f64) -> String {
    if place > 10.0 { "> 10 s".into() } else { format!("≤ {place} s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_contain_at_least_their_share() {
        let mut counts = [0.0; 11];
        assert_eq!(within(&counts, 50), "");
        counts[0] = 410.0;
        counts[2] = 61.0;
        counts[10] = 33.0;
        assert_eq!(
            [0, 50, 81, 82, 93, 94, 100].map(|share| within(&counts, share)),
            ["≤ 1 s", "≤ 1 s", "≤ 1 s", "≤ 3 s", "≤ 3 s", "> 10 s", "> 10 s"]
        );
    }
}
