//! Statements that are composed at run time. Every value is a parameter, and all SQL text is a literal in the source:
//! the types accept nothing else.

mod filter;
mod pattern;
mod snapshot;

use std::fmt::Write;

use deadpool_postgres::Object;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

use crate::{Store, StoreError};

pub(crate) use snapshot::Snapshot;

/// A statement under construction.
pub(crate) struct Sql {
    text: String,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Sql {
    pub(crate) fn new(text: &'static str) -> Self {
        Self { text: text.to_owned(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &'static str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// A number as text, as in numbered names.
    pub(crate) fn index(&mut self, index: usize) -> &mut Self {
        write!(self.text, "{index}").expect("a string accepts all text");
        self
    }

    /// A value as a parameter.
    pub(crate) fn value(&mut self, value: impl ToSql + Sync + Send + 'static, of: Type) -> &mut Self {
        self.values.push((Box::new(value), of));
        write!(self.text, "${}", self.values.len()).expect("a string accepts all text");
        self
    }

    /// Runs the statement in one round trip. It is planned for its values, so that only the relevant
    /// partitions are read. Dropping the future cancels the statement.
    pub(crate) async fn query(&self, store: &Store) -> Result<Vec<Row>, StoreError> {
        self.query_last(Snapshot::new(store)).await
    }

    /// Runs the statement as one that each connection prepares once. Suitable for a statement that has few different
    /// texts and whose plan does not depend on its values.
    pub(crate) async fn query_prepared(&self, store: &Store) -> Result<Vec<Row>, StoreError> {
        let running = Running::new(store).await?;
        let client = running.client();
        let types: Vec<_> = self.values.iter().map(|(_, of)| of.clone()).collect();
        let values: Vec<_> = self.values.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync)).collect();
        let rows = async {
            let statement = client.prepare_typed_cached(&self.text, &types).await?;
            client.query(&statement, &values).await
        };
        let rows = rows.await;
        running.finished();
        Ok(rows?)
    }
}

/// A connection with a running statement, and the permit for it. If the caller goes away before the statement
/// ends, the connection must not return to the pool, where the next caller would wait for the statement.
struct Running {
    connection: Option<Object>,
    _permit: OwnedSemaphorePermit,
}

impl Running {
    async fn new(store: &Store) -> Result<Self, StoreError> {
        let permit = store.query_permit().await?;
        Ok(Self { connection: Some(store.client().await?), _permit: permit })
    }

    fn client(&self) -> &Object {
        self.connection.as_ref().expect("only `finished` and `drop` take the connection")
    }

    /// Returns the connection to the pool.
    fn finished(mut self) {
        self.connection.take();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        let cancel = connection.cancel_token();
        drop(Object::take(connection));
        tokio::spawn(async move {
            if let Err(error) = cancel.cancel_query(NoTls).await {
                let error = StoreError::from(error);
                tracing::debug!(%error, "an abandoned statement was not cancelled and runs until its timeout");
            }
        });
    }
}
