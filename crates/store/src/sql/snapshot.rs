//! Several statements that read the same snapshot of the database.

use deadpool_postgres::Transaction;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row, RowStream};

use super::{Running, Sql};
use crate::{Store, StoreError};

/// A snapshot of the database for the statements of one query, which other transactions do not affect. The
/// first statement takes a permit and a connection, and the last one returns them. If the snapshot is dropped
/// without a last statement and without [`end`](Self::end), its connection is closed, because its transaction
/// is still open.
pub(crate) struct Snapshot<'a> {
    store: &'a Store,
    begun: Option<Running>,
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl<'a> Snapshot<'a> {
    pub(crate) fn new(store: &'a Store) -> Self {
        Self { store, begun: None }
    }

    /// Returns the connection, if no statement was run as the last one.
    pub(crate) async fn end(self) -> Result<(), StoreError> {
        if let Some(running) = self.begun {
            running.client().batch_execute("COMMIT").await?;
            running.finished();
        }
        Ok(())
    }
}

impl Sql {
    /// Runs the statement in a snapshot, in which others follow.
    pub(crate) async fn query_in(&self, snapshot: &mut Snapshot<'_>) -> Result<Vec<Row>, StoreError> {
        if let Some(running) = &snapshot.begun {
            return Ok(self.run(running.client()).await?);
        }
        let running = Running::new(snapshot.store).await?;
        let client = running.client();
        // Pipelined into one round trip.
        let (begun, rows) = tokio::join!(biased; client.batch_execute(BEGIN), self.run(client));
        begun?;
        let rows = rows?;
        snapshot.begun = Some(running);
        Ok(rows)
    }

    /// Runs the statement as the last one in a snapshot. If it is the first one as well, it needs no
    /// transaction.
    pub(crate) async fn query_last(&self, snapshot: Snapshot<'_>) -> Result<Vec<Row>, StoreError> {
        let Some(running) = snapshot.begun else {
            let running = Running::new(snapshot.store).await?;
            let rows = self.run(running.client()).await;
            running.finished();
            return Ok(rows?);
        };
        let client = running.client();
        // Pipelined into one round trip. The transaction only reads, so the rows are valid even if COMMIT
        // fails. COMMIT also ends the transaction if its statement failed.
        let (rows, ended) = tokio::join!(biased; self.run(client), client.batch_execute("COMMIT"));
        if ended.is_ok() {
            running.finished();
        }
        Ok(rows?)
    }

    /// Runs the statement in a snapshot, in which others may follow. The rows come as the server sends them, and no
    /// faster than they are taken.
    pub(crate) async fn stream_in(&self, snapshot: &mut Snapshot<'_>) -> Result<RowStream, StoreError> {
        let params = || self.values.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone()));
        if let Some(running) = &snapshot.begun {
            return Ok(running.client().query_typed_raw(&self.text, params()).await?);
        }
        let running = Running::new(snapshot.store).await?;
        let client = running.client();
        // Pipelined into one round trip.
        let (begun, rows) = tokio::join!(
            biased;
            client.batch_execute(BEGIN),
            client.query_typed_raw(&self.text, params())
        );
        begun?;
        let rows = rows?;
        snapshot.begun = Some(running);
        Ok(rows)
    }

    /// Runs the statement in a transaction that may write.
    pub(crate) async fn query_on(&self, transaction: &Transaction<'_>) -> Result<Vec<Row>, StoreError> {
        Ok(self.run(transaction.client()).await?)
    }

    async fn run(&self, client: &Client) -> Result<Vec<Row>, tokio_postgres::Error> {
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            self.values.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
        client.query_typed(&self.text, &values).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Settings;

    /// A store with a single connection.
    fn store() -> Store {
        let url = std::env::var("FLOWMETER_TEST_DATABASE_URL")
            .expect("FLOWMETER_TEST_DATABASE_URL is not set: run `cargo xtask test [FILTER]`");
        let statement_timeout = Duration::from_secs(10);
        Store::new(&Settings { url, max_connections: 1, statement_timeout }).unwrap()
    }

    /// The process of the connection, and the transactions that are visible to a statement.
    fn state(rows: &[Row]) -> (i32, String) {
        (rows[0].get(0), rows[0].get(1))
    }

    const STATE: &str = "SELECT pg_backend_pid(), pg_current_snapshot()::text";

    #[tokio::test]
    async fn statements_of_a_snapshot_do_not_see_later_transactions() {
        let (store, other) = (store(), store());
        let mut snapshot = Snapshot::new(&store);
        let sql = Sql::new(STATE);
        let first = state(&sql.query_in(&mut snapshot).await.unwrap());
        Sql::new("SELECT pg_current_xact_id()::text").query(&other).await.unwrap();
        assert_eq!(state(&sql.query_in(&mut snapshot).await.unwrap()), first);
        assert_eq!(state(&sql.query_last(snapshot).await.unwrap()), first);
        let (process, seen) = state(&sql.query(&store).await.unwrap());
        assert_eq!(process, first.0, "the connection is returned");
        assert_ne!(seen, first.1, "the transaction has ended");
    }

    #[tokio::test]
    async fn a_transaction_ends_even_if_a_statement_fails() {
        let store = store();
        let sql = Sql::new(STATE);
        let mut snapshot = Snapshot::new(&store);
        let (process, _) = state(&sql.query_in(&mut snapshot).await.unwrap());
        Sql::new("SELECT 1 / 0").query_last(snapshot).await.unwrap_err();
        assert_eq!(state(&sql.query(&store).await.unwrap()).0, process);

        let mut snapshot = Snapshot::new(&store);
        sql.query_in(&mut snapshot).await.unwrap();
        drop(snapshot);
        assert_ne!(state(&sql.query(&store).await.unwrap()).0, process);
    }
}
