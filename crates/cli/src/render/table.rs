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
/// be. Control characters are shown escaped.
pub(crate) fn table<const N: usize>(heading: [(&str, Align); N], rows: &[[String; N]]) -> String {
    let rows: Vec<[_; N]> = rows.iter().map(|row| row.each_ref().map(|cell| printable(cell))).collect();
    let mut widths = heading.map(|(title, _)| width(title));
    for row in &rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut out = String::new();
    let mut push = |cells: [&str; N]| {
        let mut line = String::new();
        for ((cell, (_, align)), widest) in cells.iter().zip(heading).zip(widths) {
            let gap = " ".repeat(widest - width(cell));
            match align {
                Align::Left => line.extend([cell, gap.as_str(), "  "]),
                Align::Right => line.extend([gap.as_str(), cell, "  "]),
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    };
    push(heading.map(|(title, _)| title));
    for row in &rows {
        push(row.each_ref().map(AsRef::as_ref));
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
        insta::assert_snapshot!(table([("name", Align::Left), ("n", Align::Right)], &rows), @r"
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
