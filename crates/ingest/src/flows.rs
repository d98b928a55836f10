//! Which flows are registered, so that requests of others can be rejected.
//!
//! What the store said is believed for a while, and while the store is away for longer. A flow that is
//! not known is asked for each time, so a new one is accepted at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::flows::{find_flows, list_flow_ids};
use flowmeter_store::{Store, StoreError};
use foldhash::fast::RandomState;
use moka::future::Cache;

/// The ids of a tenant's flows.
#[derive(Debug, Clone, Default)]
pub struct FlowIds(HashSet<String, RandomState>);

impl FlowIds {
    /// Whether a flow is among them.
    pub fn contains(&self, id: &str) -> bool {
        self.0.contains(id)
    }
}

impl<T: Into<String>> FromIterator<T> for FlowIds {
    fn from_iter<I: IntoIterator<Item = T>>(ids: I) -> Self {
        Self(ids.into_iter().map(Into::into).collect())
    }
}

/// How long flows are believed to be registered: a deleted one is refused within 30 s.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long they are while the store cannot be asked, as tokens are.
const REMEMBERED: Duration = Duration::from_hours(24);
/// How long the store may take where there is something to fall back on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Flows remembered of all tenants: a bound on memory, about 100 MB.
const FLOWS: u64 = 1_000_000;

/// The flows of tenants.
#[derive(Clone)]
pub struct Flows {
    store: Store,
    believed: Cache<TenantId, Arc<FlowIds>>,
    remembered: Cache<TenantId, Arc<FlowIds>>,
}

impl Flows {
    /// Those of that store.
    pub fn new(store: Store) -> Self {
        let cache = |lives| {
            let weigh = |_: &TenantId, ids: &Arc<FlowIds>| {
                u32::try_from(ids.0.len()).unwrap_or(u32::MAX).saturating_add(1)
            };
            Cache::builder().weigher(weigh).max_capacity(FLOWS).time_to_live(lives).build()
        };
        Self { store, believed: cache(BELIEVED), remembered: cache(REMEMBERED) }
    }

    /// The flows that are known.
    pub async fn known(&self, tenant: TenantId) -> Result<Arc<FlowIds>, ApiError> {
        self.believed.try_get_with(tenant, self.look_up(tenant)).await.map_err(|error| unavailable(&error))
    }

    /// The flows that are registered now, if any of those that were unknown is among them.
    pub async fn look_for(
        &self,
        tenant: TenantId,
        unknown: &[&str],
    ) -> Result<Option<Arc<FlowIds>>, ApiError> {
        let found = find_flows(&self.store, tenant, unknown).await.map_err(|error| unavailable(&error))?;
        if found.is_empty() {
            return Ok(None);
        }
        // All are read anew: what is believed anew must not hold deleted ones for longer.
        let mut all = self.look_up(tenant).await.map_err(|error| unavailable(&error))?;
        if !found.iter().all(|id| all.contains(id)) {
            let mut ids = FlowIds::clone(&all);
            ids.0.extend(found);
            all = Arc::new(ids);
        }
        self.believed.insert(tenant, all.clone()).await;
        Ok(Some(all))
    }

    async fn look_up(&self, tenant: TenantId) -> Result<Arc<FlowIds>, StoreError> {
        let known = self.remembered.get(&tenant).await;
        let asking = list_flow_ids(&self.store, tenant);
        let answer = match &known {
            None => asking.await,
            Some(_) => tokio::time::timeout(PATIENCE, asking)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer about flows".into()))),
        };
        match (answer, known) {
            (Ok(ids), _) => {
                let ids = Arc::new(FlowIds::from_iter(ids));
                self.remembered.insert(tenant, ids.clone()).await;
                Ok(ids)
            }
            (Err(error), Some(known)) if error.is_transient() => {
                tracing::warn!(%error, "the store is away; known flows are believed to be registered");
                Ok(known)
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::warn!(%error, "flows cannot be looked up");
    ApiError::new(Reason::StoreUnavailable, "flows cannot be looked up now; repeat with the same request_id")
}
