//! The names of the metrics of an asset.

use flowmeter_core::ids::{AssetId, TenantId};
use tokio_postgres::types::Type;

use crate::sql::Sql;

/// Selects the names of metrics of an asset.
pub(super) struct MetricNames<'a> {
    /// The tenant that owns the asset.
    pub tenant: TenantId,
    /// The asset.
    pub asset: AssetId,
    /// Only these names; all names if empty.
    pub only: &'a [String],
    /// Only names after this one.
    pub after: &'a str,
    /// The maximum number of names, if all names are selected.
    pub limit: i64,
}

/// `WITH` a table `metric` whose column `name` contains the names, and possibly NULL. All names are found by stepping through
/// the primary key from one name to the next, which costs one look-up for each name, however long its history is.
pub(super) fn with_names(sql: &mut Sql, names: &MetricNames<'_>) {
    if !names.only.is_empty() {
        sql.push("WITH metric AS (SELECT name COLLATE \"C\" AS name FROM unnest(");
        sql.value(names.only.to_vec(), Type::TEXT_ARRAY)
            .push(") AS given (name) WHERE name COLLATE \"C\" > ");
        sql.value(names.after.to_owned(), Type::TEXT).push(")");
        return;
    }
    sql.push("WITH RECURSIVE metric (place, name) AS (SELECT 1::bigint, ");
    next_name(sql, names).value(names.after.to_owned(), Type::TEXT).push(" ORDER BY name LIMIT 1)");
    sql.push("\nUNION ALL SELECT place + 1, ");
    next_name(sql, names).push("metric.name ORDER BY name LIMIT 1)");
    sql.push(" FROM metric WHERE name IS NOT NULL AND place < ").value(names.limit, Type::INT8).push(")");
}

fn next_name<'a>(sql: &'a mut Sql, names: &MetricNames<'_>) -> &'a mut Sql {
    sql.push("(SELECT name FROM asset_value");
    of_asset(sql, names.tenant, names.asset).push(" AND name > ")
}

/// ` WHERE` the rows belong to an asset.
pub(super) fn of_asset(sql: &mut Sql, tenant: TenantId, asset: AssetId) -> &mut Sql {
    sql.push(" WHERE tenant_id = ").value(tenant.0, Type::UUID);
    sql.push(" AND asset_id = ").value(asset.0, Type::UUID)
}
