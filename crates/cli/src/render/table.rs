//! Aligned columns.

use super::text::{printable, width};

/// Where a column's cells stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading, two spaces between columns, no line longer than it must
/// be. Control characters are shown escaped. Every row has a cell for each column.
pub(crate) fn table<'a, R: AsRef<[String]>>(
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
    let mut out = String::new();
    for cells in &lines {
        let mut line = String::new();
        for ((cell, (_, align)), widest) in cells.iter().zip(heading).zip(&widths) {
            let gap = " ".repeat(widest - width(cell));
            match align {
                Align::Left => line.extend([cell, gap.as_str(), "  "]),
                Align::Right => line.extend([gap.as_str(), cell, "  "]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
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

    #[test]
    fn leaves_out_what_is_empty() {
        let pairs = [("id", "7".to_owned()), ("detail", String::new()), ("method", "get".to_owned())];
        assert_eq!(properties(&pairs), "id      7\nmethod  get\n");
    }
}
