//! Chooses where an answer is read from. A time range is cut into pieces, and each piece is read at the
//! coarsest resolution whose buckets do not straddle an edge of the requested buckets. A piece that no roll-up
//! can serve is read from the events themselves.

use std::time::Duration;

use crate::range::TimeRange;
use crate::resolution::Resolution;
use crate::timestamp::Timestamp;

/// Where a piece of an answer is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// The events themselves.
    Events,
    /// The roll-ups of a resolution.
    Rollup(Resolution),
}

/// A piece of a time range and its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Where the piece is read from.
    pub source: Source,
    /// The time range that the piece covers.
    pub range: TimeRange,
}

/// Cuts `range` into pieces, in ascending order of time. `edges` are the starts of the calendar's buckets, in
/// ascending order. `resolutions` are the resolutions at which the series is rolled up, finest first; they cover
/// all events before `rolled_up_to`.
#[must_use]
pub fn pieces(
    range: TimeRange,
    edges: &[Timestamp],
    resolutions: &[Resolution],
    rolled_up_to: Timestamp,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let middle = rolled_up_to.clamp(range.start, range.end.max(range.start));
    cut(TimeRange { start: range.start, end: middle }, edges, resolutions, &mut pieces);
    cut(TimeRange { start: middle, end: range.end }, edges, &[], &mut pieces);
    pieces
}

fn cut(range: TimeRange, edges: &[Timestamp], resolutions: &[Resolution], pieces: &mut Vec<Piece>) {
    if range.start >= range.end {
        return;
    }
    let Some((coarsest, finer)) = resolutions.split_last() else {
        return pieces.push(Piece { source: Source::Events, range });
    };
    let width = coarsest.width();
    let whole = TimeRange { start: range.start.ceil_to(width), end: range.end.floor_to(width) };
    if whole.start >= whole.end || !is_aligned(whole, edges, width) {
        return cut(range, edges, finer, pieces);
    }
    cut(TimeRange { start: range.start, end: whole.start }, edges, finer, pieces);
    pieces.push(Piece { source: Source::Rollup(*coarsest), range: whole });
    cut(TimeRange { start: whole.end, end: range.end }, edges, finer, pieces);
}

/// Whether every edge within the range is the start of a bucket of this width.
fn is_aligned(range: TimeRange, edges: &[Timestamp], width: Duration) -> bool {
    let from = edges.partition_point(|edge| *edge < range.start);
    let to = edges.partition_point(|edge| *edge < range.end);
    edges[from..to].iter().all(|edge| edge.floor_to(width) == *edge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::Calendar;
    use proptest::prelude::*;

    const ALL: [Resolution; 4] = Resolution::ALL;

    fn range(start: &str, end: &str) -> TimeRange {
        let at = |text: &str| Timestamp::from(text.parse::<jiff::Timestamp>().unwrap());
        TimeRange { start: at(start), end: at(end) }
    }

    fn shown(calendar: &str, range: TimeRange, resolutions: &[Resolution]) -> Vec<String> {
        let edges = calendar.parse::<Calendar>().unwrap().bucket_starts(range, 25_000).unwrap();
        let piece = |piece: &Piece| format!("{:?} {} {}", piece.source, piece.range.start, piece.range.end);
        pieces(range, &edges, resolutions, Timestamp::END).iter().map(piece).collect()
    }

    #[test]
    fn an_aligned_range_is_a_single_piece() {
        let month = range("2024-11-01T00:00:00Z", "2024-12-01T00:00:00Z");
        for (calendar, source) in [
            ("#P1M", "Rollup(Day)"),
            ("#PT1H", "Rollup(Hour)"),
            ("#PT30M", "Rollup(QuarterHour)"),
            ("#PT5M", "Rollup(Minute)"),
        ] {
            assert_eq!(
                shown(calendar, month, &ALL),
                [format!("{source} 2024-11-01T00:00:00Z 2024-12-01T00:00:00Z")]
            );
        }
        assert_eq!(shown("#PT5M", month, &ALL[1..]), ["Events 2024-11-01T00:00:00Z 2024-12-01T00:00:00Z"]);
    }

    #[test]
    fn unaligned_ends_are_read_at_finer_resolutions() {
        assert_eq!(
            shown("#P1D", range("2024-11-01T23:44:30Z", "2024-11-03T00:01:00Z"), &ALL),
            [
                "Events 2024-11-01T23:44:30Z 2024-11-01T23:45:00Z",
                "Rollup(QuarterHour) 2024-11-01T23:45:00Z 2024-11-02T00:00:00Z",
                "Rollup(Day) 2024-11-02T00:00:00Z 2024-11-03T00:00:00Z",
                "Rollup(Minute) 2024-11-03T00:00:00Z 2024-11-03T00:01:00Z",
            ]
        );
    }

    #[test]
    fn time_that_is_not_rolled_up_yet_is_read_from_events() {
        let day = range("2024-11-01T00:00:00Z", "2024-11-02T00:00:00Z");
        let edges = "#PT1H".parse::<Calendar>().unwrap().bucket_starts(day, 100).unwrap();
        let rolled = "2024-11-01T10:20:00Z".parse::<jiff::Timestamp>().unwrap().into();
        let found = pieces(day, &edges, &ALL[1..], rolled);
        let found: Vec<_> = found.iter().map(|piece| (piece.source, piece.range.end.to_string())).collect();
        assert_eq!(
            found,
            [
                (Source::Rollup(Resolution::Hour), "2024-11-01T10:00:00Z".to_owned()),
                (Source::Rollup(Resolution::QuarterHour), "2024-11-01T10:15:00Z".to_owned()),
                (Source::Events, "2024-11-01T10:20:00Z".to_owned()),
                (Source::Events, "2024-11-02T00:00:00Z".to_owned()),
            ]
        );
        assert_eq!(
            pieces(day, &edges, &ALL, Timestamp::EPOCH),
            [Piece { source: Source::Events, range: day }]
        );
    }

    proptest! {
        #[test]
        fn pieces_tile_the_range_and_align_with_the_edges(
            start in 1_700_000_000_000_000_i64..1_700_500_000_000_000,
            length in 1_i64..400_000_000_000,
            rolled in 0_i64..800_000_000_000,
            calendar in prop::sample::select(vec!["#PT1M", "#PT15M", "#PT1H", "#P1D", "#P1W", "#PT7M"]),
        ) {
            let range = TimeRange {
                start: Timestamp::from_micros(start),
                end: Timestamp::from_micros(start + length),
            };
            let edges = calendar.parse::<Calendar>().unwrap().bucket_starts(range, 25_000).unwrap();
            let rolled = Timestamp::from_micros(start + rolled);
            let pieces = pieces(range, &edges, &ALL, rolled);
            prop_assert_eq!(pieces[0].range.start, range.start);
            prop_assert_eq!(pieces[pieces.len() - 1].range.end, range.end);
            for pair in pieces.windows(2) {
                prop_assert_eq!(pair[0].range.end, pair[1].range.start);
            }
            for piece in pieces {
                if let Source::Rollup(resolution) = piece.source {
                    prop_assert!(piece.range.end <= rolled);
                    let width = resolution.width();
                    prop_assert!(is_aligned(piece.range, &edges, width));
                    prop_assert_eq!(piece.range.start.floor_to(width), piece.range.start);
                    prop_assert_eq!(piece.range.end.floor_to(width), piece.range.end);
                }
            }
        }
    }
}
