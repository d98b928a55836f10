//! Which flows are registered, so that requests of others can be rejected.
//!
//! What the store said is believed for a while, and while the store is away for longer. A flow that is
//! not known is asked for each time, so a new one is accepted at once.

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

/// The flows of a tenant, by their ids.
#[derive(Debug, Clone, Default)]
pub struct Registered(HashMap<String, Registration, RandomState>);

impl Registered {
    /// When a flow is registered. None if it is unknown.
    pub fn get(&self, id: &str) -> Option<Registration> {
        self.0.get(id).copied()
    }
}

impl<T: Into<String>> FromIterator<(T, Registration)> for Registered {
    fn from_iter<I: IntoIterator<Item = (T, Registration)>>(flows: I) -> Self {
        Self(flows.into_iter().map(|(id, registration)| (id.into(), registration)).collect())
    }
}

/// How long flows are believed to be registered: a deleted one is refused within 30 s.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long they are while the store cannot be asked, as tokens are.
const REMEMBERED: Duration = Duration::from_hours(24);
/// How long the store may take. A call that waits for it keeps others from being read, of all tenants.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nobody asks for unknown flows after the store did not answer, for the same reason.
const AWAY: Duration = Duration::from_secs(1);
/// Looks at the store at the same time: half of what the usual pool of connections has.
const LOOKS: usize = 4;
/// Flows remembered of all tenants: a bound on memory, about 150 MB.
const FLOWS: u64 = 1_000_000;

/// The flows of tenants.
#[derive(Clone)]
pub struct Flows {
    store: Store,
    believed: Cache<TenantId, Arc<Registered>>,
    remembered: Cache<TenantId, Arc<Registered>>,
    looks: Arc<Semaphore>,
    /// Until when the store is taken for away, in microseconds since the epoch.
    away_until: Arc<AtomicI64>,
}

impl Flows {
    /// Those of that store.
    pub fn new(store: Store) -> Self {
        let cache = |lives| {
            let weigh = |_: &TenantId, flows: &Arc<Registered>| {
                u32::try_from(flows.0.len()).unwrap_or(u32::MAX).saturating_add(1)
            };
            Cache::builder().weigher(weigh).max_capacity(FLOWS).time_to_live(lives).build()
        };
        Self {
            store,
            believed: cache(BELIEVED),
            remembered: cache(REMEMBERED),
            looks: Arc::new(Semaphore::new(LOOKS)),
            away_until: Arc::default(),
        }
    }

    /// The flows that are known.
    pub async fn known(&self, tenant: TenantId) -> Result<Arc<Registered>, ApiError> {
        self.believed.try_get_with(tenant, self.look_up(tenant)).await.map_err(|error| unavailable(&error))
    }

    /// The flows as they are now, if there is anything about those of `unknown` that was not known.
    pub async fn look_for(
        &self,
        tenant: TenantId,
        known: &Registered,
        unknown: &[&str],
    ) -> Result<Option<Arc<Registered>>, ApiError> {
        let found = self.ask(find_registrations(&self.store, tenant, unknown)).await;
        let found = found.map_err(|error| unavailable(&error))?;
        if found.iter().all(|(id, registration)| known.get(id) == Some(*registration)) {
            return Ok(None);
        }
        // All are read anew: what is believed anew must not hold deleted ones for longer.
        let mut all = Registered::clone(&*self.look_up(tenant).await.map_err(|error| unavailable(&error))?);
        all.0.extend(found);
        let all = Arc::new(all);
        self.believed.insert(tenant, all.clone()).await;
        Ok(Some(all))
    }

    async fn look_up(&self, tenant: TenantId) -> Result<Arc<Registered>, StoreError> {
        match self.ask(list_registrations(&self.store, tenant)).await {
            Ok(flows) => {
                let flows = Arc::new(Registered::from_iter(flows));
                self.remembered.insert(tenant, flows.clone()).await;
                Ok(flows)
            }
            Err(error) if error.is_transient() => {
                let known = self.remembered.get(&tenant).await.ok_or(error)?;
                tracing::warn!("the store is away; known flows are believed to be registered");
                Ok(known)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the store, but not for long, and not at all when it has just been away.
    async fn ask<T>(&self, asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        if Timestamp::now().micros() < self.away_until.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("it did not answer a moment ago".into()));
        }
        let asking = async {
            let _look = self.looks.acquire().await.expect("it is never closed");
            asking.await
        };
        let answer = tokio::time::timeout(PATIENCE, asking)
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer about flows in time".into())));
        if answer.as_ref().is_err_and(StoreError::is_transient) {
            self.away_until.store(Timestamp::now().plus(AWAY).micros(), Ordering::Relaxed);
        }
        answer
    }
}

fn unavailable(error: &StoreError) -> ApiError {
    tracing::warn!(%error, "flows cannot be looked up");
    ApiError::new(Reason::StoreUnavailable, "flows cannot be looked up now; repeat with the same request_id")
}
