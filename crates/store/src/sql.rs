//! Statements that are put together from parts. Every value is a parameter; only
//! names that stand in this crate's source become text of a statement.

use std::fmt::Write;

use flowmeter_core::filter::{Filter, Value};
use flowmeter_core::ids::EventId;
use flowmeter_core::range::TimeRange;
use flowmeter_core::usage::Field;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use crate::StoreError;

/// A statement in the making.
pub(crate) struct Sql {
    text: String,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), values: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
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

    /// ` AND` every condition of a filter holds of an event. An absent text is empty.
    pub(crate) fn matching(&mut self, filter: &Filter) -> &mut Self {
        for condition in &filter.conditions {
            self.push(" AND ");
            match &condition.field {
                Field::Attribute(name) => {
                    self.push("attributes ->> ").value(name.clone(), Type::TEXT);
                }
                field => {
                    self.push("\"").push(field.name()).push("\"");
                }
            }
            match &condition.value {
                Value::Text(text) if text.is_empty() && matches!(condition.field, Field::Text(_)) => {
                    self.push(" IS NULL");
                }
                Value::Text(text) => {
                    self.push(" = ").value(text.clone(), Type::TEXT);
                }
                Value::Number(number) => {
                    self.push(" = (").value(number.to_string(), Type::TEXT).push(")::numeric");
                }
            }
        }
        self
    }

    /// Runs it, in one round trip. It is planned for these very values, so that only
    /// the partitions they need are looked at.
    pub(crate) async fn query(&self, client: &Client) -> Result<Vec<Row>, StoreError> {
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            self.values.iter().map(|(value, of)| (&**value as &(dyn ToSql + Sync), of.clone())).collect();
        Ok(client.query_typed(&self.text, &values).await?)
    }
}
