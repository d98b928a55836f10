//! A page of rare events in the order of their ids. Weeks with an index by label set are read from the index,
//! until the page is full.

use flowmeter_core::ids::{EventId, TenantId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{EventPage, EventSelection, Reads, SELECT, push_demands, statement};
use crate::StoreError;
use crate::events::label_sets::{PageStart, RareLabels, push_indexed_events};
use crate::sql::{Snapshot, Sql};

/// The factor by which more events are examined if the events before did not fill the page, because the list
/// has further conditions than the label set.
const GROWTH_FACTOR: i64 = 4;
/// The maximum number of events that are examined at once. Reading them by id takes some tens of
/// milliseconds.
const MOST: i64 = 10_000;

/// The rows of the page, in the form of [`statement`].
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

/// Selects some events of the label sets in an indexed range. Events that are not in the list are rows
/// without an id.
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
