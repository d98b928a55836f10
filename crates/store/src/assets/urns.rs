//! The assets themselves, by URN.

use std::time::SystemTime;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use tokio_postgres::types::Type;

use crate::sql::Sql;
use crate::{Store, StoreError};

/// A question for assets.
#[derive(Debug, Clone)]
pub struct Urns {
    /// What their URNs begin with.
    pub prefix: String,
    /// The last URN of the page before; empty for the first page.
    pub after: String,
    /// Assets at most.
    pub limit: i64,
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredAsset {
    /// Its URN.
    pub urn: String,
    /// When the first of its metrics was stored.
    pub created_at: Timestamp,
}

/// The assets of a tenant by URN, in the order of its bytes.
pub async fn list_assets(
    store: &Store,
    tenant: TenantId,
    question: &Urns,
) -> Result<Vec<StoredAsset>, StoreError> {
    let Urns { prefix, after, limit } = question;
    let mut sql = Sql::new("-- list_assets\nSELECT urn, created_at FROM asset WHERE tenant_id = ");
    sql.value(tenant.0, Type::UUID);
    sql.push(" AND urn > ").value(after.clone(), Type::TEXT);
    sql.push(" AND urn >= ").value(prefix.clone(), Type::TEXT);
    if let Some(end) = after_all_with(prefix) {
        sql.push(" AND urn < ").value(end, Type::TEXT);
    }
    sql.push(" ORDER BY urn LIMIT ").value(*limit, Type::INT8);
    let rows = sql.query_prepared(store).await?;
    let read = rows
        .iter()
        .map(|row| StoredAsset { urn: row.get(0), created_at: Timestamp::from(row.get::<_, SystemTime>(1)) });
    Ok(read.collect())
}

/// Whether metrics were emitted on an asset.
pub async fn asset_exists(store: &Store, tenant: TenantId, urn: &str) -> Result<bool, StoreError> {
    let client = store.client().await?;
    let sql = "-- asset_exists\nSELECT 1 FROM asset WHERE tenant_id = $1 AND urn = $2";
    let rows = client.query_typed(sql, &[(&tenant.0, Type::UUID), (&urn, Type::TEXT)]).await?;
    Ok(!rows.is_empty())
}

/// The first text after all those that begin with a prefix, in the order of their bytes, which in UTF-8 is
/// that of the characters. None if there is no text after them.
fn after_all_with(prefix: &str) -> Option<String> {
    // What has the last character of all has none after it but at an earlier place.
    let rest = prefix.trim_end_matches(char::MAX);
    let last = rest.chars().next_back()?;
    // The next one, beyond the gap that is kept for surrogates.
    let next = ((last as u32 + 1)..).find_map(char::from_u32).expect("it is not the last of all");
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
            assert_eq!(after_all_with(prefix).as_deref(), end, "{prefix:?}");
        }
    }

    proptest! {
        #[test]
        fn a_text_begins_with_a_prefix_or_is_outside_its_ends(
            prefix in "[a\u{7f}\u{80}\u{d7ff}\u{e000}\u{10ffff}]{0,3}",
            text in "[a\u{7f}\u{80}\u{d7ff}\u{e000}\u{10ffff}]{0,5}",
        ) {
            let end = after_all_with(&prefix);
            let within = text >= prefix && end.is_none_or(|end| text < end);
            prop_assert_eq!(within, text.starts_with(&prefix));
        }
    }
}
