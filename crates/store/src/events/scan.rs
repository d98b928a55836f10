//! Reads segments: those that can have events of a range, and of these the columns that a query needs. Segments are
//! evaluated as they arrive, a few at a time, so a query takes little memory whatever its range.

use std::ops::Range;
use std::sync::Arc;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::{Field, TextField};
use flowmeter_segment::{Bitmap, Column, Corrupt, SegmentReader};
use futures::{Stream, StreamExt, TryStreamExt, stream};
use tokio_postgres::types::Type;
use tokio_postgres::{Row, RowStream};
use uuid::Uuid;

use crate::partitions::partition_bound;
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// The segments that are evaluated together have about this many events: enough that handing them to a thread costs
/// nothing in comparison, few enough that a query takes turns with others.
const CHUNK_EVENTS: usize = 32_768;
/// The maximum number of segments that are evaluated together.
const CHUNK_SEGMENTS: usize = 256;
/// The number of chunks of a query that are in memory at a time.
const CHUNKS: usize = 2;

/// The half-open range of ids of a time range.
pub(crate) fn ids_within(range: TimeRange) -> Range<EventId> {
    EventId::first_at(range.start)..EventId::first_at(range.end)
}

/// Whether an id is the smallest one of its time, so that times alone tell which ids are less.
fn is_time(id: EventId) -> bool {
    id == EventId::first_at(id.timestamp())
}

/// The smallest id that is greater.
pub(crate) fn successor(id: EventId) -> EventId {
    EventId(Uuid::from_u128(id.0.as_u128().saturating_add(1)))
}

/// A set of columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Columns(u32);

impl Columns {
    /// The columns that make up the ids.
    pub(crate) const IDS: Self = Self(0).and(Column::Times).and(Column::Ids);
    /// All columns.
    pub(crate) const ALL: Self = Self((1 << Column::COUNT) - 1);

    /// These and one more.
    #[must_use]
    pub(crate) const fn and(self, column: Column) -> Self {
        Self(self.0 | 1 << column.index())
    }

    /// These and those of some fields.
    #[must_use]
    pub(crate) fn and_fields<'a>(self, fields: impl IntoIterator<Item = &'a Field>) -> Self {
        fields.into_iter().fold(self, |columns, field| columns.and(Column::of(field)))
    }

    fn contains(self, column: Column) -> bool {
        self.0 >> column.index() & 1 == 1
    }

    fn iter(self) -> impl Iterator<Item = Column> {
        Column::ALL.into_iter().filter(move |column| self.contains(*column))
    }
}

/// The key of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SegmentKey {
    /// The id of the first event.
    pub first: EventId,
    /// Tells apart segments that begin with the same id.
    pub number: i64,
}

/// A segment of which some columns have been read.
pub(crate) struct SegmentRow {
    row: Row,
    columns: Columns,
    /// The number of columns of the row before those of the segment.
    before: usize,
}

/// What [`push_columns`] selects before the columns of the segment.
const HEADER: usize = 4;

impl SegmentRow {
    /// A row that begins with what [`push_columns`] selects.
    pub(crate) fn new(row: Row, columns: Columns) -> Self {
        Self { row, columns, before: HEADER }
    }

    pub(crate) fn key(&self) -> SegmentKey {
        SegmentKey { first: EventId(self.row.get(0)), number: self.row.get(1) }
    }

    pub(crate) fn first(&self) -> EventId {
        EventId(self.row.get(0))
    }

    pub(crate) fn last(&self) -> EventId {
        EventId(self.row.get(2))
    }

    pub(crate) fn events(&self) -> usize {
        usize::try_from(self.row.get::<_, i32>(3)).unwrap_or(0)
    }

    /// A column of the row behind those of the segment.
    pub(crate) fn further<'a, T: tokio_postgres::types::FromSql<'a>>(&'a self, index: usize) -> T {
        self.row.get(self.before + self.columns.iter().count() + index)
    }

    pub(crate) fn reader(&self) -> Result<SegmentReader<'_>, Corrupt> {
        let reader = SegmentReader::new(self.events())?;
        let columns = self.columns.iter().enumerate();
        Ok(columns.fold(reader, |reader, (index, column)| {
            let bytes: Option<&[u8]> = self.row.get(self.before + index);
            reader.with(column, bytes.unwrap_or_default())
        }))
    }

    /// The positions of the events in a range of ids.
    pub(crate) fn positions(
        &self,
        reader: &SegmentReader<'_>,
        ids: &Range<EventId>,
    ) -> Result<Range<usize>, Corrupt> {
        if ids.start <= self.first() && self.last() < ids.end {
            return Ok(0..self.events());
        }
        let before = |id: EventId| {
            if is_time(id) {
                let time = id.timestamp();
                Ok(reader.times()?.partition_point(|other| *other < time))
            } else {
                Ok(reader.ids()?.count_before(id))
            }
        };
        Ok(before(ids.start)?..before(ids.end)?)
    }
}

/// `first_id, segment_id, last_id, events` and the columns.
pub(crate) fn push_columns(sql: &mut Sql, columns: Columns) {
    sql.push("first_id, segment_id, last_id, events");
    for column in columns.iter() {
        sql.push(", \"").push(column.name()).push("\"");
    }
}

/// ` FROM … WHERE …` the segments of a tenant that can have events in a range of ids.
pub(crate) fn push_segments(sql: &mut Sql, tenant: TenantId, ids: &Range<EventId>) {
    sql.push(" FROM event_segment WHERE tenant_id = ").value(tenant.0, Type::UUID);
    // A segment does not extend beyond its partition, so those that began earlier have ended.
    sql.push(" AND first_id >= ").value(partition_bound(ids.start), Type::UUID);
    sql.push(" AND first_id < ").value(ids.end.0, Type::UUID);
    sql.push(" AND last_id >= ").value(ids.start.0, Type::UUID);
}

/// ` FROM … WHERE …` the segments of a tenant with these keys.
pub(super) fn push_keys(sql: &mut Sql, tenant: TenantId, keys: &[SegmentKey]) {
    sql.push(" FROM event_segment WHERE tenant_id = ").value(tenant.0, Type::UUID);
    let firsts: Vec<Uuid> = keys.iter().map(|key| key.first.0).collect();
    sql.push(" AND first_id = ANY (").value(firsts, Type::UUID_ARRAY);
    let numbers: Vec<i64> = keys.iter().map(|key| key.number).collect();
    sql.push(") AND segment_id = ANY (").value(numbers, Type::INT8_ARRAY).push(")");
}

/// What a query makes of segments, one after the other and in any order.
pub(crate) trait Evaluation: Send + Sync + 'static {
    /// What was found in some segments.
    type Found: Default + Send + 'static;

    /// The columns that it needs.
    fn columns(&self) -> Columns;

    /// Adds what a segment has.
    fn add(&self, found: &mut Self::Found, segment: &SegmentRow) -> Result<(), Corrupt>;

    /// Adds what was found in other segments.
    fn merge(&self, found: &mut Self::Found, other: Self::Found) -> Result<(), StoreError>;
}

/// Evaluates the segments of a tenant that can have events in a range of ids.
pub(crate) async fn evaluate<E: Evaluation>(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    (tenant, ids): (TenantId, &Range<EventId>),
    evaluation: &Arc<E>,
    found: &mut E::Found,
) -> Result<(), StoreError> {
    if ids.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("-- read_segments\nSELECT ");
    push_columns(&mut sql, evaluation.columns());
    push_segments(&mut sql, tenant, ids);
    evaluate_rows(store, sql.stream_in(snapshot).await?, evaluation, found).await
}

/// Evaluates the segments with these keys.
pub(crate) async fn evaluate_keys<E: Evaluation>(
    store: &Store,
    snapshot: &mut Snapshot<'_>,
    (tenant, keys): (TenantId, &[SegmentKey]),
    evaluation: &Arc<E>,
    found: &mut E::Found,
) -> Result<(), StoreError> {
    let mut sql = Sql::new("-- read_segments\nSELECT ");
    push_columns(&mut sql, evaluation.columns());
    push_keys(&mut sql, tenant, keys);
    evaluate_rows(store, sql.stream_in(snapshot).await?, evaluation, found).await
}

async fn evaluate_rows<E: Evaluation>(
    store: &Store,
    rows: RowStream,
    evaluation: &Arc<E>,
    found: &mut E::Found,
) -> Result<(), StoreError> {
    let columns = evaluation.columns();
    let evaluated = chunks(rows, columns).map_ok(|chunk| {
        let evaluation = evaluation.clone();
        async move {
            let computed = store.compute(move || {
                let mut found = E::Found::default();
                chunk.iter().try_for_each(|segment| evaluation.add(&mut found, segment))?;
                Ok::<_, Corrupt>(found)
            });
            Ok::<_, StoreError>(computed.await??)
        }
    });
    let mut evaluated = std::pin::pin!(evaluated.try_buffer_unordered(CHUNKS));
    while let Some(part) = evaluated.try_next().await? {
        evaluation.merge(found, part)?;
    }
    Ok(())
}

fn chunks(rows: RowStream, columns: Columns) -> impl Stream<Item = Result<Vec<SegmentRow>, StoreError>> {
    stream::try_unfold(Box::pin(rows.fuse()), move |mut rows| async move {
        let (mut chunk, mut events) = (Vec::new(), 0);
        while events < CHUNK_EVENTS
            && chunk.len() < CHUNK_SEGMENTS
            && let Some(row) = rows.next().await
        {
            let segment = SegmentRow::new(row?, columns);
            events += segment.events();
            chunk.push(segment);
        }
        Ok((!chunk.is_empty()).then_some((chunk, rows)))
    })
}

/// Which events of segments a query means.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// The range of ids.
    pub ids: Range<EventId>,
    /// The filter.
    pub filter: Filter,
    /// Words that must all occur, with A to Z in lower case.
    pub words: Vec<String>,
}

impl Wanted {
    /// The columns that tell which events are wanted.
    pub(crate) fn columns(&self) -> Columns {
        let columns = Columns::default().and(Column::Times).and_fields(self.filter.fields());
        let columns =
            if is_time(self.ids.start) && is_time(self.ids.end) { columns } else { columns.and(Column::Ids) };
        if self.words.is_empty() {
            return columns;
        }
        TextField::ALL.into_iter().map(Column::Text).fold(columns.and(Column::Attributes), Columns::and)
    }

    /// The wanted events of a segment.
    pub(crate) fn select(&self, segment: &SegmentRow, reader: &SegmentReader<'_>) -> Result<Bitmap, Corrupt> {
        let positions = segment.positions(reader, &self.ids)?;
        if positions.is_empty() {
            return Ok(Bitmap::filled(segment.events(), false));
        }
        let mut selected = flowmeter_segment::select(&self.filter, reader)?;
        selected.keep(positions);
        if !self.words.is_empty() && !selected.is_empty() {
            selected.intersect(&flowmeter_segment::search(&self.words, reader)?);
        }
        Ok(selected)
    }
}
