//! Turns of tenants: no tenant takes all the connections that questions may have.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_service::error::{ApiError, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a question waits for the tenant's others.
const WAIT: Duration = Duration::from_secs(5);
/// Tenants remembered; beyond that those that ask nothing now are forgotten.
const TENANTS: usize = 10_000;

/// Turns of tenants.
pub struct Turns {
    /// Questions of one tenant at the same time.
    of_each: usize,
    wait: Duration,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Turns {
    /// Turns for questions that share so many connections: a tenant has half of them.
    pub fn new(connections: usize) -> Self {
        Self { of_each: (connections / 2).max(1), wait: WAIT, tenants: Mutex::default() }
    }

    /// A turn of a tenant, until it is dropped.
    pub async fn take(&self, tenant: TenantId) -> Result<OwnedSemaphorePermit, ApiError> {
        let turns = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            if tenants.len() >= TENANTS {
                tenants.retain(|_, turns| Arc::strong_count(turns) > 1);
            }
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.of_each))).clone()
        };
        let turn = tokio::time::timeout(self.wait, turns.acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| {
            let text =
                "too many slow questions at once, and none has ended in time; the call can be repeated";
            ApiError::new(Reason::StoreUnavailable, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_tenant_waits_for_itself_alone() {
        let turns = Turns { wait: Duration::from_millis(10), ..Turns::new(4) };
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let first = turns.take(one).await.unwrap();
        let _second = turns.take(one).await.unwrap();
        assert!(turns.take(one).await.is_err());
        assert!(turns.take(other).await.is_ok());
        drop(first);
        assert!(turns.take(one).await.is_ok());
    }
}
