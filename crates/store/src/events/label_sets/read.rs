//! Finds events by their label sets, where that is faster than reading all of them.

use std::time::Duration;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;

use super::FIELDS;
use crate::StoreError;
use crate::sql::{Snapshot, Sql};

/// Events by which is judged how rare label sets are in a range: those that are read first. A range with
/// fewer is read as it is.
const SAMPLE: i64 = 1_000;
/// Label sets are rare if one of so many events has one of them. Reading an event by its id takes about
/// a hundred times as long as passing over it in the index.
const RARITY: i64 = 50;
/// The longest range of which all events are found so. Where a range is most of a week, PostgreSQL reads the
/// table as it lies, with several processes, and that is as fast.
const SHORT: Duration = Duration::from_hours(48);
/// Label sets are few if they are at most so many: one of [`RARITY`] in a full dictionary. An event's number is
/// found among them by its hash, so it is not the events that they cost time with, but the planner: 0.6 µs
/// each in every partition of the range, which is 6 ms in a year.
const FEW: usize = 200;
/// Label sets are not looked for if they are more than one of so many that the tenant has. It spares common
/// filters the sample. It says little of how rare they are, as few label sets may have most of the events, so
/// it is the sample that decides on the others.
const SHARE: usize = 2;

/// The numbers of the label sets that a question may mean, where few events of its range have one of them.
#[derive(Debug)]
pub(crate) struct RareLabels {
    numbers: Vec<i32>,
}

/// What a question reads of the events that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// A page of them, in the order of their ids.
    Page(PageStart),
    /// All of them.
    All,
}

/// Where a page of events begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageStart {
    /// The event after which the list goes on.
    pub(crate) after: Option<EventId>,
    /// Whether the list goes back in time.
    pub(crate) descending: bool,
}

/// The label sets that satisfy what a filter demands of them, if few events in the range have one of
/// these. That is a guess by some events, and however wrong, it only costs time. The events must be read
/// in the same snapshot: whoever sees one sees its label set.
pub(crate) async fn rare_labels(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    range: TimeRange,
    filter: &Filter,
    reads: Reads,
) -> Result<Option<RareLabels>, StoreError> {
    if reads == Reads::All && range.start.plus(SHORT) < range.end {
        return Ok(None);
    }
    let Some(filter) = filter.part_about(&FIELDS.map(Field::Text)) else { return Ok(None) };
    let Some(labels) = few_labels(snapshot, tenant, &filter).await? else { return Ok(None) };
    let is_rare = are_rare(snapshot, tenant, range, &labels, reads).await?;
    Ok(is_rare.then_some(labels))
}

/// The label sets that satisfy a filter, unless they are too many to be rare.
async fn few_labels(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    filter: &Filter,
) -> Result<Option<RareLabels>, StoreError> {
    let mut sql = Sql::new("-- few_labels\nSELECT count(*), array_agg(label_set) FILTER (WHERE true");
    // Fields have the same columns there as in usage_event.
    sql.matching(filter);
    sql.push(") FROM event_label_set WHERE tenant_id = ").value(tenant.0, Type::UUID);
    let rows = sql.query_in(snapshot).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let known = usize::try_from(row.get::<_, i64>(0)).expect("a count is not negative");
    let mut numbers: Vec<i32> = row.get::<_, Option<_>>(1).unwrap_or_default();
    if numbers.len() > FEW || numbers.len() * SHARE > known {
        return Ok(None);
    }
    // An event that has no number may have any label set.
    numbers.push(0);
    Ok(Some(RareLabels { numbers }))
}

/// Whether few events have one of the label sets, among those that are read first.
async fn are_rare(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    range: TimeRange,
    labels: &RareLabels,
    reads: Reads,
) -> Result<bool, StoreError> {
    let mut sql = Sql::new("-- are_rare\nSELECT count(*), count(*) FILTER (WHERE label_set = ANY (");
    sql.value(labels.numbers.clone(), Type::INT4_ARRAY).push(")) FROM (SELECT label_set");
    push_range(&mut sql, tenant, range, reads);
    let descending = matches!(reads, Reads::Page(PageStart { descending: true, .. }));
    sql.push(if descending { " ORDER BY id DESC LIMIT " } else { " ORDER BY id LIMIT " });
    sql.value(SAMPLE, Type::INT8).push(") AS sample");
    let rows = sql.query_in(snapshot).await?;
    let (seen, having): (i64, i64) = rows.first().map(|row| (row.get(0), row.get(1))).unwrap_or_default();
    Ok(seen == SAMPLE && having * RARITY <= seen)
}

/// ` FROM … WHERE …` the events of a range, as rows of `usage_event`, from where a page begins; of the rare
/// labels, where such are given, and maybe others. Returns the column by which they can be had in order,
/// without sorting.
pub(crate) fn push_events(
    sql: &mut Sql,
    tenant: TenantId,
    range: TimeRange,
    reads: Reads,
    rare: Option<&RareLabels>,
) -> &'static str {
    let Some(labels) = rare else {
        push_range(sql, tenant, range, reads);
        return "id";
    };
    sql.push(" FROM (SELECT id AS found_id");
    push_range(sql, tenant, range, reads);
    // As a parameter, which the planner takes for a constant: only such a list is hashed.
    sql.push(" AND label_set = ANY (").value(labels.numbers.clone(), Type::INT4_ARRAY);
    // One by one through the index, whatever the planner thinks of their number.
    sql.push(")) AS found, LATERAL (SELECT *");
    push_range(sql, tenant, range, reads);
    sql.push(" AND id = found_id OFFSET 0) AS usage_event WHERE true");
    "found_id"
}

/// ` FROM usage_event WHERE` it is in the range, and after where a page begins.
fn push_range(sql: &mut Sql, tenant: TenantId, range: TimeRange, reads: Reads) {
    sql.push(" FROM usage_event WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.ids_within(range);
    if let Reads::Page(PageStart { after: Some(after), descending }) = reads {
        sql.push(if descending { " AND id < " } else { " AND id > " }).value(after.0, Type::UUID);
    }
}
