//! Statements that are put together from parts. Every value is a parameter, and what becomes text
//! of a statement stands in the source: the types take nothing else.

mod filter;
mod pattern;
mod snapshot;

use std::fmt::Write;

use deadpool_postgres::Object;
use flowmeter_core::ids::EventId;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{NoTls, Row};

use crate::{Store, StoreError};

pub(crate) use snapshot::Snapshot;

/// A statement in the making.
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

    /// A number as text, as in names that are counted.
    pub(crate) fn index(&mut self, index: usize) -> &mut Self {
        write!(self.text, "{index}").expect("a string takes all text");
        self
    }

    /// The value of a field of `usage_event`; NULL where it is absent.
    pub(crate) fn field(&mut self, field: &Field) -> &mut Self {
        match field {
            Field::Attribute(name) => self.push("(attributes ->> ").value(name.clone(), Type::TEXT).push(")"),
            own => {
                let column = own.own_name().expect("only attributes have names of their senders'");
                self.push("\"").push(column).push("\"")
            }
        }
    }

    /// A value as a parameter.
    pub(crate) fn value(&mut self, value: impl ToSql + Sync + Send + 'static, of: Type) -> &mut Self {
        self.values.push((Box::new(value), of));
        write!(self.text, "${}", self.values.len()).expect("a string takes all text");
        self
    }

    /// ` AND` the id is of an event in the range.
    pub(crate) fn ids_within(&mut self, range: TimeRange) -> &mut Self {
        self.push(" AND id >= ").value(EventId::first_at(range.start).0, Type::UUID);
        self.push(" AND id < ").value(EventId::first_at(range.end).0, Type::UUID)
    }

    /// Runs it, in one round trip. It is planned for these very values, so that only
    /// the partitions they need are looked at. Dropping the future stops the statement.
    pub(crate) async fn query(&self, store: &Store) -> Result<Vec<Row>, StoreError> {
        self.query_last(Snapshot::new(store)).await
    }

    /// Runs it as a statement that each connection prepares once: for one of few texts, whose plan does
    /// not depend on its values.
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

/// A connection with a statement under way, and the turn for it. When the caller goes away before it
/// ends, the connection must not go back to the pool, where the next caller would wait behind it.
struct Running {
    connection: Option<Object>,
    _turn: OwnedSemaphorePermit,
}

impl Running {
    async fn new(store: &Store) -> Result<Self, StoreError> {
        let turn = store.turn().await?;
        Ok(Self { connection: Some(store.client().await?), _turn: turn })
    }

    fn client(&self) -> &Object {
        self.connection.as_ref().expect("only what ends it takes it")
    }

    /// Gives the connection back.
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
                tracing::debug!(%error, "an abandoned statement runs until its timeout");
            }
        });
    }
}
