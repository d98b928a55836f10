//! Bars that are cut into parts, such as the calls of an integration by how they ended.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "columns of a terminal: few, not negative, and rounded anyway"
)]

use super::extent;

/// What the parts of a stacked bar look like, in their order: neighbours differ most.
pub(crate) const SHAPES: [char; 7] = ['█', '░', '▚', '═', '▓', '╳', '▒'];

/// What the parts look like that have no shape of their own, and those that are too small.
pub(crate) const OTHERS: char = '·';

/// What the part at this place looks like. Those beyond the shapes look alike.
pub(crate) fn shape(at: usize) -> char {
    SHAPES.get(at).copied().unwrap_or(OTHERS)
}

/// A bar for each list of parts, the longest so many columns wide; a bar that exists can be seen.
/// Parts of less than half a column are drawn together, as [`OTHERS`]: a column for each would be
/// more than its share.
pub(crate) fn bars(bars: &[Vec<f64>], columns: usize) -> Vec<String> {
    let total = |parts: &Vec<f64>| parts.iter().filter(|part| **part > 0.0).sum::<f64>();
    let (_, top) = extent(bars.iter().map(total));
    let bar = |parts: &Vec<f64>| {
        let total = total(parts);
        let long = (total / top * columns as f64).round() as usize;
        if total > 0.0 { stack(parts, total, long.max(1)) } else { String::new() }
    };
    bars.iter().map(bar).collect()
}

/// A bar of so many columns, cut by the shares of its parts.
fn stack(parts: &[f64], total: f64, columns: usize) -> String {
    let mut shares = [0.0; SHAPES.len() + 1];
    for (at, part) in parts.iter().enumerate() {
        let share = part.max(0.0) / total * columns as f64;
        let place = if share < 0.5 { SHAPES.len() } else { at.min(SHAPES.len()) };
        shares[place] += share;
    }
    let widths = whole(&shares, columns).into_iter().enumerate();
    widths.map(|(at, wide)| shape(at).to_string().repeat(wide)).collect()
}

/// Shares of so many columns in whole columns that fill them: each rounded down, and what is left
/// goes to the largest remainders.
fn whole(shares: &[f64], columns: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = shares.iter().map(|share| share.floor() as usize).collect();
    let left = columns.saturating_sub(widths.iter().sum());
    let mut order: Vec<usize> = (0..shares.len()).collect();
    order.sort_by(|a, b| shares[*b].fract().total_cmp(&shares[*a].fract()));
    for at in order.into_iter().take(left) {
        widths[at] += 1;
    }
    widths
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_parts_of_a_bar_are_not_more_than_they_are() {
        // 87 % of one, and all others less than half of a column.
        let many = vec![870.0, 40.0, 30.0, 30.0, 20.0, 10.0];
        let few = vec![87.0, 13.0];
        let bars = super::bars(&[many, few, vec![0.0, 1.0], vec![0.0]], 10);
        assert_eq!(bars, ["█████████·", "█", "░", ""]);
        // Together they are more than one of them, with what has no shape.
        let parts = [40.0, 20.0, 10.0, 8.0, 7.0, 6.0, 4.0, 3.0, 2.0];
        assert_eq!(super::bars(&[parts.into()], 10), ["████░░▚═▓·"]);
    }

    proptest! {
        #[test]
        fn bars_show_their_parts_by_share_and_end_at_theirs(
            bars in prop::collection::vec(prop::collection::vec(0_u32..5_000, 1..10), 1..5),
            columns in 12_usize..60,
        ) {
            let bars: Vec<Vec<f64>> = bars.iter().map(|bar| bar.iter().copied().map(f64::from).collect()).collect();
            let most = bars.iter().map(|bar| bar.iter().sum::<f64>()).fold(0.0, f64::max);
            for (parts, bar) in bars.iter().zip(super::bars(&bars, columns)) {
                let total: f64 = parts.iter().sum();
                let long = if total > 0.0 { (total / most * columns as f64).round().max(1.0) } else { 0.0 };
                prop_assert_eq!(bar.chars().count(), long as usize);
                for (at, part) in parts.iter().enumerate().take(SHAPES.len()) {
                    let wide = bar.chars().filter(|c| *c == shape(at)).count() as f64;
                    let share = if total > 0.0 { part / total * long } else { 0.0 };
                    prop_assert!((wide - share).abs() < 1.0 && (share >= 0.5 || wide == 0.0), "{wide} of {share}");
                }
            }
        }
    }
}
