//! Finds events by their label sets, where that is faster than reading all of them.

use std::time::Duration;

use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;

use super::FIELDS;
use super::index::{indexed_weeks, push_indexes};
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
    /// Each once.
    numbers: Vec<i32>,
    /// The weeks whose index by label set leads to them faster than passing over all events, ascending.
    indexed: Vec<TimeRange>,
}

/// A part of a range that is read in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    pub(crate) range: TimeRange,
    /// Whether its weeks have an index by label set, which is worth reading.
    pub(crate) is_indexed: bool,
}

impl RareLabels {
    /// Whether all weeks of a range are indexed.
    fn are_indexed_in(&self, range: TimeRange) -> bool {
        let reached = self.indexed.iter().fold(range.start, |reached, week| {
            if week.start <= reached { reached.max(week.end) } else { reached }
        });
        range.end <= reached
    }

    /// Whether a page is read stretch by stretch.
    pub(crate) fn has_indexed_weeks(&self) -> bool {
        !self.indexed.is_empty()
    }

    /// The stretches of a range in which a page may lie, in the order in which it reads them.
    pub(crate) fn stretches(&self, range: TimeRange, page: PageStart) -> Vec<Stretch> {
        let mut parts = Vec::new();
        let mut push = |start, end, is_indexed| {
            if start < end {
                parts.push(Stretch { range: TimeRange { start, end }, is_indexed });
            }
        };
        let mut reached = range.start;
        for week in &self.indexed {
            let (start, end) = (week.start.max(reached), week.end.min(range.end));
            push(reached, start.min(range.end), false);
            push(start, end, true);
            reached = end.max(reached);
        }
        push(reached, range.end, false);
        parts.retain(|part| match page.after {
            Some(after) if page.descending => EventId::first_at(part.range.start) < after,
            Some(after) => EventId::first_at(part.range.end) > after,
            None => true,
        });
        if page.descending {
            parts.reverse();
        }
        joined(parts)
    }
}

/// Joins indexed weeks that follow each other: one is read alone, then two together, then four, and so on.
/// Most pages end in the first one, and a statement about a year takes 10 ms to plan.
fn joined(parts: Vec<Stretch>) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let (mut weeks, mut most) = (0, 1);
    for part in parts {
        if let Some(last) = stretches.last_mut().filter(|last| last.is_indexed && part.is_indexed) {
            if weeks < most {
                last.range.start = last.range.start.min(part.range.start);
                last.range.end = last.range.end.max(part.range.end);
                weeks += 1;
                continue;
            }
            most *= 2;
        }
        weeks = 1;
        stretches.push(part);
    }
    stretches
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
    let Some(numbers) = few_labels(snapshot, tenant, &filter).await? else { return Ok(None) };
    rare_among_first(snapshot, tenant, range, numbers, reads).await
}

/// The numbers of the label sets that satisfy a filter, unless they are too many to be rare.
async fn few_labels(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    filter: &Filter,
) -> Result<Option<Vec<i32>>, StoreError> {
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
    // Two label sets may share a number.
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Some(numbers))
}

/// These label sets, if few events have one of them among those that are read first.
async fn rare_among_first(
    snapshot: &mut Snapshot<'_>,
    tenant: TenantId,
    range: TimeRange,
    numbers: Vec<i32>,
    reads: Reads,
) -> Result<Option<RareLabels>, StoreError> {
    let mut sql = Sql::new("-- rare_among_first\nSELECT count(*), count(*) FILTER (WHERE label_set = ANY (");
    sql.value(numbers.clone(), Type::INT4_ARRAY).push(")), ");
    push_indexes(&mut sql, range);
    sql.push(" FROM (SELECT label_set");
    push_range(&mut sql, tenant, range, reads);
    let descending = matches!(reads, Reads::Page(PageStart { descending: true, .. }));
    sql.push(if descending { " ORDER BY id DESC LIMIT " } else { " ORDER BY id LIMIT " });
    sql.value(SAMPLE, Type::INT8).push(") AS sample");
    let rows = sql.query_in(snapshot).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (seen, having): (i64, i64) = (row.get(0), row.get(1));
    if seen < SAMPLE || having * RARITY > seen {
        return Ok(None);
    }
    let is_faster = match reads {
        // For each event of a page, the index is read once for each number, because any of them may have the next
        // event, and the primary key until the next event comes.
        Reads::Page(_) => i64::try_from(numbers.len()).is_ok_and(|numbers| numbers * having <= seen),
        Reads::All => true,
    };
    let indexed = if is_faster { indexed_weeks(&row.get::<_, Vec<String>>(2)) } else { Vec::new() };
    Ok(Some(RareLabels { numbers, indexed }))
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
    // As a parameter, which the planner takes for a constant: only such a list is hashed.
    let having = |sql: &mut Sql| {
        sql.push(" AND label_set = ANY (").value(labels.numbers.clone(), Type::INT4_ARRAY).push(")");
    };
    if reads == Reads::All && labels.are_indexed_in(range) {
        push_range(sql, tenant, range, reads);
        having(sql);
        return "id";
    }
    sql.push(" FROM (SELECT id AS found_id");
    push_range(sql, tenant, range, reads);
    having(sql);
    if reads == Reads::All {
        // The table has the events nearly in this order, and the index of one of two weeks has them in another: each
        // page is met once, and not once for each label set.
        sql.push(" ORDER BY id");
    }
    // One by one through the index, whatever the planner thinks of their number.
    sql.push(") AS found, LATERAL (SELECT *");
    push_range(sql, tenant, range, reads);
    sql.push(" AND id = found_id OFFSET 0) AS usage_event WHERE true");
    "found_id"
}

/// ` FROM … WHERE …` the events of a page in a stretch that is indexed, as rows of `usage_event`, each with its
/// `found_id`. Where `push_demands`, which adds to the conditions, refuses an event of these label sets, the
/// row has nothing but that. There are `limit` rows at most, in no order.
pub(crate) fn push_indexed_events(
    sql: &mut Sql,
    tenant: TenantId,
    (range, start, limit): (TimeRange, PageStart, i64),
    labels: &RareLabels,
    push_demands: impl FnOnce(&mut Sql),
) {
    let reads = Reads::Page(start);
    let order = |sql: &mut Sql| {
        sql.push(if start.descending { " ORDER BY id DESC LIMIT " } else { " ORDER BY id LIMIT " });
        sql.value(limit, Type::INT8);
    };
    // Each number by itself, because only then the index is in the order of ids.
    sql.push(" FROM (SELECT id AS found_id FROM unnest(").value(labels.numbers.clone(), Type::INT4_ARRAY);
    sql.push(") AS meant (number), LATERAL (SELECT id");
    push_range(sql, tenant, range, reads);
    sql.push(" AND label_set = number");
    order(sql);
    sql.push(") AS of_number");
    order(sql);
    sql.push(") AS found LEFT JOIN LATERAL (SELECT *");
    push_range(sql, tenant, range, reads);
    sql.push(" AND id = found_id");
    push_demands(sql);
    sql.push(" OFFSET 0) AS usage_event ON true");
}

/// ` FROM usage_event WHERE` it is in the range, and after where a page begins.
fn push_range(sql: &mut Sql, tenant: TenantId, range: TimeRange, reads: Reads) {
    sql.push(" FROM usage_event WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.ids_within(range);
    if let Reads::Page(PageStart { after: Some(after), descending }) = reads {
        sql.push(if descending { " AND id < " } else { " AND id > " }).value(after.0, Type::UUID);
    }
}

#[cfg(test)]
mod tests {
    use flowmeter_core::timestamp::Timestamp;

    use super::*;

    fn day(number: i64) -> Timestamp {
        Timestamp::from_micros(number * 86_400_000_000)
    }

    /// What is read of the days 10 to 40, where these weeks have an index; its days, and whether it is indexed.
    fn stretches(weeks: &[i64], page: PageStart) -> Vec<(i64, i64, bool)> {
        let week = |first: &i64| TimeRange { start: day(*first), end: day(first + 7) };
        let labels = RareLabels { numbers: vec![0], indexed: weeks.iter().map(week).collect() };
        let stretches = labels.stretches(TimeRange { start: day(10), end: day(40) }, page);
        let days = |at: Timestamp| at.micros() / 86_400_000_000;
        let shown =
            |stretch: &Stretch| (days(stretch.range.start), days(stretch.range.end), stretch.is_indexed);
        stretches.iter().map(shown).collect()
    }

    fn page(after: Option<i64>, descending: bool) -> PageStart {
        PageStart { after: after.map(|number| EventId::first_at(day(number))), descending }
    }

    #[test]
    fn a_range_is_indexed_if_all_its_weeks_are() {
        let week = |first| TimeRange { start: day(first), end: day(first + 7) };
        let labels = RareLabels { numbers: vec![0], indexed: [7, 14, 28].map(week).into() };
        let is_indexed = |start, end| labels.are_indexed_in(TimeRange { start: day(start), end: day(end) });
        assert!(is_indexed(8, 9) && is_indexed(13, 15) && is_indexed(7, 21));
        for (start, end) in [(6, 8), (20, 22), (20, 29), (27, 28), (36, 37)] {
            assert!(!is_indexed(start, end), "{start} {end}");
        }
    }

    #[test]
    fn stretches_are_the_whole_range_in_order() {
        let first = page(None, false);
        assert_eq!(stretches(&[], first), [(10, 40, false)]);
        assert_eq!(
            stretches(&[12, 35], first),
            [(10, 12, false), (12, 19, true), (19, 35, false), (35, 40, true)]
        );
        assert_eq!(stretches(&[0, 3, 40, 47], first), [(10, 40, false)]);
        assert_eq!(stretches(&[7], page(None, true)), [(14, 40, false), (10, 14, true)]);
    }

    #[test]
    fn the_further_a_page_reads_the_longer_are_its_stretches() {
        let weeks = [7, 14, 21, 28, 35];
        let found = stretches(&weeks, page(None, false));
        assert_eq!(found, [(10, 14, true), (14, 28, true), (28, 40, true)]);
        let found = stretches(&weeks, page(None, true));
        assert_eq!(found, [(35, 40, true), (21, 35, true), (10, 21, true)]);
        let found = stretches(&[7, 14, 28, 35], page(None, false));
        assert_eq!(found, [(10, 14, true), (14, 21, true), (21, 28, false), (28, 40, true)]);
    }

    #[test]
    fn a_page_begins_in_the_stretch_in_which_the_last_one_ended() {
        // At the end of a stretch nothing of it is left.
        assert_eq!(stretches(&[7], page(Some(13), false)), [(10, 14, true), (14, 40, false)]);
        assert_eq!(stretches(&[7], page(Some(14), false)), [(14, 40, false)]);
        assert_eq!(stretches(&[7], page(Some(15), true)), [(14, 40, false), (10, 14, true)]);
        assert_eq!(stretches(&[7], page(Some(14), true)), [(10, 14, true)]);
        assert_eq!(stretches(&[7], page(Some(40), false)), []);
    }
}
