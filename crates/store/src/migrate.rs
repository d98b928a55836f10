//! Migrates the schema. Migration is a separate command, never a side effect of starting a service.

use refinery::embed_migrations;
use tokio_postgres::NoTls;

use crate::StoreError;

embed_migrations!("migrations");

/// Serialises migrations, because the migration tool does not lock.
const MIGRATION_LOCK: i64 = 0x666c_6f77_6d69_6772;

/// Applies the missing migrations and returns their names. Concurrent calls wait for each other.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    let config: tokio_postgres::Config = url.parse().map_err(StoreError::from_url)?;
    let (mut client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    client.execute("-- migrate\nSELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let report =
        migrations::runner().run_async(&mut client).await.map_err(|error| StoreError::refused(&error))?;
    // Closing the connection releases the lock.
    drop(client);
    let _ = connection.await;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}
