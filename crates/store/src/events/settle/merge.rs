//! Takes the steps of settling: each is a transaction.

use deadpool_postgres::Transaction;
use flowmeter_segment::{Corrupt, Segment};
use tokio_postgres::types::Type;

use super::plan::Step;
use super::{SETTLE_LOCK, Settled};
use crate::events::append::{TenantSegment, append_segments};
use crate::events::scan::{Columns, SegmentRow, push_columns};
use crate::sql::Sql;
use crate::{Store, StoreError};

/// Takes a step. None if another worker is settling.
pub(super) async fn take(store: &Store, step: &Step) -> Result<Option<Settled>, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    let free =
        transaction.query_one("-- settle\nSELECT pg_try_advisory_xact_lock($1)", &[&SETTLE_LOCK]).await?;
    if !free.get::<_, bool>(0) {
        return Ok(None);
    }
    let settled = if step.keys.len() == 1 {
        raise(&transaction, step).await?;
        Settled::default()
    } else {
        merge(store, &transaction, step).await?
    };
    transaction.commit().await?;
    Ok(Some(settled))
}

/// Raises the level of a segment that is not merged with others.
async fn raise(transaction: &Transaction<'_>, step: &Step) -> Result<(), StoreError> {
    let mut sql = Sql::new("-- raise_level\nUPDATE event_segment SET level = ");
    sql.value(step.level as i16, Type::INT2);
    push_keys(&mut sql, step);
    sql.query_on(transaction).await?;
    Ok(())
}

async fn merge(store: &Store, transaction: &Transaction<'_>, step: &Step) -> Result<Settled, StoreError> {
    let mut sql = Sql::new("-- merge_segments\nDELETE FROM event_segment");
    push_keys(&mut sql, step);
    sql.push(" RETURNING ");
    push_columns(&mut sql, Columns::ALL);
    sql.push(", text_bytes");
    let rows = sql.query_on(transaction).await?;
    let removed = rows.len();
    let segments: Vec<_> = rows.into_iter().map(|row| SegmentRow::new(row, Columns::ALL)).collect();
    let Some(segment) = store.compute(move || merged(&segments)).await?? else {
        return Ok(Settled::default());
    };
    let settled = Settled { merged: removed, into: 1, events: segment.events, weeks: 0 };
    let segment =
        TenantSegment { tenant: step.tenant, generation: step.generation, level: step.level, segment };
    append_segments(transaction, &[segment]).await?.finish().await?;
    Ok(settled)
}

/// ` WHERE` a segment is one of the step.
fn push_keys(sql: &mut Sql, step: &Step) {
    sql.push(" WHERE tenant_id = ").value(step.tenant.0, Type::UUID).push(" AND first_id = ANY (");
    sql.value(step.keys.iter().map(|key| key.first.0).collect::<Vec<_>>(), Type::UUID_ARRAY);
    sql.push(") AND segment_id = ANY (");
    sql.value(step.keys.iter().map(|key| key.number).collect::<Vec<_>>(), Type::INT8_ARRAY);
    sql.push(")");
}

fn merged(segments: &[SegmentRow]) -> Result<Option<Segment>, Corrupt> {
    let readers = segments.iter().map(SegmentRow::reader).collect::<Result<Vec<_>, _>>()?;
    let text_bytes = |segment: &SegmentRow| usize::try_from(segment.further::<i32>(0)).unwrap_or(0);
    flowmeter_segment::merge(&readers, segments.iter().map(text_bytes).sum())
}
