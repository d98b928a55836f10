//! The database that the bench fills and queries.

use std::time::Duration;

use anyhow::{Context, Result};
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_stack::Postgres;
use flowmeter_store::events::{Settled, Settler};
use flowmeter_store::tenants::{get_tenant, insert_tenant};
use flowmeter_store::tokens::insert_token;
use flowmeter_store::{Settings, Store, migrate};

use crate::figures::Figure;
use crate::installation::{connect, counted, event_tables, version};
use crate::report::Report;

use super::Load;

/// A migrated database with a tenant.
pub struct Database {
    pub store: Store,
    /// A token of the tenant.
    pub token: String,
    url: String,
}

impl Database {
    /// Migrates the database. `empty` removes its contents first.
    pub async fn open(postgres: &Postgres, tenant: &str, empty: bool) -> Result<Self> {
        let url = postgres.url().to_owned();
        if empty {
            let client = connect(&url).await?;
            client.batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await?;
        }
        migrate(&url).await?;
        let settings =
            Settings { url: url.clone(), max_connections: 8, statement_timeout: Duration::from_mins(10) };
        let store = Store::new(&settings)?;
        let id = TenantId::named(tenant);
        if get_tenant(&store, id).await?.is_none() {
            insert_tenant(&store, id, tenant).await?;
        }
        let (_, secret) = insert_token(&store, id, &["query".to_owned()], None, "bench").await?;
        Ok(Self { store, token: secret.reveal().to_owned(), url })
    }

    /// The number of bytes that were written to the write-ahead log so far.
    pub async fn log_bytes(&self) -> Result<i64> {
        let client = connect(&self.url).await?;
        let row = client.query_one("SELECT (pg_current_wal_lsn() - '0/0')::bigint", &[]).await?;
        Ok(row.get(0))
    }

    /// Does what autovacuum would have done in a month, and writes everything to disk, so that this work does
    /// not affect the measurement.
    pub async fn vacuum(&self) -> Result<()> {
        let client = connect(&self.url).await?;
        let tables = client
            .query(
                "SELECT oid::regclass::text FROM pg_class
                 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                   AND relname ~ '^(event_segment|event_key|ingest_request|rollup|series|worker_progress)'",
                &[],
            )
            .await?;
        for table in &tables {
            let table: &str = table.get(0);
            client
                .batch_execute(&format!("VACUUM (ANALYZE) {table}"))
                .await
                .with_context(|| format!("vacuum {table}"))?;
        }
        client.batch_execute("CHECKPOINT").await?;
        Ok(())
    }

    /// Settles the events, as a worker would have done meanwhile.
    pub async fn settle(&self) -> Result<Settled> {
        let mut settler = Settler::new(self.store.clone());
        let mut all = Settled::default();
        loop {
            let settled = settler.round(Timestamp::now()).await?;
            all += settled;
            if settled.merged == 0 {
                return Ok(all);
            }
        }
    }

    /// The version of the server.
    pub async fn version(&self) -> Result<String> {
        version(&connect(&self.url).await?).await
    }

    /// Reports the size of each kind of table.
    pub async fn report_sizes(&self, load: &Load, report: &mut Report) -> Result<()> {
        let events = load.days.events as f64;
        for size in event_tables(&connect(&self.url).await?).await? {
            let bytes = (size.bytes + size.index_bytes) as f64;
            let name = load.named(&format!("on disk: {}", size.name));
            let note = format!(
                "{:.1} MB, and indexes {:.1} MB, of {}",
                size.bytes as f64 / 1e6,
                size.index_bytes as f64 / 1e6,
                counted(usize::try_from(size.rows).unwrap_or_default(), "row"),
            );
            report.add(Figure::new(name, "bytes/event", bytes / events).note(note));
        }
        Ok(())
    }
}
