//! The distinct values of a field.

use flowmeter_core::ids::TenantId;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;

use super::label_sets::Reads;
use super::list::{List, push_list};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// A question for values.
#[derive(Debug, Clone)]
pub struct FieldValues {
    /// Of which field.
    pub field: Field,
    /// Of which events.
    pub list: List,
    /// What the values begin with.
    pub prefix: String,
    /// The last value of the page before.
    pub after: Option<String>,
    /// Values at most.
    pub limit: i64,
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The value; a number as a decimal without trailing zeros.
    pub value: String,
    /// How many events have it.
    pub count: i64,
}

/// Lists the values of a field, text by its bytes and numbers by size. What is absent is no value.
pub async fn list_field_values(
    store: &Store,
    tenant: TenantId,
    question: &FieldValues,
) -> Result<Vec<FieldValue>, StoreError> {
    let is_text = matches!(question.field, Field::Text(_) | Field::Attribute(_));
    let mut snapshot = Snapshot::new(store);
    let rare = question.list.rare_labels(&mut snapshot, tenant, Reads::All).await?;
    // Grouped as it is stored, and cast only afterwards.
    let mut sql = Sql::new("-- list_field_values\nSELECT ");
    sql.push(if is_text { "stored" } else { "trim_scale(stored::numeric)::text" });
    sql.push(", sum(count)::bigint FROM (SELECT ");
    sql.field(&question.field);
    sql.push(if is_text { " COLLATE \"C\" AS stored" } else { " AS stored" }).push(", count(*) AS count");
    push_list(&mut sql, tenant, &question.list, Reads::All, rare.as_ref());
    sql.push(" AND ");
    sql.field(&question.field);
    sql.push(if is_text { " <> ''" } else { " IS NOT NULL" });
    if !question.prefix.is_empty() {
        sql.push(" AND starts_with(");
        sql.field(&question.field);
        sql.push("::text, ").value(question.prefix.clone(), Type::TEXT).push(")");
    }
    if let Some(after) = &question.after {
        sql.push(" AND ");
        sql.field(&question.field);
        sql.push(if is_text { " COLLATE \"C\" > " } else { "::numeric > " });
        sql.value(after.clone(), Type::TEXT).push(if is_text { "::text" } else { "::text::numeric" });
    }
    sql.push(" GROUP BY 1) AS found GROUP BY ");
    sql.push(if is_text { "stored ORDER BY stored" } else { "stored::numeric ORDER BY stored::numeric" });
    sql.push(" LIMIT ").value(question.limit, Type::INT8);
    let rows = sql.query_last(snapshot).await?;
    Ok(rows.iter().map(|row| FieldValue { value: row.get(0), count: row.get(1) }).collect())
}
