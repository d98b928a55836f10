//! The index of a week's events by their label set: (tenant, label set, id). It leads to the events of a rare
//! label set, in the order of their ids, without a look at any other.
//!
//! The running week has none: to keep it up while events come takes longer than to write them (2.0 to 5.2 µs an
//! event), because they come in the order of their ids, and to this index each is a place of its own. Built at
//! once, over a week that has ended, it takes 1.2 µs and 50 bytes an event.

use std::collections::HashMap;
use std::time::Duration;

use flowmeter_core::range::TimeRange;
use flowmeter_core::timestamp::Timestamp;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, NoTls};

use crate::partitions::EVENTS;
use crate::sql::Sql;
use crate::{Store, StoreError};

/// How long after its end a week counts as ended: longer than clocks go wrong and retries take. Events may come
/// much later still; these are what [`GROWTH`] is for.
const SLACK: Duration = Duration::from_hours(1);
/// By how many bytes a partition may grow from one look to the next and still be quiet: about 1,000 events. Those
/// few that come late take some milliseconds longer with the index, so it need not wait for the last of them. An
/// import of history must not meet it.
const GROWTH: i64 = 256 * 1024;
/// One worker at a time builds.
const INDEX_LOCK: i64 = 0x666c_6f77_6c61_6265;
/// The session that builds may take as long as it takes, on one core, and ends within a second of the worker's
/// going: a server that is busy with a statement does not notice that otherwise.
const SESSION: &str =
    "-c statement_timeout=0 -c max_parallel_maintenance_workers=0 -c client_connection_check_interval=1s";

/// Builds the indexes of weeks that have ended, and remembers how large the weeks were.
#[derive(Debug)]
pub struct LabelSetIndexes {
    sizes: HashMap<String, i64>,
}

/// A partition of the events.
struct Week {
    partition: String,
    /// Bytes of its table. Unlike the server's counters they are never late, and survive its crash.
    size: i64,
    index: Index,
}

/// What became of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    Missing,
    /// Whoever built it was cut off. It slows writers down and nobody reads it.
    Invalid,
    Valid,
}

impl LabelSetIndexes {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { sizes: HashMap::new() }
    }

    /// Builds the indexes that are due, unless another worker is at it, and returns how many it built. Due is
    /// that of a week that has ended and has not grown since the look before. Writers go on meanwhile. Dropping
    /// the future stops the building; what is left of it is replaced when somebody looks again.
    pub async fn look(&mut self, store: &Store, now: Timestamp) -> Result<usize, StoreError> {
        let weeks = weeks(&**store.client().await?).await?;
        let sizes = weeks.iter().map(|week| (week.partition.clone(), week.size)).collect();
        let before = std::mem::replace(&mut self.sizes, sizes);
        let is_due = |week: &Week| {
            let end = EVENTS.week(&week.partition).map(|week| week.end);
            let size = before.get(&week.partition);
            end.is_some_and(|end| end.plus(SLACK) <= now) && size.is_some_and(|size| week.needs_index(*size))
        };
        let due: Vec<_> = weeks.into_iter().filter(is_due).collect();
        if due.is_empty() { Ok(0) } else { build_alone(store, &due).await }
    }
}

impl Default for LabelSetIndexes {
    fn default() -> Self {
        Self::new()
    }
}

impl Week {
    /// Whether it has no index and is as large as it was, about.
    fn needs_index(&self, size_before: i64) -> bool {
        self.index != Index::Valid && self.size - size_before <= GROWTH
    }
}

async fn weeks(client: &Client) -> Result<Vec<Week>, StoreError> {
    let rows = client
        .query_typed(
            "-- weeks_of_events
             SELECT week.relname, coalesce(pg_relation_size(week.oid), 0), indisvalid
             FROM pg_inherits JOIN pg_class AS week ON week.oid = inhrelid
             LEFT JOIN (pg_index JOIN pg_class AS own ON own.oid = indexrelid)
                 ON indrelid = week.oid AND own.relname = week.relname || '_label_set'
             WHERE inhparent = 'usage_event'::regclass
             ORDER BY 1",
            &[],
        )
        .await?;
    let week = |row: &tokio_postgres::Row| Week {
        partition: row.get(0),
        size: row.get(1),
        index: match row.get(2) {
            None => Index::Missing,
            Some(false) => Index::Invalid,
            Some(true) => Index::Valid,
        },
    };
    Ok(rows.iter().map(week).collect())
}

/// Builds in a session of its own, which holds the lock until it ends, however it ends.
async fn build_alone(store: &Store, due: &[Week]) -> Result<usize, StoreError> {
    let mut config = store.config().clone();
    let options = format!("{} {SESSION}", config.get_options().unwrap_or(""));
    let (client, connection) = config.options(options).connect(NoTls).await?;
    // The connection is driven here and by no task: it closes when nobody waits for this any more.
    tokio::select! {
        built = build(&client, due) => built,
        ended = connection => {
            ended?;
            Err(StoreError::Unavailable("the connection ended".to_owned()))
        }
    }
}

async fn build(client: &Client, due: &[Week]) -> Result<usize, StoreError> {
    // It must not wait for the lock: building waits for all statements that have begun before.
    let lock = "-- lock_label_set_indexes\nSELECT pg_try_advisory_lock($1)";
    let lock = client.query_typed(lock, &[(&INDEX_LOCK, Type::INT8)]).await?;
    if !lock.iter().all(|row| row.get(0)) {
        return Ok(0);
    }
    let mut built = 0;
    for Week { partition, size, .. } in due {
        // The ones before took their time, or another worker built it until just now.
        let current = weeks(client).await?.into_iter().find(|week| week.partition == *partition);
        let Some(week) = current.filter(|week| week.needs_index(*size)) else { continue };
        let index = index_name(partition);
        if week.index == Index::Invalid {
            let drop = format!("-- drop_label_set_index\nDROP INDEX CONCURRENTLY IF EXISTS {index}");
            client.batch_execute(&drop).await?;
        }
        let begin = Instant::now();
        client
            .batch_execute(&format!(
                "-- build_label_set_index
                 CREATE INDEX CONCURRENTLY {index} ON {partition} (tenant_id, label_set, id)"
            ))
            .await?;
        let seconds = begin.elapsed().as_secs_f64();
        tracing::info!(partition, seconds, "indexed the events of a week by their label sets");
        built += 1;
    }
    Ok(built)
}

fn index_name(partition: &str) -> String {
    format!("{partition}_label_set")
}

/// The names of the valid indexes among the weeks of a range, as an array.
pub(super) fn push_indexes(sql: &mut Sql, range: TimeRange) {
    // Names are in the order of the weeks.
    sql.push("ARRAY(SELECT relname FROM pg_class WHERE relname >= ");
    sql.value(index_name(&EVENTS.partition(range.start)), Type::NAME);
    sql.push(" AND relname <= ").value(index_name(&EVENTS.partition(range.end)), Type::NAME);
    sql.push(" AND relname LIKE '%\\_label\\_set' AND pg_table_is_visible(oid)");
    // No join, because planning one takes longer than all the rest.
    sql.push(" AND (SELECT indisvalid FROM pg_index WHERE indexrelid = pg_class.oid))");
}

/// The weeks of such indexes, ascending.
pub(super) fn indexed_weeks(indexes: &[String]) -> Vec<TimeRange> {
    let week = |index: &String| EVENTS.week(index.strip_suffix("_label_set")?);
    let mut weeks: Vec<_> = indexes.iter().filter_map(week).collect();
    weeks.sort_unstable_by_key(|week| week.start);
    weeks
}
