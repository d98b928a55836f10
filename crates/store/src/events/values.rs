//! The distinct values of a field.

use flowmeter_core::ids::TenantId;
use flowmeter_core::usage::Field;
use tokio_postgres::types::Type;

use super::label_sets::Reads;
use super::list::{EventSelection, push_list};
use crate::sql::{Snapshot, Sql};
use crate::{Store, StoreError};

/// A query for the distinct values of a field.
#[derive(Debug, Clone)]
pub struct FieldValuesQuery {
    /// The field.
    pub field: Field,
    /// The events whose values are listed.
    pub list: EventSelection,
    /// The prefix of the values.
    pub prefix: String,
    /// The last value of the previous page.
    pub after: Option<String>,
    /// The maximum number of values.
    pub limit: i64,
}

/// A value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldValue {
    /// The value; a number as a decimal without trailing zeros.
    pub value: String,
    /// The number of events with this value.
    pub count: i64,
}

/// Lists the distinct values of a field: text in byte order, numbers by size. Absent values are not listed.
pub async fn list_field_values(
    store: &Store,
    tenant: TenantId,
    query: &FieldValuesQuery,
) -> Result<Vec<FieldValue>, StoreError> {
    let is_text = matches!(query.field, Field::Text(_) | Field::Attribute(_));
    let mut snapshot = Snapshot::new(store);
    let rare = query.list.rare_labels(&mut snapshot, tenant, Reads::All).await?;
    // Values are grouped as they are stored, and cast only afterwards.
    let mut sql = Sql::new("-- list_field_values\nSELECT ");
    sql.push(if is_text { "stored" } else { "trim_scale(stored::numeric)::text" });
    sql.push(", sum(count)::bigint FROM (SELECT ");
    sql.field(&query.field);
    sql.push(if is_text { " COLLATE \"C\" AS stored" } else { " AS stored" }).push(", count(*) AS count");
    push_list(&mut sql, tenant, &query.list, Reads::All, rare.as_ref());
    sql.push(" AND ");
    sql.field(&query.field);
    sql.push(if is_text { " <> ''" } else { " IS NOT NULL" });
    if !query.prefix.is_empty() {
        sql.push(" AND starts_with(");
        sql.field(&query.field);
        sql.push("::text, ").value(query.prefix.clone(), Type::TEXT).push(")");
    }
    if let Some(after) = &query.after {
        sql.push(" AND ");
        sql.field(&query.field);
        sql.push(if is_text { " COLLATE \"C\" > " } else { "::numeric > " });
        sql.value(after.clone(), Type::TEXT).push(if is_text { "::text" } else { "::text::numeric" });
    }
    sql.push(" GROUP BY 1) AS found GROUP BY ");
    sql.push(if is_text { "stored ORDER BY stored" } else { "stored::numeric ORDER BY stored::numeric" });
    sql.push(" LIMIT ").value(query.limit, Type::INT8);
    let rows = sql.query_last(snapshot).await?;
    Ok(rows.iter().map(|row| FieldValue { value: row.get(0), count: row.get(1) }).collect())
}
