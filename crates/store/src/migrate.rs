//! Brings the schema up to date: a command of its own, never a side effect of
//! starting a service.

use refinery::embed_migrations;
use tokio_postgres::NoTls;

use crate::StoreError;

embed_migrations!("migrations");

/// Serialises migrations: the migration tool itself takes no lock.
const MIGRATION_LOCK: i64 = 0x666c_6f77_6d69_6772;

/// Applies what is missing of the schema, and returns the names of what was applied.
/// Several at once wait for each other.
pub async fn migrate(url: &str) -> Result<Vec<String>, StoreError> {
    let config: tokio_postgres::Config = url.parse().map_err(StoreError::from_url)?;
    let (mut client, connection) = config.connect(NoTls).await?;
    let connection = tokio::spawn(connection);
    client.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await?;
    let report = migrations::runner()
        .run_async(&mut client)
        .await
        .map_err(|error| StoreError::Refused(error.to_string()))?;
    // Closing the connection releases the lock.
    drop(client);
    let _ = connection.await;
    Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
}
