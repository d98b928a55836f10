//! Bars that are divided into parts, such as the calls of an integration by type.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "terminal columns are few, not negative and rounded"
)]

use super::extent;

/// The fills of the parts of a stacked bar, in order. Neighbours differ the most.
pub(crate) const SHAPES: [char; 7] = ['█', '░', '▚', '═', '▓', '╳', '▒'];

/// The fill of the parts that are too small, and of those beyond [`SHAPES`].
pub(crate) const OTHERS: char = '·';

/// The fill of the part at this index. All parts beyond [`SHAPES`] have the same fill.
pub(crate) fn shape(at: usize) -> char {
    SHAPES.get(at).copied().unwrap_or(OTHERS)
}

/// A bar for each list of parts. The longest is `columns` wide, and every bar that is not empty is visible.
/// Parts that fill less than half a column are drawn together, as [`OTHERS`]: a column for each would exceed
/// its share.
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

/// A bar that is `columns` wide, divided by the shares of its parts.
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

/// Divides `columns` into whole columns by these shares. Each is rounded down, and the remaining columns go
/// to the largest remainders.
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
    fn small_parts_of_a_bar_do_not_exceed_their_share() {
        // One part has 87 %, and each of the others less than half a column.
        let many = vec![870.0, 40.0, 30.0, 30.0, 20.0, 10.0];
        let few = vec![87.0, 13.0];
        let bars = super::bars(&[many, few, vec![0.0, 1.0], vec![0.0]], 10);
        assert_eq!(bars, ["█████████·", "█", "░", ""]);
        // The small parts and those beyond the shapes together take more than one column.
        let parts = [40.0, 20.0, 10.0, 8.0, 7.0, 6.0, 4.0, 3.0, 2.0];
        assert_eq!(super::bars(&[parts.into()], 10), ["████░░▚═▓·"]);
    }

    proptest! {
        #[test]
        fn bars_and_their_parts_have_the_width_of_their_share(
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
