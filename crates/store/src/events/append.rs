//! Appends the events of a batch: one segment for each tenant and hour, so a segment spans little time whatever comes
//! late.

use std::time::Duration;

use deadpool_postgres::Transaction;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::UsageEvent;
use flowmeter_segment::{Column, Segment, SegmentWriter};

use crate::StoreError;
use crate::copy::BinaryCopy;

/// The time that a segment spans at most before its week is settled.
pub(super) const SPAN: Duration = Duration::from_hours(1);

/// The start of the hour of an event.
pub(super) fn hour(id: EventId) -> Timestamp {
    id.timestamp().floor_to(SPAN)
}

/// How far a segment has been settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i16)]
pub(crate) enum Level {
    /// It was appended by a batch, or merged from such ones.
    Appended = 0,
    /// Its hour has been settled.
    Hour = 1,
    /// Its week has been settled.
    Week = 2,
}

/// A segment and whose it is.
#[derive(Debug)]
pub(crate) struct TenantSegment {
    pub tenant: TenantId,
    pub generation: i32,
    pub level: Level,
    pub segment: Segment,
}

/// Encodes the events of a batch.
#[derive(Default)]
pub(crate) struct NewSegments {
    finished: Vec<TenantSegment>,
    current: Option<(TenantId, i32, Timestamp)>,
    writer: SegmentWriter,
}

/// The texts of a segment have about this many bytes at most, which bounds the memory of whoever reads it.
pub(super) const MAX_TEXT_BYTES: usize = 64 * 1024 * 1024;
/// The maximum number of events of a segment.
pub(super) const MAX_EVENTS: usize = 32_768;

impl NewSegments {
    /// Adds an event. Those of a tenant come together, in the order of their ids.
    pub(crate) fn push(
        &mut self,
        (tenant, generation): (TenantId, i32),
        id: EventId,
        event: &UsageEvent<'_>,
    ) {
        let place = (tenant, generation, hour(id));
        if self.current != Some(place)
            || self.writer.len() >= MAX_EVENTS
            || self.writer.text_bytes() >= MAX_TEXT_BYTES
        {
            self.finish_segment();
            self.current = Some(place);
        }
        self.writer.push(id, event);
    }

    fn finish_segment(&mut self) {
        let segment = std::mem::take(&mut self.writer).finish();
        if let (Some((tenant, generation, _)), Some(segment)) = (self.current, segment) {
            self.finished.push(TenantSegment { tenant, generation, level: Level::Appended, segment });
        }
    }

    /// The segments.
    pub(crate) fn finish(mut self) -> Vec<TenantSegment> {
        self.finish_segment();
        self.finished
    }
}

/// The number of columns of a row.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "there are few columns")]
const COLUMNS: i16 = 8 + Column::COUNT as i16;

/// Appends segments. The server takes the rows while the caller does something else, until [`BinaryCopy::finish`].
pub(crate) async fn append_segments(
    transaction: &Transaction<'_>,
    segments: &[TenantSegment],
) -> Result<BinaryCopy, StoreError> {
    let columns = Column::ALL.map(|column| format!("\"{}\"", column.name())).join(", ");
    let statement = format!(
        "-- append_segments
         COPY event_segment (tenant_id, first_id, last_id, segment_id, events, text_bytes, level, generation, {columns})
         FROM STDIN (FORMAT binary)"
    );
    let statement = transaction.prepare_cached(&statement).await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for TenantSegment { tenant, generation, level, segment } in segments {
        let mut row = copy.row(COLUMNS);
        row.uuid(tenant.0);
        row.uuid(segment.first.0);
        row.uuid(segment.last.0);
        row.bigint(Some(rand::random()));
        row.integer(i32::try_from(segment.events).expect("a segment has far fewer events"));
        row.integer(i32::try_from(segment.text_bytes).unwrap_or(i32::MAX));
        row.smallint(Some(*level as i16));
        row.integer(*generation);
        for column in Column::ALL {
            match segment.column(column) {
                [] => row.null(),
                bytes => row.bytes(bytes),
            }
        }
        copy.flush_full().await?;
    }
    copy.flush().await?;
    Ok(copy)
}
