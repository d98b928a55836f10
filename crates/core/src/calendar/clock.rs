//! The clock of a time zone: converts between instants and local times. The module is independent of
//! calendars, except for cells of equal length.
//!
//! An instant is a number of microseconds since the epoch. A local time is a number of microseconds since
//! 1970-01-01T00:00 on the clock.

use jiff::tz::TimeZone;

use super::days::HOUR;
use crate::timestamp::Timestamp;

/// More than the offset of any time zone from UTC, in either direction.
const REACH: i64 = 26 * HOUR;

/// The clock of a time zone.
#[derive(Clone, Copy)]
pub(super) struct Clock<'a>(pub(super) &'a TimeZone);

/// Equal parts of local time, of at most an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) width: i64,
    /// The start of a cell in local time.
    pub(super) origin: i64,
}

impl Cells {
    /// The index of the cell that contains a local time.
    pub(super) fn index(self, local: i64) -> i64 {
        (local - self.origin).div_euclid(self.width)
    }

    fn start(self, index: i64) -> i64 {
        self.origin + index * self.width
    }
}

impl<'a> Clock<'a> {
    /// The local time at an instant.
    pub(super) fn local(self, at: i64) -> i64 {
        at + micros(self.0.to_offset(Timestamp::from_micros(at).to_jiff()))
    }

    /// The latest local time that the clock has shown up to an instant. It never goes back, so each local
    /// time is reached at most once.
    pub(super) fn furthest(self, at: i64) -> i64 {
        let after = Timestamp::from_micros(at + 1).to_jiff();
        self.0
            .preceding(after)
            .map(|change| change.timestamp().as_microsecond())
            .take_while(|change| *change > at - 2 * REACH)
            .map(|change| self.local(change - 1))
            .fold(self.local(at), i64::max)
    }

    /// The instants at which the clock first reaches local times, which are in ascending order. The clock
    /// reaches a skipped local time at the end of the gap.
    pub(super) fn reaching(self, points: impl Iterator<Item = i64> + 'a) -> impl Iterator<Item = i64> + 'a {
        let mut points = points.peekable();
        let mut since = points.peek().copied().unwrap_or(0) - REACH;
        let mut offset = self.local(since) - since;
        let mut changes = self.changes_after(since).peekable();
        points.map(move |point| {
            loop {
                let at = since.max(point - offset);
                match changes.next_if(|(change, _)| *change <= at) {
                    Some(change) => (since, offset) = change,
                    None => return at,
                }
            }
        })
    }

    /// The instants at which the clock enters a cell for the first time or again, starting with the last one
    /// at or before `at`.
    pub(super) fn entering(self, cells: Cells, at: i64) -> impl Iterator<Item = i64> + 'a {
        let first = self.entered(cells, at);
        let mut since = first;
        let mut offset = self.local(since) - since;
        let mut changes = self.changes_after(since).peekable();
        let further = std::iter::repeat_with(move || {
            loop {
                let cell = cells.index(since + offset);
                let next = cells.start(cell + 1) - offset;
                let Some((change, shifted)) = changes.next_if(|(change, _)| *change <= next) else {
                    since = next;
                    return next;
                };
                let before = cells.index(change - 1 + offset);
                (since, offset) = (change, shifted);
                if begins(cells, change + offset, before) {
                    return change;
                }
            }
        });
        std::iter::once(first).chain(further)
    }

    /// The instant at which the clock entered the cell that it is in at `at`.
    fn entered(self, cells: Cells, at: i64) -> i64 {
        let mut at = at;
        loop {
            let local = self.local(at);
            let offset = local - at;
            let start = cells.start(cells.index(local)) - offset;
            let after = Timestamp::from_micros(at + 1).to_jiff();
            let Some(change) = self.0.preceding(after).next() else { return start };
            let change = change.timestamp().as_microsecond();
            if start >= change {
                return start;
            }
            if begins(cells, change + offset, cells.index(self.local(change - 1))) {
                return change;
            }
            at = change - 1;
        }
    }

    /// The changes of the clock after an instant, each with the new offset.
    fn changes_after(self, at: i64) -> impl Iterator<Item = (i64, i64)> + 'a {
        self.0
            .following(Timestamp::from_micros(at).to_jiff())
            .map(|change| (change.timestamp().as_microsecond(), micros(change.offset())))
    }
}

/// Whether a cell begins when the clock, which was in the cell `before`, is set to a local time. A repeated
/// cell begins again. A cell of which only a part is repeated does not.
fn begins(cells: Cells, local: i64, before: i64) -> bool {
    let cell = cells.index(local);
    cell != before || local == cells.start(cell)
}

fn micros(offset: jiff::tz::Offset) -> i64 {
    i64::from(offset.seconds()) * 1_000_000
}
