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
use tokio_postgres::NoTls;

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
                   AND relname ~ '^(event_segment|event_key|ingest_request|rollup|rollup_day|rollup_partial|series|worker_progress)'",
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

    /// Prints the size of each kind of table, and its number of rows for this number of events.
    pub async fn print_sizes(&self, events: u64) -> Result<()> {
        let client = connect(&self.url).await?;
        let rows = client
            .query(
                "SELECT regexp_replace(relname, '_[0-9]{8}$', '') AS name,
                        sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint,
                        sum(greatest(reltuples, 0))::bigint
                 FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                   AND relname ~ '^(event_segment|event_key|ingest_request|rollup|rollup_day|rollup_partial|series)'
                 GROUP BY name ORDER BY name",
                &[],
            )
            .await?;
        println!("  on disk");
        for row in &rows {
            let (name, table, indexes, count): (String, i64, i64, i64) =
                (row.get(0), row.get(1), row.get(2), row.get(3));
            println!(
                "    {name:<15} {:>8.1} MB, indexes {:>8.1} MB, {count:>9} rows, {:>6.1} bytes per event",
                table as f64 / 1e6,
                indexes as f64 / 1e6,
                (table + indexes) as f64 / events as f64
            );
        }
        Ok(())
    }
}

async fn connect(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client.
    tokio::spawn(connection);
    Ok(client)
}
