//! Draws series in characters: bars beside the rows of a table, a column chart over a time axis, or a
//! sparkline. Only here are values doubles: a drawing needs no more than three digits of the exact decimal.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "positions in a drawing are small, not negative and rounded"
)]

pub(crate) mod stacked;

use std::fmt::Write;

use super::{
    text::{compact, width},
    timeline::Timeline,
};

const LYING: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const STANDING: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The minimum height of a column chart that stands alone, in lines.
const HEIGHT: usize = 10;

/// Which of the buckets that share a column is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peak {
    /// The highest bucket.
    Highest,
    /// The lowest bucket.
    Lowest,
}

impl Peak {
    /// The line that says how many of `of` share a column. Empty if columns are not shared.
    pub(crate) fn legend(self, per: usize, of: &str) -> String {
        let which = if self == Self::Highest { "highest" } else { "lowest" };
        if per > 1 { format!("Each column shows the {which} of {per} {of}.\n") } else { String::new() }
    }
}

/// A bar for each value, at most `columns` wide. Bars begin at zero, or at the lowest value if it is
/// negative. A missing value has no bar.
pub(crate) fn bars(values: &[Option<f64>], columns: usize) -> Vec<String> {
    let (bottom, top) = extent(values.iter().flatten().copied());
    let scale = Scale { bottom, top, step: top - bottom, lines: columns };
    let bar = |value: &Option<f64>| {
        let eighths = value.map_or(0, |value| scale.eighths(value, columns));
        let mut bar = "█".repeat(eighths / 8);
        if !eighths.is_multiple_of(8) {
            bar.push(LYING[eighths % 8 - 1]);
        }
        bar
    };
    values.iter().map(bar).collect()
}

/// A sparkline: a block for each value, whose height is the value's share of the largest one. Blocks begin at
/// zero, or at the lowest value if it is negative. A space stands for a missing value.
pub(crate) fn sparkline(values: &[Option<f64>]) -> String {
    let (bottom, top) = extent(values.iter().flatten().copied());
    let scale = Scale { bottom, top, step: top - bottom, lines: 1 };
    values.iter().map(|value| value.map_or(' ', |value| STANDING[scale.eighths(value, 1) - 1])).collect()
}

/// The size of a column chart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// The maximum width in columns, including the labels on the left.
    pub(crate) columns: usize,
    /// The minimum height in lines, without the axis. Round steps can add lines.
    pub(crate) lines: usize,
    /// The minimum width of the labels, so that charts of different values are aligned.
    pub(crate) margin: usize,
    /// The unit after the numbers of the labels.
    pub(crate) unit: &'static str,
}

impl Size {
    /// The size of a chart that stands alone and is at most `columns` wide.
    pub(crate) fn alone(columns: usize) -> Self {
        Self { columns, lines: HEIGHT, margin: 0, unit: "" }
    }
}

/// The horizontal layout of slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grid {
    /// How many slots share a column.
    pub(crate) per: usize,
    /// How many terminal columns a column takes.
    pub(crate) wide: usize,
}

impl Grid {
    /// The layout of `slots` slots in `room` terminal columns.
    pub(crate) fn new(slots: usize, room: usize) -> Self {
        let per = slots.div_ceil(room.max(1)).max(1);
        // Columns wider than 6 look like a table.
        Self { per, wide: (room / slots.div_ceil(per).max(1)).clamp(1, 6) }
    }

    /// A block, repeated to the width of a column.
    pub(crate) fn cell(self, block: char) -> String {
        // Columns that are at least 3 wide have a gap between them.
        let gap = usize::from(self.wide > 2);
        let mut cell = block.to_string().repeat(self.wide - gap);
        cell.push_str(&" ".repeat(gap));
        cell
    }
}

/// A column chart of the values of a timeline's slots. If there are more slots than columns, several share a
/// column, and their peak is drawn. Also returns how many share a column, for the legend.
pub(crate) fn columns(
    timeline: &Timeline,
    values: &[Option<f64>],
    peak: Peak,
    size: Size,
) -> (String, usize) {
    let scale = Scale::new(values.iter().flatten().copied(), size.lines);
    let labels: Vec<_> = scale.labels().into_iter().map(|label| label + size.unit).collect();
    let margin = labels.iter().map(|label| width(label)).max().unwrap_or(0).max(size.margin);
    let grid = Grid::new(timeline.slots(), size.columns.saturating_sub(margin + 2).max(8));
    let bars = shared(values, peak, grid.per);

    let lines_per_label = scale.lines / (labels.len() - 1);
    let mut out = String::new();
    for line in 0..scale.lines {
        let (label, edge) = match line % lines_per_label {
            0 => (labels[line / lines_per_label].as_str(), '┤'),
            _ => ("", '│'),
        };
        let mut row = format!("{label:>margin$} {edge}");
        for bar in &bars {
            let eighths = bar.map_or(0, |value| scale.eighths(value, scale.lines));
            row.push_str(&grid.cell(block(eighths, scale.lines - line)));
        }
        let _ = writeln!(out, "{}", row.trim_end());
    }
    let bottom = &labels[labels.len() - 1];
    let _ = write!(out, "{bottom:>margin$} └{}", axis(timeline, grid, bars.len(), margin + 2));
    (out, grid.per)
}

/// The part of a column that is visible in one line. The column is `eighths` eighths of a line high, and
/// lines are counted from the bottom, starting at 1.
fn block(eighths: usize, line: usize) -> char {
    let below = (line - 1) * 8;
    match eighths.saturating_sub(below) {
        0 => ' ',
        part => STANDING[part.min(8) - 1],
    }
}

/// The line under the columns with its ticks, and the line of labels below it.
fn axis(timeline: &Timeline, grid: Grid, bars: usize, margin: usize) -> String {
    let labels = timeline.labels(grid.per, grid.wide);
    let mut line = vec!['─'; bars * grid.wide];
    for (column, _) in &labels {
        line[*column] = '┬';
    }
    let line: String = line.into_iter().collect();
    let under = format!("{}{}", " ".repeat(margin), place(&labels));
    match under.trim_end() {
        "" => format!("{line}\n"),
        under => format!("{line}\n{under}\n"),
    }
}

/// A line with each label at its column.
pub(crate) fn place(labels: &[(usize, String)]) -> String {
    let mut line = String::new();
    for (column, text) in labels {
        let gap = column.saturating_sub(line.len());
        let _ = write!(line, "{}{text}", " ".repeat(gap));
    }
    line
}

/// The value of each column, each of which `per` slots share.
pub(crate) fn shared(values: &[Option<f64>], peak: Peak, per: usize) -> Vec<Option<f64>> {
    let keep = match peak {
        Peak::Highest => f64::max,
        Peak::Lowest => f64::min,
    };
    values.chunks(per.max(1)).map(|slots| slots.iter().flatten().copied().reduce(keep)).collect()
}

/// The value axis, which starts and ends at a round value and is `lines` lines high.
#[derive(Debug, Clone, Copy)]
struct Scale {
    bottom: f64,
    top: f64,
    step: f64,
    lines: usize,
}

impl Scale {
    fn new(values: impl Iterator<Item = f64>, lines: usize) -> Self {
        let (low, high) = extent(values);
        let step = round_step((high - low) / 4.0);
        let bottom = (low / step).floor() * step;
        let top = (high / step).ceil() * step;
        let steps = ((top - bottom) / step).round() as usize;
        Self { bottom, top, step, lines: lines.next_multiple_of(steps) }
    }

    /// The labels from top to bottom.
    fn labels(&self) -> Vec<String> {
        let steps = ((self.top - self.bottom) / self.step).round() as usize;
        (0..=steps).map(|step| compact(self.top - step as f64 * self.step)).collect()
    }

    /// The height of a value in eighths of a character. At least 1, so that every value is visible.
    fn eighths(&self, value: f64, characters: usize) -> usize {
        let share = ((value - self.bottom) / (self.top - self.bottom)).clamp(0.0, 1.0);
        ((share * characters as f64 * 8.0).round() as usize).max(1)
    }
}

/// The largest value on a scale. The shortest scale is `1 / LARGEST` long. Beyond these limits the steps of
/// the scale would overflow a double or be zero.
const LARGEST: f64 = 1e300;

/// The lowest and the highest of the values and zero. The two always differ.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .map(|value| value.clamp(-LARGEST, LARGEST))
        .fold((0.0_f64, 0.0_f64), |(low, high), value| (low.min(value), high.max(value)));
    (low, if high - low > 1.0 / LARGEST { high } else { low + 1.0 })
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let factor = least / power;
    let round = [1.0, 2.0, 5.0].into_iter().find(|round| factor <= *round + 1e-9);
    round.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp, tz::TimeZone};
    use proptest::prelude::*;

    use super::*;

    fn timeline(calendar: &str, minutes: &[i64]) -> Timeline {
        let start: Timestamp = "2026-11-20T22:00:00Z".parse().unwrap();
        let times = minutes.iter().map(|minutes| start + SignedDuration::from_mins(*minutes)).collect();
        Timeline::new(calendar, &TimeZone::UTC, times).unwrap()
    }

    #[test]
    fn draws_sparklines() {
        assert_eq!(sparkline(&[Some(0.0), Some(1.0), None, Some(2.0), Some(4.0)]), "▁▂ ▄█");
        assert_eq!(sparkline(&[Some(-4.0), Some(0.0), Some(4.0)]), "▁▄█");
        assert_eq!(sparkline(&[Some(0.0), None]), "▁ ");
    }

    #[test]
    fn draws_bars() {
        let bars = bars(&[Some(0.0), Some(5.0), None, Some(10.0), Some(7.3)], 4);
        assert_eq!(bars, ["▏", "██", "", "████", "██▉"]);
    }

    #[test]
    fn draws_columns_with_gaps() {
        let timeline = timeline("#PT1H", &[0, 60, 120, 300, 360, 420, 480]);
        let values = [3.0, 12.0, 40.0, -1.0, -1.0, 95.0, 100.0, 66.0, 0.0].map(|v| (v >= 0.0).then_some(v));
        let (drawn, per) = columns(&timeline, &values, Peak::Highest, Size::alone(60));
        assert_eq!(per, 1);
        insta::assert_snapshot!(drawn, @r"
        100 ┤                              ▄▄▄▄▄ █████
            │                              █████ █████
            │                              █████ █████
            │                              █████ █████ ▅▅▅▅▅
            │                              █████ █████ █████
         50 ┤                              █████ █████ █████
            │            █████             █████ █████ █████
            │            █████             █████ █████ █████
            │      ▂▂▂▂▂ █████             █████ █████ █████
            │▂▂▂▂▂ █████ █████             █████ █████ █████ ▁▁▁▁▁
          0 └────────────┬─────────────────┬─────────────────┬─────
                         2026-11-21        03:00             06:00
        ");
    }

    #[test]
    fn many_buckets_share_columns() {
        let minutes: Vec<i64> = (0..2880).collect();
        let values: Vec<_> = minutes.iter().map(|m| Some(1e6 * (1.0 + (*m as f64 / 230.0).sin()))).collect();
        let (drawn, per) = columns(&timeline("#PT1M", &minutes), &values, Peak::Highest, Size::alone(70));
        insta::assert_snapshot!(drawn + &Peak::Highest.legend(per, "buckets"), @r"
          2M ┤     ▄▇██▇▄                          ▄▇██▇▅▁
             │   ▂████████▂                      ▁▇███████▃
             │  ▂██████████▃                    ▂██████████▄
        1.5M ┤ ▂████████████▃                  ▁████████████▄
             │▁██████████████▂                 ██████████████▃
             │████████████████▁               ████████████████▂
          1M ┤█████████████████              ▇█████████████████              ▆
             │█████████████████▇            ▅███████████████████            ▄█
             │██████████████████▆          ▅████████████████████▇          ▄██
        500k ┤███████████████████▆        ▄██████████████████████▇        ▃███
             │████████████████████▇      ▅████████████████████████▇▁     ▅████
             │██████████████████████▄▁▁▃▇███████████████████████████▄▁▁▃▇█████
           0 └──┬───────────────┬───────────────┬───────────────┬─────────────
                2026-11-21      12:00           2026-11-22      12:00
        Each column shows the highest of 45 buckets.
        ");
    }

    #[test]
    fn the_largest_and_the_smallest_doubles_are_drawn() {
        let minutes: Vec<i64> = (0..4).map(|at| at * 60).collect();
        let timeline = timeline("#PT1H", &minutes);
        for values in [[1e300, 1.0, 5e-324, 0.0], [f64::MAX, f64::MIN, 0.0, 1.0], [5e-324; 4]] {
            let values = values.map(Some);
            let (drawn, _) = columns(&timeline, &values, Peak::Highest, Size::alone(60));
            assert!(drawn.lines().all(|line| width(line) <= 60), "{drawn}");
            assert!(drawn.contains(['█', '▁']), "{drawn}");
        }
    }

    proptest! {
        #[test]
        fn every_chart_fits_its_width(
            values in prop::collection::vec(prop::option::of(-1e12_f64..1e12), 1..400),
            room in 30_usize..200,
        ) {
            let minutes: Vec<i64> = (0_i64..).take(values.len()).map(|m| m * 15).collect();
            let (drawn, _) = columns(&timeline("#PT15M", &minutes), &values, Peak::Lowest, Size::alone(room));
            for line in drawn.lines() {
                prop_assert!(width(line) <= room, "{drawn}");
            }
            for bar in bars(&values, room) {
                prop_assert!(width(&bar) <= room);
            }
            prop_assert_eq!(width(&sparkline(&values)), values.len());
        }
    }
}
