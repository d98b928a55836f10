//! Assets by URN.

use std::time::SystemTime;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::sql::Sql;
use crate::{Store, StoreError};

/// A query for assets.
#[derive(Debug, Clone)]
pub struct AssetsQuery {
    /// The prefix of their URNs.
    pub prefix: String,
    /// The last URN of the previous page; empty for the first page.
    pub after: String,
    /// The maximum number of assets.
    pub limit: i64,
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAsset {
    /// Its URN.
    pub urn: String,
    /// When its first metric was stored.
    pub created_at: Timestamp,
}

/// Lists the assets of a tenant in byte order of their URNs.
pub async fn list_assets(
    store: &Store,
    tenant: TenantId,
    query: &AssetsQuery,
) -> Result<Vec<StoredAsset>, StoreError> {
    let AssetsQuery { prefix, after, limit } = query;
    let mut sql = Sql::new("-- list_assets\nSELECT urn, created_at FROM asset WHERE tenant_id = ");
    sql.value(tenant.0, Type::UUID);
    sql.push(" AND urn > ").value(after.clone(), Type::TEXT);
    sql.push(" AND urn >= ").value(prefix.clone(), Type::TEXT);
    if let Some(end) = end_of_prefix(prefix) {
        sql.push(" AND urn < ").value(end, Type::TEXT);
    }
    sql.push(" ORDER BY urn LIMIT ").value(*limit, Type::INT8);
    let rows = sql.query_prepared(store).await?;
    let read = rows
        .iter()
        .map(|row| StoredAsset { urn: row.get(0), created_at: Timestamp::from(row.get::<_, SystemTime>(1)) });
    Ok(read.collect())
}

/// Whether an asset exists, that is, whether metrics were emitted for it.
pub async fn asset_exists(store: &Store, tenant: TenantId, urn: &str) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let sql = "-- asset_exists\nSELECT 1 FROM asset WHERE tenant_id = $1 AND urn = $2";
    let rows = client.query_typed(sql, &[(&tenant.0, Type::UUID), (&urn, Type::TEXT)]).await?;
    Ok(!rows.is_empty())
}

/// The smallest text that is greater than every text with this prefix, in byte order, which in UTF-8 is the
/// order of the characters. None if there is none.
fn end_of_prefix(prefix: &str) -> Option<String> {
    // The greatest character has no successor, so an earlier character must be increased.
    let rest = prefix.trim_end_matches(char::MAX);
    let last = rest.chars().next_back()?;
    // The next character, skipping the range of surrogates.
    let next = ((last as u32 + 1)..).find_map(char::from_u32).expect("it is not the greatest character");
    Some(format!("{}{next}", &rest[..rest.len() - last.len_utf8()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text_without_it() {
        for (prefix, end) in [
            ("urn:a", Some("urn:b")),
            ("", None),
            ("\u{7f}", Some("\u{80}")),
            ("a\u{d7ff}", Some("a\u{e000}")),
            ("a\u{10ffff}\u{10ffff}", Some("b")),
            ("\u{10ffff}", None),
        ] {
            assert_eq!(end_of_prefix(prefix).as_deref(), end, "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn texts_with_a_prefix_are_exactly_those_between_its_ends(
            prefix in "[a\u{7f}\u{80}\u{d7ff}\u{e000}\u{10ffff}]{0,3}",
            text in "[a\u{7f}\u{80}\u{d7ff}\u{e000}\u{10ffff}]{0,5}",
        ) {
            let end = end_of_prefix(&prefix);
            let within = text >= prefix && end.is_none_or(|end| text < end);
            prop_assert_eq!(within, text.starts_with(&prefix));
        }
    }
}
