//! The metrics by which a worker rolls up events. They are current in each transaction.

use std::collections::{BTreeSet, HashMap, HashSet};

use deadpool_postgres::Transaction;
use flowmeter_core::ids::TenantId;
use flowmeter_core::metric::Catalog;
use tokio_postgres::types::Type;

use super::{CATALOG_LOCK, metrics, stripe};
use crate::StoreError;

/// The maximum number of tenants whose metrics are cached. When the cache is full it is cleared, which costs
/// one look-up for each tenant.
const MAX_TENANTS: usize = 10_000;

/// The metrics that tenants have defined, as of the last transaction.
#[derive(Default)]
pub(crate) struct MetricCatalogs {
    own: HashMap<TenantId, (i32, Catalog)>,
}

impl MetricCatalogs {
    /// Updates the cache to the generations that a transaction has read.
    pub(crate) async fn refresh(
        &mut self,
        transaction: &Transaction<'_>,
        generations: &HashMap<TenantId, i32>,
    ) -> Result<(), StoreError> {
        for (tenant, generation) in generations {
            if self.own.get(tenant).is_some_and(|(known, _)| known == generation) {
                continue;
            }
            let own = metrics::definitions(&**transaction, *tenant).await?;
            if self.own.len() >= MAX_TENANTS {
                self.own.retain(|tenant, _| generations.contains_key(tenant));
            }
            self.own.insert(*tenant, (*generation, Catalog::with(own)));
        }
        Ok(())
    }

    /// The metrics of a tenant.
    pub(crate) fn of(&self, tenant: TenantId) -> &Catalog {
        self.own.get(&tenant).map_or_else(|| Catalog::built_in(), |(_, catalog)| catalog)
    }
}

/// Prevents changes of the tenants' metrics until the transaction ends.
pub(crate) async fn share_lock(
    transaction: &Transaction<'_>,
    tenants: impl IntoIterator<Item = TenantId>,
) -> Result<(), StoreError> {
    // In ascending order, each once.
    let stripes: Vec<i32> = tenants.into_iter().map(stripe).collect::<BTreeSet<_>>().into_iter().collect();
    transaction
        .query_typed(
            "-- share_lock
             SELECT pg_advisory_xact_lock_shared($1, stripe) FROM unnest($2) AS stripe",
            &[(&CATALOG_LOCK, Type::INT4), (&stripes, Type::INT4_ARRAY)],
        )
        .await?;
    Ok(())
}

/// Takes the shared lock, and reads the generations of those tenants that have defined metrics, in one round trip.
pub(crate) async fn generations(
    transaction: &Transaction<'_>,
    tenants: HashSet<TenantId>,
) -> Result<HashMap<TenantId, i32>, StoreError> {
    let ids: Vec<_> = tenants.iter().map(|tenant| tenant.0).collect();
    let read = async {
        let rows = transaction
            .query_typed(
                "-- generations\nSELECT tenant_id, generation FROM tenant_catalog WHERE tenant_id = ANY ($1)",
                &[(&ids, Type::UUID_ARRAY)],
            )
            .await?;
        Ok(rows.iter().map(|row| (TenantId(row.get(0)), row.get(1))).collect())
    };
    let ((), generations) = futures::try_join!(share_lock(transaction, tenants), read)?;
    Ok(generations)
}
