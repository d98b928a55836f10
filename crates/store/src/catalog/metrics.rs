//! Metrics that tenants define, with all of their versions.
//!
//! A change that affects roll-ups starts a new generation. The series of a generation are stored separately,
//! and a backfill rolls up the events that were stored before the change.

use std::time::SystemTime;

use deadpool_postgres::Transaction;
use flowmeter_core::filter::Filter;
use flowmeter_core::ids::{EventId, TenantId};
use flowmeter_core::metric::{
    Catalog, LabelSet, Measure, MethodClass, MetricDefinition, Observed, ProviderMetrics, Selector,
};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Field;
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use super::{CATALOG_LOCK, Changed, stripe};
use crate::{Store, StoreError};

/// The maximum number of metrics of a tenant.
pub const MAX_METRICS: i64 = 200;
/// The number of versions of a metric that are kept.
const MAX_VERSIONS: i32 = 100;

/// A stored metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metric {
    /// Its definition.
    pub definition: MetricDefinition,
    /// The version, which counts changes from 1.
    pub version: i32,
    /// When its first version was created.
    pub created_at: Timestamp,
    /// When this version was created.
    pub updated_at: Timestamp,
    /// The progress of its backfill. None for an earlier version.
    pub backfill: Option<Backfill>,
}

impl Metric {
    /// The time before which all events are rolled up.
    #[must_use]
    pub fn rolled_up_to(&self) -> Timestamp {
        self.backfill.as_ref().map_or(Timestamp::EPOCH, Backfill::rolled_up_to)
    }
}

/// The progress of rolling up the events that were stored before a metric was defined.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backfill {
    /// The last event that was examined.
    pub last: Option<EventId>,
    /// The number of events that were rolled up.
    pub event_count: i64,
    /// When the backfill began.
    pub started_at: Option<Timestamp>,
    /// When the backfill was finished.
    pub finished_at: Option<Timestamp>,
}

impl Backfill {
    fn rolled_up_to(&self) -> Timestamp {
        match (self.finished_at, self.last) {
            (Some(_), _) => Timestamp::END,
            // Other events of the same microsecond may not be rolled up yet.
            (None, Some(last)) => last.timestamp(),
            (None, None) => Timestamp::EPOCH,
        }
    }
}

const COLUMNS: &str = "definition.provider, definition.name, definition.version, definition.generation, \
                       description, method_class, action, filter, measure, unit, default_observed, \
                       label_sets, created_at, updated_at, is_current";
const WITH_ROLLUP: &str = "backfilled, event_count, started_at, finished_at
                           FROM metric_definition AS definition
                           LEFT JOIN metric_rollup USING (tenant_id, generation)";

fn read_definition(row: &Row) -> Result<MetricDefinition, StoreError> {
    // An operator must fix this. The error is transient, so that the waiting events do not become dead
    // letters.
    let unreadable = |what: &str| StoreError::Unavailable(format!("a stored metric has an unknown {what}"));
    let provider: String = row.get(0);
    let filter: String = row.get(7);
    let named = |index: usize| row.get::<_, String>(index);
    let method_class = row.get::<_, Option<String>>(5);
    Ok(MetricDefinition {
        full_name: format!("{provider}/{}", named(1)),
        generation: row.get(3),
        description: row.get(4),
        selector: Selector {
            provider,
            method_class: method_class
                .map(|name| MethodClass::named(&name).ok_or_else(|| unreadable("method class")))
                .transpose()?,
            action: row.get(6),
            filter: Filter::parse(&filter).map_err(|_| unreadable("filter"))?,
        },
        measure: Measure::named(&named(8)).ok_or_else(|| unreadable("measure"))?,
        unit: row.get(9),
        default_observed: Observed::named(&named(10)).ok_or_else(|| unreadable("aggregation"))?,
        label_sets: label_sets(&row.get(11)),
    })
}

/// Label sets are stored as lists of names, without the empty label set, which every metric has.
fn label_sets(kept: &Value) -> Vec<LabelSet> {
    let names = |set: &Value| {
        let names = set.as_array().into_iter().flatten().filter_map(Value::as_str);
        LabelSet::new(names.map(Field::named).collect())
    };
    let kept = kept.as_array().into_iter().flatten().map(names);
    std::iter::once(LabelSet::new(Vec::new())).chain(kept).collect()
}

fn kept_label_sets(definition: &MetricDefinition) -> Value {
    let names = |set: &LabelSet| set.labels.iter().map(|label| Value::from(label.name())).collect::<Value>();
    definition.label_sets.iter().filter(|set| !set.labels.is_empty()).map(names).collect()
}

fn read(row: &Row) -> Result<Metric, StoreError> {
    let time = |index: usize| row.get::<_, Option<SystemTime>>(index).map(Timestamp::from);
    Ok(Metric {
        definition: read_definition(row)?,
        version: row.get(2),
        created_at: Timestamp::from(row.get::<_, SystemTime>(12)),
        updated_at: Timestamp::from(row.get::<_, SystemTime>(13)),
        backfill: row.get::<_, bool>(14).then(|| Backfill {
            last: row.get::<_, Option<uuid::Uuid>>(15).map(EventId),
            event_count: row.get::<_, Option<i64>>(16).unwrap_or_default(),
            started_at: time(17),
            finished_at: time(18),
        }),
    })
}

/// The metrics by which a tenant's events are rolled up, in addition to the built-in metrics.
pub(crate) async fn definitions(
    client: &impl GenericClient,
    tenant: TenantId,
) -> Result<Vec<MetricDefinition>, StoreError> {
    let sql = format!(
        "-- definitions\nSELECT {COLUMNS} FROM metric_definition AS definition
         WHERE tenant_id = $1 AND is_current ORDER BY generation"
    );
    let rows = client.query_typed(&sql, &[(&tenant.0, Type::UUID)]).await?;
    rows.iter().map(read_definition).collect()
}

/// Lists a tenant's own metrics by name.
pub async fn list_metrics(store: &Store, tenant: TenantId) -> Result<Vec<Metric>, StoreError> {
    let client = store.client().await?;
    let sql = format!(
        "-- list_metrics\nSELECT {COLUMNS}, {WITH_ROLLUP}
         WHERE tenant_id = $1 AND is_current
         ORDER BY provider COLLATE \"C\", name COLLATE \"C\""
    );
    client.query_typed(&sql, &[(&tenant.0, Type::UUID)]).await?.iter().map(read).collect()
}

/// A tenant's own metric, or an earlier version of it.
pub async fn get_metric(
    store: &Store,
    tenant: TenantId,
    provider: &str,
    name: &str,
    version: Option<i32>,
) -> Result<Option<Metric>, StoreError> {
    let client = store.client().await?;
    get(&**client, tenant, provider, name, version).await
}

async fn get(
    client: &impl GenericClient,
    tenant: TenantId,
    provider: &str,
    name: &str,
    version: Option<i32>,
) -> Result<Option<Metric>, StoreError> {
    let sql = format!(
        "-- get_metric\nSELECT {COLUMNS}, {WITH_ROLLUP}
         WHERE tenant_id = $1 AND provider = $2 AND definition.name = $3
           AND CASE WHEN $4::integer IS NULL THEN is_current ELSE definition.version = $4 END"
    );
    let rows = client
        .query_typed(
            &sql,
            &[(&tenant.0, Type::UUID), (&provider, Type::TEXT), (&name, Type::TEXT), (&version, Type::INT4)],
        )
        .await?;
    rows.first().map(read).transpose()
}

/// Defines a metric. Assigns its generation.
pub async fn insert_metric(
    store: &Store,
    tenant: TenantId,
    definition: &MetricDefinition,
) -> Result<Changed<Metric>, StoreError> {
    let mut client = store.client().await?;
    let provider = &definition.selector.provider;
    if get(&**client, tenant, provider, definition.name(), None).await?.is_some() {
        return Ok(Changed::Taken);
    }
    let transaction = client.transaction().await?;
    lock(&transaction, tenant).await?;
    let row = transaction
        .query_one(
            "-- insert_metric
             SELECT count(*), count(*) FILTER (WHERE provider = $2),
                    count(*) FILTER (WHERE provider = $2 AND name = $3)
             FROM metric_definition WHERE tenant_id = $1 AND is_current",
            &[&tenant.0, provider, &definition.name()],
        )
        .await?;
    let (all, of_provider, same): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let built_in = Catalog::built_in().provider(provider).map_or(0, |metrics| metrics.definitions.len());
    let room = ProviderMetrics::MAX - built_in;
    if same > 0 {
        return Ok(Changed::Taken);
    }
    if all >= MAX_METRICS {
        return Ok(Changed::TooMany { limit: MAX_METRICS, of: "metrics per tenant" });
    }
    if of_provider >= i64::try_from(room).expect("at most 64") {
        let limit = i64::try_from(ProviderMetrics::MAX).expect("64");
        return Ok(Changed::TooMany { limit, of: "metrics per provider, including built-in ones" });
    }
    let generation = next_generation(&transaction, tenant).await?;
    insert_version(&transaction, tenant, definition, generation).await?;
    begin_rollup(&transaction, tenant, definition, generation).await?;
    commit(transaction, tenant, definition).await
}

/// Changes a metric whose current version is `version`.
pub async fn update_metric(
    store: &Store,
    tenant: TenantId,
    definition: &MetricDefinition,
    version: i32,
) -> Result<Changed<Metric>, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    lock(&transaction, tenant).await?;
    let found = get(&*transaction, tenant, &definition.selector.provider, definition.name(), None).await?;
    let Some(current) = found else { return Ok(Changed::NotFound) };
    if current.version != version {
        return Ok(Changed::OtherVersion(current.version));
    }
    retire(&transaction, tenant, definition).await?;
    if current.definition.rolls_up_like(definition) {
        insert_version(&transaction, tenant, definition, current.definition.generation).await?;
    } else {
        abandon_rollup(&transaction, tenant, current.definition.generation).await?;
        let generation = next_generation(&transaction, tenant).await?;
        insert_version(&transaction, tenant, definition, generation).await?;
        begin_rollup(&transaction, tenant, definition, generation).await?;
    }
    commit(transaction, tenant, definition).await
}

/// Deletes a metric whose current version is `version`, or whatever its version if None.
pub async fn delete_metric(
    store: &Store,
    tenant: TenantId,
    provider: &str,
    name: &str,
    version: Option<i32>,
) -> Result<Changed<()>, StoreError> {
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    lock(&transaction, tenant).await?;
    let Some(current) = get(&*transaction, tenant, provider, name, None).await? else {
        return Ok(Changed::NotFound);
    };
    if version.is_some_and(|version| version != current.version) {
        return Ok(Changed::OtherVersion(current.version));
    }
    transaction
        .execute(
            "-- delete_metric
             DELETE FROM metric_definition WHERE tenant_id = $1 AND provider = $2 AND name = $3",
            &[&tenant.0, &provider, &name],
        )
        .await?;
    abandon_rollup(&transaction, tenant, current.definition.generation).await?;
    // So that workers no longer roll up events for the metric.
    next_generation(&transaction, tenant).await?;
    transaction.commit().await?;
    Ok(Changed::Done(()))
}

/// Waits until no running transaction rolls up the tenant's events, and prevents new ones. The wait is short,
/// because new transactions wait for the lock meanwhile.
async fn lock(transaction: &Transaction<'_>, tenant: TenantId) -> Result<(), StoreError> {
    transaction.batch_execute("-- lock_catalog\nSET LOCAL lock_timeout = '3s'").await?;
    transaction
        .execute("-- lock_catalog\nSELECT pg_advisory_xact_lock($1, $2)", &[&CATALOG_LOCK, &stripe(tenant)])
        .await?;
    Ok(())
}

async fn next_generation(transaction: &Transaction<'_>, tenant: TenantId) -> Result<i32, StoreError> {
    let row = transaction
        .query_one(
            "-- next_generation
             INSERT INTO tenant_catalog VALUES ($1, 1)
             ON CONFLICT (tenant_id) DO UPDATE SET generation = tenant_catalog.generation + 1
             RETURNING generation",
            &[&tenant.0],
        )
        .await?;
    Ok(row.get(0))
}

/// Marks the current version as no longer current, and removes the oldest versions.
async fn retire(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    definition: &MetricDefinition,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "-- retire_metric
             UPDATE metric_definition SET is_current = false
             WHERE tenant_id = $1 AND provider = $2 AND name = $3 AND is_current",
            &[&tenant.0, &definition.selector.provider, &definition.name()],
        )
        .await?;
    transaction
        .execute(
            "-- retire_metric
             DELETE FROM metric_definition AS old
             WHERE tenant_id = $1 AND provider = $2 AND name = $3 AND version <= (
                 SELECT max(version) - $4 FROM metric_definition
                 WHERE tenant_id = $1 AND provider = $2 AND name = $3)",
            &[&tenant.0, &definition.selector.provider, &definition.name(), &MAX_VERSIONS],
        )
        .await?;
    Ok(())
}

async fn insert_version(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    definition: &MetricDefinition,
    generation: i32,
) -> Result<(), StoreError> {
    let MetricDefinition { description, selector, measure, unit, default_observed, .. } = definition;
    transaction
        .execute(
            "-- insert_version
             INSERT INTO metric_definition
             SELECT $1, $2, $3, coalesce(max(version), 0) + 1, $4, $5, $6, $7, $8, $9, $10, $11, $12,
                    coalesce(min(created_at), now()), now(), true
             FROM metric_definition WHERE tenant_id = $1 AND provider = $2 AND name = $3",
            &[
                &tenant.0,
                &selector.provider,
                &definition.name(),
                &generation,
                description,
                &selector.method_class.map(MethodClass::name),
                &selector.action,
                &selector.filter.to_string(),
                &measure.name(),
                unit,
                &default_observed.name(),
                &kept_label_sets(definition),
            ],
        )
        .await?;
    Ok(())
}

async fn begin_rollup(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    definition: &MetricDefinition,
    generation: i32,
) -> Result<(), StoreError> {
    let series_key = MetricDefinition { generation, ..definition.clone() }.series_key().into_owned();
    transaction
        .execute(
            "-- begin_rollup
             INSERT INTO metric_rollup (tenant_id, generation, series_key) VALUES ($1, $2, $3)",
            &[&tenant.0, &generation, &series_key],
        )
        .await?;
    Ok(())
}

async fn abandon_rollup(
    transaction: &Transaction<'_>,
    tenant: TenantId,
    generation: i32,
) -> Result<(), StoreError> {
    transaction
        .execute(
            "-- abandon_rollup
             UPDATE metric_rollup SET abandoned_at = clock_timestamp() WHERE tenant_id = $1 AND generation = $2",
            &[&tenant.0, &generation],
        )
        .await?;
    Ok(())
}

async fn commit(
    transaction: Transaction<'_>,
    tenant: TenantId,
    definition: &MetricDefinition,
) -> Result<Changed<Metric>, StoreError> {
    let metric = get(&*transaction, tenant, &definition.selector.provider, definition.name(), None).await?;
    transaction.commit().await?;
    metric
        .map(Changed::Done)
        .ok_or_else(|| StoreError::Refused("the metric vanished within the transaction".into()))
}

/// Whether the roll-ups of a generation still belong to an existing metric. If so, a query that has just read
/// them has read all of them.
pub async fn is_in_use(store: &Store, tenant: TenantId, generation: i32) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            "-- is_in_use
             SELECT FROM metric_rollup WHERE tenant_id = $1 AND generation = $2 AND abandoned_at IS NULL",
            &[(&tenant.0, Type::UUID), (&generation, Type::INT4)],
        )
        .await?;
    Ok(!rows.is_empty())
}
