//! The clock of a time zone: at which instants it reads what. Knows of no calendar beyond
//! equal cells of local time.
//!
//! Instants are microseconds since the epoch and local times what the clock shows, as
//! microseconds since its own 1970-01-01T00:00.

use jiff::tz::TimeZone;

use super::days::HOUR;
use crate::timestamp::Timestamp;

/// More than any offset from UTC, in either direction.
const REACH: i64 = 26 * HOUR;

/// The clock of a zone.
#[derive(Clone, Copy)]
pub(super) struct Clock<'a>(pub(super) &'a TimeZone);

/// Equal parts of local time, of an hour at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cells {
    pub(super) width: i64,
    /// A local time at which one begins.
    pub(super) origin: i64,
}

impl Cells {
    /// The number of the cell in which a local time lies.
    pub(super) fn index(self, local: i64) -> i64 {
        (local - self.origin).div_euclid(self.width)
    }

    fn start(self, index: i64) -> i64 {
        self.origin + index * self.width
    }
}

impl<'a> Clock<'a> {
    /// What the clock reads.
    pub(super) fn local(self, at: i64) -> i64 {
        at + micros(self.0.to_offset(Timestamp::from_micros(at).to_jiff()))
    }

    /// The furthest that the clock has read until then. Unlike the clock itself this never
    /// goes back, so that a local time is reached once.
    pub(super) fn furthest(self, at: i64) -> i64 {
        let after = Timestamp::from_micros(at + 1).to_jiff();
        self.0
            .preceding(after)
            .map(|change| change.timestamp().as_microsecond())
            .take_while(|change| *change > at - 2 * REACH)
            .map(|change| self.local(change - 1))
            .fold(self.local(at), i64::max)
    }

    /// The instants at which the clock first reaches these ascending local times. One that
    /// it skips is reached at the end of the gap.
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

    /// The instants at which the clock enters a cell, or begins one again, from the last
    /// of them at or before `at`.
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

    /// When the clock entered the cell in which it is at that instant.
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

    /// The changes of the clock after an instant, each with the offset from then on.
    fn changes_after(self, at: i64) -> impl Iterator<Item = (i64, i64)> + 'a {
        self.0
            .following(Timestamp::from_micros(at).to_jiff())
            .map(|change| (change.timestamp().as_microsecond(), micros(change.offset())))
    }
}

/// Whether a cell begins where the clock is set to a local time, coming from the cell
/// `before`: so that a repeated hour begins again, and one of which a part is repeated is
/// one.
fn begins(cells: Cells, local: i64, before: i64) -> bool {
    let cell = cells.index(local);
    cell != before || local == cells.start(cell)
}

fn micros(offset: jiff::tz::Offset) -> i64 {
    i64::from(offset.seconds()) * 1_000_000
}
