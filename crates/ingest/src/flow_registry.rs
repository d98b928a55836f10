//! Which flows are registered, so that requests of other flows can be rejected.
//!
//! The answers of the store are cached for a few seconds, and for longer while the store is unavailable. A
//! flow that is not in the cache is looked up each time, so a new flow is accepted at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::flows::{Registration, find_registrations, list_registrations};
use flowmeter_store::{Store, StoreError};
use foldhash::fast::RandomState;
use moka::future::Cache;
use tokio::sync::Semaphore;

/// The registrations of a tenant's flows, by their ids.
#[derive(Debug, Clone, Default)]
pub struct RegisteredFlows(HashMap<String, Registration, RandomState>);

impl RegisteredFlows {
    /// Since and until when a flow is registered. None if it is unknown.
    pub fn get(&self, id: &str) -> Option<Registration> {
        self.0.get(id).copied()
    }
}

impl<T: Into<String>> FromIterator<(T, Registration)> for RegisteredFlows {
    fn from_iter<I: IntoIterator<Item = (T, Registration)>>(flows: I) -> Self {
        Self(flows.into_iter().map(|(id, registration)| (id.into(), registration)).collect())
    }
}

/// How long cached registrations are used without asking the store: a deleted flow must be rejected within 30
/// s.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// How long cached registrations are used while the store is unavailable. Tokens are used for as long.
const FALLBACK_FOR: Duration = Duration::from_hours(24);
/// How long a look-up may take. A call that waits for the store holds one of the places that calls of all
/// tenants share.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);
/// How long there are no look-ups after the store was unavailable, for the same reason.
const LOOKUP_PAUSE: Duration = Duration::from_secs(1);
/// How many look-ups may run at the same time: half of the connections that the pool has by default.
const MAX_LOOKUPS: usize = 4;
/// How many flows of all tenants are cached: a bound on memory, about 150 MB.
const MAX_CACHED_FLOWS: u64 = 1_000_000;

/// The registered flows of all tenants.
#[derive(Clone)]
pub struct FlowRegistry {
    store: Store,
    /// Registrations to use without asking the store.
    fresh: Cache<TenantId, Arc<RegisteredFlows>>,
    /// Registrations to use while the store is unavailable.
    fallback: Cache<TenantId, Arc<RegisteredFlows>>,
    lookups: Arc<Semaphore>,
    /// Until when there are no look-ups, in microseconds since the epoch.
    paused_until: Arc<AtomicI64>,
}

impl FlowRegistry {
    /// The registry of the flows in a store.
    pub fn new(store: Store) -> Self {
        let cache = |time_to_live| {
            let weigh = |_: &TenantId, flows: &Arc<RegisteredFlows>| {
                u32::try_from(flows.0.len()).unwrap_or(u32::MAX).saturating_add(1)
            };
            Cache::builder().weigher(weigh).max_capacity(MAX_CACHED_FLOWS).time_to_live(time_to_live).build()
        };
        Self {
            store,
            fresh: cache(FRESH_FOR),
            fallback: cache(FALLBACK_FOR),
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
            paused_until: Arc::default(),
        }
    }

    /// The registered flows of a tenant, from the cache if it has them.
    pub async fn registered(&self, tenant: TenantId) -> Result<Arc<RegisteredFlows>, ApiError> {
        self.fresh.try_get_with(tenant, self.list(tenant)).await.map_err(|error| unavailable(&error))
    }

    /// Looks up `flow_ids` in the store. If any of them differs from `cached`, returns all flows of the
    /// tenant as they are now.
    pub async fn reread(
        &self,
        tenant: TenantId,
        cached: &RegisteredFlows,
        flow_ids: &[&str],
    ) -> Result<Option<Arc<RegisteredFlows>>, ApiError> {
        let found = self.look_up(find_registrations(&self.store, tenant, flow_ids)).await;
        let found = found.map_err(|error| unavailable(&error))?;
        if found.iter().all(|flow| cached.get(&flow.flow_id) == Some(flow.registration)) {
            return Ok(None);
        }
        // All flows are listed again, because caching the old list again would keep deleted flows for longer.
        let mut all = RegisteredFlows::clone(&*self.list(tenant).await.map_err(|error| unavailable(&error))?);
        all.0.extend(found.into_iter().map(|flow| (flow.flow_id, flow.registration)));
        let all = Arc::new(all);
        self.fresh.insert(tenant, all.clone()).await;
        Ok(Some(all))
    }

    /// All flows of a tenant: from the store, or as they were last listed if the store is unavailable.
    async fn list(&self, tenant: TenantId) -> Result<Arc<RegisteredFlows>, StoreError> {
        match self.look_up(list_registrations(&self.store, tenant)).await {
            Ok(flows) => {
                let flows = flows.into_iter().map(|flow| (flow.flow_id, flow.registration));
                let flows = Arc::new(flows.collect::<RegisteredFlows>());
                self.fallback.insert(tenant, flows.clone()).await;
                Ok(flows)
            }
            Err(error) if error.is_transient() => {
                let Some(cached) = self.fallback.get(&tenant).await else { return Err(error) };
                tracing::warn!(%error, "the store is unavailable; using the cached registrations of flows");
                Ok(cached)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs a look-up for a limited time, and not at all when the store has just been unavailable.
    async fn look_up<T>(&self, lookup: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if Timestamp::now().micros() < self.paused_until.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the last look-up of flows failed a moment ago".into()));
        }
        let limited = async {
            let _permit = self.lookups.acquire().await.expect("the semaphore is never closed");
            lookup.await
        };
        let result = tokio::time::timeout(LOOKUP_TIMEOUT, limited)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the look-up of flows timed out".into())));
        if result.as_ref().is_err_and(StoreError::is_transient) {
            self.paused_until.store(Timestamp::now().plus(LOOKUP_PAUSE).micros(), Ordering::Relaxed);
        }
        result
    }
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::warn!(%error, "flows cannot be looked up");
    ApiError::new(Reason::StoreUnavailable, "flows cannot be looked up now; retry with the same request_id")
}
