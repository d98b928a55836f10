//! Folds partial rows into days.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use deadpool_postgres::{Object, Transaction};
use flowmeter_core::ids::{RollupId, SeriesId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use futures::future::try_join_all;
use uuid::Uuid;

use super::FOLD_LOCK;
use super::append::{Key, PartialRow, write_partials};
use super::encoding::{Malformed, RollupDay, SeriesDays};
use crate::{Store, StoreError};

/// The maximum number of roll-ups and days whose partial rows one fold looks at.
const GROUPS: i64 = 10_000;
/// Partial rows of about this size are folded in one transaction: enough to catch up, few enough to be fast and to fit
/// in memory, where a series takes ten times as much.
const FOLD_BYTES: i64 = 4 << 20;
/// The maximum number of days that are read, updated and written together.
const CHUNK_DAYS: usize = 1_000;
/// Of a roll-up with more bytes of partial rows, a day is written this often at most. In between, its partial rows are
/// merged. So days, which grow until midnight, are not written again for every batch.
const LARGE: i64 = 16 << 10;
const LARGE_INTERVAL: Duration = Duration::from_secs(20);
/// The number of partial rows at which they are merged.
const MANY: i64 = 4;
/// Partial rows that do not shrink to less than so many percent when they are merged have series of their own each. To
/// merge them again gains nothing.
const SHRUNK_PERCENT: i64 = 90;

/// The outcome of a fold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoldOutcome {
    /// It folded partial rows.
    Folded {
        /// The number of rows.
        rows: u64,
        /// Whether the fold was as large as possible, so that more rows may be left.
        is_full: bool,
    },
    /// Another worker is folding.
    Busy,
}

/// The partial rows of a roll-up for one day.
#[derive(Debug, Clone, Copy)]
struct Group {
    key: Key,
    rows: i64,
    bytes: i64,
}

/// What happens to the partial rows of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    /// They are added to the days of their series.
    Days,
    /// They become one partial row.
    OneRow,
}

/// Folds partial rows round by round.
pub struct Folder {
    store: Store,
    /// The large groups whose days were written recently.
    written: HashMap<Key, Written>,
}

/// A large group whose days were written.
#[derive(Debug, Clone, Copy)]
struct Written {
    at: Instant,
    /// Whether its partial rows have series in common, as far as is known.
    shrinks: bool,
}

impl Folder {
    /// A folder that remembers nothing yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, written: HashMap::new() }
    }

    /// Folds or merges the partial rows that are due. Call it again at once while it folds as many as it can.
    pub async fn round(&mut self) -> Result<FoldOutcome, StoreError> {
        let groups = groups(&self.store).await?;
        self.written.retain(|_, written| written.at.elapsed() < LARGE_INTERVAL);
        let due: Vec<_> = groups.iter().filter_map(|group| Some((*group, self.due(group)?))).collect();
        let folded = fold(&self.store, &due).await?;
        if let Some(Folded { merged, .. }) = &folded {
            let at = Instant::now();
            for (group, _) in due.iter().filter(|(group, into)| *into == Into::Days && group.bytes > LARGE) {
                self.written.entry(group.key).or_insert(Written { at, shrinks: true }).at = at;
            }
            for (key, shrunk) in merged {
                self.written.entry(*key).and_modify(|written| written.shrinks = *shrunk);
            }
        }
        Ok(outcome(folded, groups.len()))
    }

    /// What is done with a group now.
    fn due(&self, group: &Group) -> Option<Into> {
        match self.written.get(&group.key) {
            Some(Written { shrinks: true, .. }) if group.bytes > LARGE => {
                (group.rows >= MANY && group.bytes <= FOLD_BYTES).then_some(Into::OneRow)
            }
            _ => Some(Into::Days),
        }
    }
}

/// Folds partial rows into days. Call it again while it folds as many as it can.
pub async fn fold_partials(store: &Store) -> Result<FoldOutcome, StoreError> {
    let groups = groups(store).await?;
    let due: Vec<_> = groups.iter().map(|group| (*group, Into::Days)).collect();
    Ok(outcome(fold(store, &due).await?, groups.len()))
}

fn outcome(folded: Option<Folded>, groups: usize) -> FoldOutcome {
    let is_full = i64::try_from(groups).is_ok_and(|groups| groups == GROUPS);
    folded.map_or(FoldOutcome::Busy, |folded| FoldOutcome::Folded { rows: folded.rows, is_full })
}

/// What a fold has done.
#[derive(Debug, Default)]
struct Folded {
    /// The number of partial rows.
    rows: u64,
    /// The groups whose partial rows became one, each with whether this made them smaller.
    merged: Vec<(Key, bool)>,
}

async fn groups(store: &Store) -> Result<Vec<Group>, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- partial_groups
             SELECT tenant_id, rollup_id, day, count(*), sum(octet_length(series))::bigint FROM rollup_partial
             GROUP BY tenant_id, rollup_id, day ORDER BY tenant_id, rollup_id, day LIMIT $1",
        )
        .await?;
    let rows = client.query(&statement, &[&GROUPS]).await?;
    let group = |row: &tokio_postgres::Row| {
        let day = Timestamp::from(row.get::<_, SystemTime>(2));
        let key = (TenantId(row.get(0)), RollupId(row.get(1)), day);
        Group { key, rows: row.get(3), bytes: row.get(4) }
    };
    Ok(rows.iter().map(group).collect())
}

/// Folds groups in as many transactions as their sizes take. None if another worker folds.
async fn fold(store: &Store, due: &[(Group, Into)]) -> Result<Option<Folded>, StoreError> {
    let mut all = Folded::default();
    let mut rest = due;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |(group, _): &&(Group, Into)| {
            bytes += group.bytes;
            bytes <= FOLD_BYTES
        };
        let taken = rest.iter().take_while(fits).count();
        if taken == 0 {
            // The first one is too large for one transaction.
            let Some(rows) = fold_large(store, &rest[0].0).await? else { return Ok(None) };
            all.rows += rows;
        } else {
            let Some(folded) = fold_groups(store, &rest[..taken]).await? else { return Ok(None) };
            all.rows += folded.rows;
            all.merged.extend(folded.merged);
        }
        rest = &rest[taken.max(1)..];
    }
    Ok(Some(all))
}

/// Begins the transaction of a fold. None if another worker folds.
///
/// Only folds write days, so the days that are read under the lock do not change before they are written.
async fn begin(client: &mut Object) -> Result<Option<Transaction<'_>>, StoreError> {
    let transaction = client.transaction().await?;
    let lock = transaction
        .query_one("-- fold_partials\nSELECT pg_try_advisory_xact_lock($1)", &[&FOLD_LOCK])
        .await?;
    Ok(lock.get::<_, bool>(0).then_some(transaction))
}

/// Folds some groups in one transaction. None if another worker folds.
async fn fold_groups(store: &Store, due: &[(Group, Into)]) -> Result<Option<Folded>, StoreError> {
    let mut client = store.client().await?;
    let Some(transaction) = begin(&mut client).await? else { return Ok(None) };
    let of_tenants = due.chunk_by(|(a, _), (b, _)| a.key.0 == b.key.0);
    // Pipelined, because there may be many small tenants.
    let taken = try_join_all(of_tenants.map(|due| take(&transaction, due))).await?;
    let mut folded = Folded::default();
    let mut merged = Vec::new();
    let mut days: BTreeMap<TenantId, Days> = BTreeMap::new();
    for (taken, count) in taken {
        folded.rows += count;
        for ((group, into), series) in taken {
            let (tenant, _, day) = group.key;
            match into {
                Into::OneRow => merged.push((group, series)),
                Into::Days => add(days.entry(tenant).or_default(), day, series),
            }
        }
    }
    if !merged.is_empty() {
        let rows = merged
            .iter()
            .map(|(group, series)| PartialRow { key: group.key, series: series.encode(group.key.2) });
        let rows: Vec<_> = rows.collect();
        let shrunk = |(row, (group, _)): (&PartialRow, &(Group, SeriesDays))| {
            let bytes = i64::try_from(row.series.len()).unwrap_or(i64::MAX);
            (group.key, bytes.saturating_mul(100) < group.bytes.saturating_mul(SHRUNK_PERCENT))
        };
        folded.merged = rows.iter().zip(&merged).map(shrunk).collect();
        write_partials(&transaction, rows.into_iter()).await?;
    }
    let of_tenants = days.into_iter().map(|(tenant, days)| add_days(&transaction, tenant, days));
    try_join_all(of_tenants).await?;
    transaction.commit().await?;
    Ok(Some(folded))
}

/// Folds the partial rows of one group into days, in several transactions. Returns their number, or None if another
/// worker folds.
async fn fold_large(store: &Store, group: &Group) -> Result<Option<u64>, StoreError> {
    let (tenant, _, day) = group.key;
    let mut rows = 0;
    for part in parts(store, group).await? {
        let mut client = store.client().await?;
        let Some(transaction) = begin(&mut client).await? else { return Ok(None) };
        let mut days = Days::new();
        let taken = take_rows(&transaction, group, &part).await?;
        rows += part.len() as u64;
        add(&mut days, day, taken);
        add_days(&transaction, tenant, days).await?;
        transaction.commit().await?;
    }
    Ok(Some(rows))
}

/// The partial rows of a group, in parts that each fit into a transaction.
async fn parts(store: &Store, group: &Group) -> Result<Vec<Vec<i64>>, StoreError> {
    let client = store.client().await?;
    let statement = client
        .prepare_cached(
            "-- partials_of_group
             SELECT partial_id, octet_length(series)::bigint FROM rollup_partial
             WHERE tenant_id = $1 AND rollup_id = $2 AND day = $3 ORDER BY partial_id",
        )
        .await?;
    let (tenant, rollup, day) = group.key;
    let rows = client.query(&statement, &[&tenant.0, &rollup.0, &SystemTime::from(day)]).await?;
    let mut parts: Vec<Vec<i64>> = Vec::new();
    let mut bytes = 0;
    for row in &rows {
        bytes += row.get::<_, i64>(1);
        match parts.last_mut() {
            Some(part) if bytes <= FOLD_BYTES => part.push(row.get(0)),
            _ => {
                bytes = row.get(1);
                parts.push(vec![row.get(0)]);
            }
        }
    }
    Ok(parts)
}

/// What is added to the days of series.
type Days = BTreeMap<(SeriesId, Timestamp), RollupDay>;

fn add(days: &mut Days, day: Timestamp, added: SeriesDays) {
    days.extend(added.0.into_iter().map(|(series, added)| ((series, day), added)));
}

type Taken = Vec<((Group, Into), SeriesDays)>;

/// Removes the partial rows of groups of one tenant, and returns what they add, and their number.
async fn take(transaction: &Transaction<'_>, due: &[(Group, Into)]) -> Result<(Taken, u64), StoreError> {
    let Some((Group { key: (tenant, ..), .. }, _)) = due.first() else { return Ok((Vec::new(), 0)) };
    let statement = transaction
        .prepare_cached(
            "-- take_partials
             DELETE FROM rollup_partial
             WHERE tenant_id = $1
               AND (rollup_id, day) IN (SELECT * FROM unnest($2::uuid[], $3::timestamptz[]))
             RETURNING rollup_id, day, series",
        )
        .await?;
    let rollups: Vec<Uuid> = due.iter().map(|(group, _)| group.key.1.0).collect();
    let days: Vec<SystemTime> = due.iter().map(|(group, _)| group.key.2.into()).collect();
    let rows = transaction.query(&statement, &[&tenant.0, &rollups, &days]).await?;
    let mut taken: HashMap<(RollupId, Timestamp), SeriesDays> = HashMap::new();
    for row in &rows {
        let day = Timestamp::from(row.get::<_, SystemTime>(1));
        taken.entry((RollupId(row.get(0)), day)).or_default().add_encoded(row.get(2), day)?;
    }
    let of_group = |(group, into): &(Group, Into)| {
        let series = taken.remove(&(group.key.1, group.key.2))?;
        Some(((*group, *into), series))
    };
    Ok((due.iter().filter_map(of_group).collect(), rows.len() as u64))
}

/// Removes some partial rows of a group, and returns what they add.
async fn take_rows(
    transaction: &Transaction<'_>,
    group: &Group,
    rows: &[i64],
) -> Result<SeriesDays, StoreError> {
    let statement = transaction
        .prepare_cached(
            "-- take_rows
             DELETE FROM rollup_partial
             WHERE tenant_id = $1 AND rollup_id = $2 AND day = $3 AND partial_id = ANY ($4)
             RETURNING series",
        )
        .await?;
    let (tenant, rollup, day) = group.key;
    let begin = SystemTime::from(day);
    let mut taken = SeriesDays::default();
    for row in transaction.query(&statement, &[&tenant.0, &rollup.0, &begin, &rows]).await? {
        taken.add_encoded(row.get(0), day)?;
    }
    Ok(taken)
}

/// Reads some days of a tenant's series, adds to them and writes them back.
async fn add_days(transaction: &Transaction<'_>, tenant: TenantId, days: Days) -> Result<(), StoreError> {
    let mut days: Vec<_> = days.into_iter().collect();
    for chunk in days.chunks_mut(CHUNK_DAYS) {
        add_some_days(transaction, tenant, chunk).await?;
    }
    Ok(())
}

async fn add_some_days(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    days: &mut [((SeriesId, Timestamp), RollupDay)],
) -> Result<(), StoreError> {
    let read = transaction
        .prepare_cached(
            // OFFSET 0 makes the planner look up row by row through the index instead of reading the whole table.
            "-- read_days
             SELECT place, found.buckets
             FROM unnest($2::uuid[], $3::timestamptz[]) WITH ORDINALITY AS added (series_id, day, place),
             LATERAL (SELECT buckets FROM rollup_day AS kept
                      WHERE kept.tenant_id = $1 AND kept.series_id = added.series_id AND kept.day = added.day
                      OFFSET 0) AS found",
        )
        .await?;
    let write = transaction
        .prepare_cached(
            "-- write_days
             INSERT INTO rollup_day (tenant_id, series_id, day, total, buckets)
             SELECT $1, * FROM unnest($2::uuid[], $3::timestamptz[], $4::bytea[], $5::bytea[])
             ON CONFLICT (tenant_id, series_id, day)
             DO UPDATE SET total = excluded.total, buckets = excluded.buckets",
        )
        .await?;
    let series: Vec<Uuid> = days.iter().map(|((series, _), _)| series.0).collect();
    let begins: Vec<SystemTime> = days.iter().map(|((_, day), _)| (*day).into()).collect();
    for row in transaction.query(&read, &[&tenant.0, &series, &begins]).await? {
        let place = usize::try_from(row.get::<_, i64>(0) - 1).map_err(|_| Malformed)?;
        let ((_, day), added) = days.get_mut(place).ok_or(Malformed)?;
        added.add_encoded(row.get(1), *day)?;
    }
    let totals: Vec<_> = days.iter().map(|((_, day), buckets)| buckets.total().encode(*day)).collect();
    let buckets: Vec<_> = days.iter().map(|((_, day), buckets)| buckets.encode(*day)).collect();
    transaction.execute(&write, &[&tenant.0, &series, &begins, &totals, &buckets]).await?;
    Ok(())
}
