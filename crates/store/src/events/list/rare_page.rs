//! A page of rare events in the order of their ids, where weeks have an index by label set: stretch by stretch,
//! until it is full.

use flowmeter_core::ids::{EventId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EventPage, EventSelection, Reads, SELECT, push_demands, statement};
use crate::StoreError;
use crate::events::label_sets::{PageStart, RareLabels, push_indexed_events};
use crate::sql::{Snapshot, Sql};

/// How many times as many events are looked at when those before did not fill the page, because the list
/// demands more of them than their label set.
const GROWTH_FACTOR: i64 = 4;
/// Events that are looked at at once at most: reading these by their ids takes some tens of milliseconds.
const MOST: i64 = 10_000;

/// The rows of the page, as [`statement`] gives them.
pub(super) async fn read_rare_page(
    mut snapshot: Snapshot<'_>,
    tenant: TenantId,
    page: &EventPage,
    start: PageStart,
    labels: &RareLabels,
) -> Result<Vec<Row>, StoreError> {
    let mut rows = Vec::new();
    let mut rest = page.clone();
    for stretch in labels.stretches(page.list.range, start) {
        rest.list.range = stretch.range;
        let found = if stretch.is_indexed {
            read_indexed(&mut snapshot, tenant, &rest, start, labels).await?
        } else {
            statement(tenant, &rest, Reads::Page(start), Some(labels)).query_in(&mut snapshot).await?
        };
        rest.limit -= i64::try_from(found.len()).expect("no more than the limit");
        rows.extend(found);
        if rest.limit <= 0 {
            break;
        }
    }
    snapshot.end().await?;
    Ok(rows)
}

async fn read_indexed(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    rest: &EventPage,
    mut start: PageStart,
    labels: &RareLabels,
) -> Result<Vec<Row>, StoreError> {
    let limit = usize::try_from(rest.limit).unwrap_or_default();
    let mut at_once = rest.limit;
    let mut rows = Vec::new();
    loop {
        let found = indexed_statement(tenant, &rest.list, start, at_once, labels).query_in(snapshot).await?;
        let is_last = i64::try_from(found.len()).is_ok_and(|found| found < at_once);
        start.after = found.last().map(|row| EventId(row.get("found_id")));
        rows.extend(found.into_iter().filter(|row| row.get::<_, Option<Uuid>>("id").is_some()));
        rows.truncate(limit);
        if is_last || rows.len() == limit {
            return Ok(rows);
        }
        at_once = (at_once * GROWTH_FACTOR).min(MOST.max(rest.limit));
    }
}

/// Some events of the label sets in an indexed range. Those that the list does not have are rows without an id.
fn indexed_statement(
    tenant: TenantId,
    list: &EventSelection,
    start: PageStart,
    at_once: i64,
    labels: &RareLabels,
) -> Sql {
    let mut sql = Sql::new("-- list_indexed_events\nSELECT ");
    sql.push(&SELECT).push(", found_id");
    push_indexed_events(&mut sql, tenant, (list.range, start, at_once), labels, |sql| {
        push_demands(sql, list);
    });
    sql.push(" ORDER BY found_id").push(if start.descending { " DESC" } else { "" });
    sql
}
