//! Tables with aligned columns.

use super::text::{printable, shorten, width};

/// The alignment of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// The minimum width of a column of words that is cut, including the `…`. Narrower cells would be
/// meaningless.
const LEAST: usize = 12;

/// Rows under a heading, with two spaces between columns and without trailing spaces. Control characters are
/// escaped. Every row has a cell for each column.
pub(crate) fn table<'a, R: AsRef<[String]>>(
    heading: impl AsRef<[(&'a str, Align)]>,
    rows: impl AsRef<[R]>,
) -> String {
    table_within(usize::MAX, heading, rows)
}

/// A [`table`] that is at most `columns` terminal columns wide. The widest cells of words are cut and end in
/// `…`, except in the first column, which names the rows. If that is not enough, the last columns are left
/// out, and a line says so.
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

/// The widths of the columns that fit, starting with the first.
fn fitted(widths: &[usize], heading: &[(&str, Align)], columns: usize) -> Vec<usize> {
    let narrowed = (2..=widths.len()).rev().find_map(|shown| narrowed(&widths[..shown], heading, columns));
    narrowed.unwrap_or_else(|| widths.iter().take(1).copied().collect())
}

/// The widths of these columns, cut to fit. None if they cannot be cut that far.
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

/// Names and values, one pair per line. Pairs without a value are left out.
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
    fn columns_are_aligned_by_their_visible_width() {
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
    fn a_narrow_terminal_cuts_the_widest_cells_of_words() {
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
    fn a_table_fits_or_consists_of_its_first_columns() {
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
    fn empty_properties_are_left_out() {
        let pairs = [("id", "7".to_owned()), ("detail", String::new()), ("method", "get".to_owned())];
        assert_eq!(properties(&pairs), "id      7\nmethod  get\n");
    }
}
