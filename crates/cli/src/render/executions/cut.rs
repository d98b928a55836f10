//! Calls by type and another label, such as the integration, as a table or a chart.
#![allow(clippy::cast_precision_loss, reason = "a drawing needs no more than three digits")]

use std::{cmp::Reverse, collections::BTreeMap, fmt::Write};

use flowmeter_proto::v1::ExecutionSeries;

use super::total;
use crate::render::{
    chart::{
        self,
        stacked::{self, OTHERS, SHAPES},
    },
    grouped::label,
    table::{Align, table},
    text::{grouped, percent, shorten, width},
};

/// The maximum number of lines in a chart. Those with the most calls are drawn.
const MAX_LINES: usize = 40;

/// Up to this number of types, a table has a column for each type. With more, it has a row for each.
const MAX_COLUMNS: usize = 6;

/// The maximum width of a name in a chart, in terminal columns.
const NAME: usize = 30;

/// The minimum and the maximum width of a bar, in terminal columns.
const BAR: std::ops::RangeInclusive<usize> = 12..=60;

/// The calls of each name by type, and the calls of each type, the most first.
#[derive(Debug)]
pub(super) struct Cut<'a> {
    /// The label whose values the names are, such as the integration.
    field: &'a str,
    types: Vec<(&'a str, i64)>,
    rows: Vec<Row<'a>>,
}

#[derive(Debug)]
struct Row<'a> {
    name: &'a str,
    total: i64,
    /// The calls in the order of the types. None for a type without calls.
    by_type: Vec<Option<i64>>,
}

impl<'a> Cut<'a> {
    /// The calls in the series of an answer that is grouped by the field and the type.
    pub(super) fn of(series: &'a [ExecutionSeries], field: &'a str) -> Self {
        let value =
            |series: &'a ExecutionSeries, label: &str| series.labels.get(label).map_or("", String::as_str);
        let mut types: BTreeMap<&str, Vec<&ExecutionSeries>> = BTreeMap::new();
        let mut rows: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
        for series in series {
            let kind = value(series, "type");
            types.entry(kind).or_default().push(series);
            let calls = rows.entry(value(series, field)).or_default().entry(kind).or_default();
            *calls = calls.saturating_add(series.total);
        }
        let mut types: Vec<_> = types.into_iter().map(|(kind, series)| (kind, total(series))).collect();
        types.sort_by_key(|(_, calls)| Reverse(*calls));
        let row = |(name, calls): (&'a str, BTreeMap<&str, i64>)| Row {
            name,
            total: calls.values().fold(0, |sum, calls| sum.saturating_add(*calls)),
            by_type: types.iter().map(|(kind, _)| calls.get(kind).copied()).collect(),
        };
        let mut rows: Vec<_> = rows.into_iter().map(row).collect();
        rows.sort_by_key(|row| Reverse(row.total));
        Self { field, types, rows }
    }

    /// Whether there are calls with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.rows.iter().any(|row| row.name == name)
    }

    /// A table of all numbers, with a column for each type if there are few types, and otherwise a row for
    /// each.
    pub(super) fn table(&self) -> String {
        let title = self.field.to_uppercase();
        let mut heading = vec![(title.as_str(), Align::Left)];
        let mut rows = Vec::new();
        if self.types.len() > MAX_COLUMNS {
            heading.extend([("TYPE", Align::Left), ("CALLS", Align::Right)]);
            for row in &self.rows {
                for (kind, calls) in self.parts(row) {
                    rows.push(vec![label(row.name).to_owned(), kind.to_owned(), calls.to_string()]);
                }
            }
            return table(heading, rows);
        }
        heading.extend(self.types.iter().map(|(kind, _)| (label(kind), Align::Right)));
        heading.push(("CALLS", Align::Right));
        for row in &self.rows {
            let number = |calls: &Option<i64>| calls.map(|calls| calls.to_string()).unwrap_or_default();
            let mut cells = vec![label(row.name).to_owned()];
            cells.extend(row.by_type.iter().map(number));
            cells.push(row.total.to_string());
            rows.push(cells);
        }
        table(heading, rows)
    }

    /// A bar for each name, divided by type, and the legend of the types.
    pub(super) fn stacked(&self, columns: usize) -> String {
        let shown = &self.rows[..self.rows.len().min(MAX_LINES)];
        let title = self.field.to_uppercase();
        let mut heading = vec![(title.as_str(), Align::Left), ("CALLS", Align::Right)];
        let row = |row: &Row<'_>| vec![shorten(label(row.name), NAME), grouped(row.total)];
        let mut rows: Vec<_> = shown.iter().map(row).collect();
        let room = room(&heading, &rows, columns);
        let values =
            |row: &Row<'_>| row.by_type.iter().map(|calls| calls.map_or(0.0, |calls| calls as f64)).collect();
        let values: Vec<Vec<f64>> = shown.iter().map(values).collect();
        let bars = stacked::bars(&values, room);
        let has_others = bars.iter().any(|bar| bar.contains(OTHERS));
        for (row, bar) in rows.iter_mut().zip(bars) {
            row.push(bar);
        }
        heading.push(("", Align::Left));
        let mut out = table(heading, rows) + &self.note_left_out(shown.len()) + "\n" + &self.legend();
        if has_others {
            let _ = writeln!(out, "Types that fill less than half a column of a bar are drawn as {OTHERS}.");
        }
        out
    }

    /// The fill and the total of each type. The types beyond the available fills share a line.
    fn legend(&self) -> String {
        let all = self.types.iter().fold(0, |sum: i64, (_, calls)| sum.saturating_add(*calls)) as f64;
        let heading =
            [("", Align::Left), ("TYPE", Align::Left), ("CALLS", Align::Right), ("SHARE", Align::Right)];
        let row = |at: usize, name: String, calls: i64| {
            vec![stacked::shape(at).to_string(), name, grouped(calls), percent(calls as f64, all, 1)]
        };
        let (own, shared) = self.types.split_at(if self.types.len() > SHAPES.len() + 1 {
            SHAPES.len()
        } else {
            self.types.len()
        });
        let mut rows: Vec<_> = own
            .iter()
            .enumerate()
            .map(|(at, (kind, calls))| row(at, shorten(label(kind), NAME), *calls))
            .collect();
        if !shared.is_empty() {
            let calls = shared.iter().fold(0_i64, |sum, (_, calls)| sum.saturating_add(*calls));
            rows.push(row(SHAPES.len(), format!("{} other types", shared.len()), calls));
        }
        table(heading, rows)
    }

    /// A bar for each type of each name, all on the same scale.
    pub(super) fn side_by_side(&self, columns: usize) -> String {
        let title = self.field.to_uppercase();
        let mut heading = vec![(title.as_str(), Align::Left), ("TYPE", Align::Left), ("CALLS", Align::Right)];
        let (mut rows, mut values, mut shown) = (Vec::new(), Vec::new(), 0);
        for row in &self.rows {
            let parts: Vec<_> = self.parts(row).collect();
            if shown > 0 && rows.len() + parts.len() > MAX_LINES {
                break;
            }
            shown += 1;
            for (at, (kind, calls)) in parts.into_iter().enumerate() {
                // Only the first bar of a name shows the name.
                let name = if at == 0 { shorten(label(row.name), NAME) } else { String::new() };
                rows.push(vec![name, shorten(kind, NAME), grouped(calls)]);
                values.push(Some(calls as f64));
            }
        }
        let room = room(&heading, &rows, columns);
        for (row, bar) in rows.iter_mut().zip(chart::bars(&values, room)) {
            row.push(bar);
        }
        heading.push(("", Align::Left));
        table(heading, rows) + &self.note_left_out(shown)
    }

    /// The types that a row has calls of, with their numbers.
    fn parts<'b>(&'b self, row: &'b Row<'_>) -> impl Iterator<Item = (&'a str, i64)> + 'b {
        let parts = self.types.iter().zip(&row.by_type);
        parts.filter_map(|((kind, _), calls)| Some((label(kind), (*calls)?)))
    }

    fn note_left_out(&self, shown: usize) -> String {
        let mut out = String::new();
        if shown < self.rows.len() {
            let (of, field) = (self.rows.len(), self.field);
            let _ =
                writeln!(out, "The {shown} of {of} {field}s with the most calls; --output table lists all.");
        }
        out
    }
}

/// The width that is left for bars beside these rows.
fn room(heading: &[(&str, Align)], rows: &[Vec<String>], columns: usize) -> usize {
    let taken = table(heading, rows).lines().map(width).max().unwrap_or(0);
    columns.saturating_sub(taken + 2).clamp(*BAR.start(), *BAR.end())
}
