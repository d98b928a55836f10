//! Aligned columns.

use super::text::{printable, shorten, width};

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// The least that a column of words is cut to, `…` included: less says nothing.
const LEAST: usize = 12;

/// Rows under a heading, two spaces between columns, no line longer than it must
/// be. Control characters are shown escaped. Every row has a cell for each column.
pub(crate) fn table<'a, R: AsRef<[String]>>(
    heading: impl AsRef<[(&'a str, Align)]>,
    rows: impl AsRef<[R]>,
) -> String {
    table_within(usize::MAX, heading, rows)
}

/// A [`table`] that is so many columns of a terminal wide at most. The widest cells of words are cut, which `…`
/// shows, but those of the first column: they name what the rows are about. Where that is not enough the last
/// columns are left out, and a line says so.
pub(crate) fn table_within<'a, R: AsRef<[String]>>(
    columns: usize,
    heading: impl AsRef<[(&'a str, Align)]>,
    rows: impl AsRef<[R]>,
) -> String {
    let heading = heading.as_ref();
    let titles = heading.iter().map(|(title, _)| printable(title)).collect::<Vec<_>>();
    let mut lines = vec![titles];
    lines.extend(rows.as_ref().iter().map(|row| row.as_ref().iter().map(|cell| printable(cell)).collect()));
    let mut widths = vec![0; heading.len()];
    for line in &lines {
        for (widest, cell) in widths.iter_mut().zip(line) {
            *widest = (*widest).max(width(cell));
        }
    }
    let shown = fitted(&widths, heading, columns);
    let mut out = String::new();
    for cells in &lines {
        let mut line = String::new();
        for ((cell, (_, align)), widest) in cells.iter().zip(heading).zip(&shown) {
            let cell = shorten(cell, *widest);
            let gap = " ".repeat(widest - width(&cell));
            match align {
                Align::Left => line.extend([&cell, gap.as_str(), "  "]),
                Align::Right => line.extend([gap.as_str(), &cell, "  "]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    let left_out: Vec<_> = heading[shown.len()..].iter().map(|(title, _)| *title).collect();
    if !left_out.is_empty() {
        out.extend(["Too wide for this terminal, so not shown: ", &left_out.join(", "), "\n"]);
    }
    out
}

/// How wide the columns are that fit, from the first on.
fn fitted(widths: &[usize], heading: &[(&str, Align)], columns: usize) -> Vec<usize> {
    let narrowed = (2..=widths.len()).rev().find_map(|shown| narrowed(&widths[..shown], heading, columns));
    narrowed.unwrap_or_else(|| widths.iter().take(1).copied().collect())
}

/// How wide these columns are when they are cut to fit. None if they cannot be cut that far.
fn narrowed(widths: &[usize], heading: &[(&str, Align)], columns: usize) -> Option<Vec<usize>> {
    let mut widths = widths.to_vec();
    let can_be_cut = |(at, of): &(usize, &mut usize)| {
        let (title, align) = heading[*at];
        *at > 0 && align == Align::Left && **of > LEAST.max(width(title))
    };
    while widths.iter().sum::<usize>() + 2 * (widths.len() - 1) > columns {
        let (_, widest) = widths.iter_mut().enumerate().filter(can_be_cut).max_by_key(|(_, of)| **of)?;
        *widest -= 1;
    }
    Some(widths)
}

/// Names and values, one pair a line; pairs without a value are left out.
pub(crate) fn properties(pairs: &[(&str, String)]) -> String {
    let shown: Vec<_> = pairs.iter().filter(|(_, value)| !value.is_empty()).collect();
    let widest = shown.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value) in shown {
        let gap = " ".repeat(widest - width(name));
        out.extend([name, gap.as_str(), "  ", &printable(value), "\n"]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligns_by_what_is_seen() {
        let rows = [
            ["größe".to_owned(), "1".to_owned()],
            ["語".to_owned(), "12345".to_owned()],
            ["a\tb".to_owned(), String::new()],
        ];
        insta::assert_snapshot!(table([("name", Align::Left), ("n", Align::Right)], rows), @r"
        name       n
        größe      1
        語     12345
        a\tb
        ");
    }

    const LIST: [(&str, Align); 4] = [
        ("NAME", Align::Left),
        ("COUNT", Align::Right),
        ("FIELDS", Align::Left),
        ("WHAT IT IS", Align::Left),
    ];

    fn list(columns: usize) -> String {
        let row = |cells: [&str; 4]| cells.map(str::to_owned);
        let rows = [
            row(["AzureServiceBus", "21", "queue", "An action names the metric, the value is the measure"]),
            row(["größe", "123456", "service,key,action,application", "Anfragen"]),
        ];
        table_within(columns, LIST, rows)
    }

    #[test]
    fn a_narrow_terminal_cuts_the_widest_words() {
        insta::assert_snapshot!(list(70), @r"
        NAME              COUNT  FIELDS                  WHAT IT IS
        AzureServiceBus      21  queue                   An action names the …
        größe            123456  service,key,action,ap…  Anfragen
        ");
        insta::assert_snapshot!(list(40), @r"
        NAME              COUNT  FIELDS
        AzureServiceBus      21  queue
        größe            123456  service,key,ac…
        Too wide for this terminal, so not shown: WHAT IT IS
        ");
        insta::assert_snapshot!(list(10), @r"
        NAME
        AzureServiceBus
        größe
        Too wide for this terminal, so not shown: COUNT, FIELDS, WHAT IT IS
        ");
    }

    #[test]
    fn a_table_fits_or_is_its_first_columns_alone() {
        let whole = list(usize::MAX);
        let widest = |text: &str| text.lines().take(3).map(width).max().unwrap();
        for columns in 0..=widest(&whole) {
            let fitted = list(columns);
            assert!(widest(&fitted) <= columns.max("AzureServiceBus".len()), "{columns}: {fitted}");
            assert_eq!(fitted == whole, columns == widest(&whole), "{columns}");
        }
        assert!(!whole.contains('…'));
    }

    #[test]
    fn leaves_out_what_is_empty() {
        let pairs = [("id", "7".to_owned()), ("detail", String::new()), ("method", "get".to_owned())];
        assert_eq!(properties(&pairs), "id      7\nmethod  get\n");
    }
}
