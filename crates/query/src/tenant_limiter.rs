//! Limits how many database connections the slow reads of one tenant use at the same time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_service::error::{ApiError, Reason};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a read waits for the other reads of its tenant.
const MAX_WAIT: Duration = Duration::from_secs(5);
/// Tenants that are remembered. If there are more, tenants without a running read are forgotten.
const MAX_TENANTS: usize = 10_000;

/// Admits a limited number of reads of each tenant.
pub struct TenantLimiter {
    /// Reads of one tenant at the same time.
    max_reads: usize,
    max_wait: Duration,
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl TenantLimiter {
    /// Shares `connections` among the reads of all tenants: each tenant can use half of them.
    pub fn new(connections: usize) -> Self {
        Self { max_reads: (connections / 2).max(1), max_wait: MAX_WAIT, tenants: Mutex::default() }
    }

    /// Admits a read of a tenant, which ends when the permit is dropped.
    pub async fn admit(&self, tenant: TenantId) -> Result<OwnedSemaphorePermit, ApiError> {
        let reads = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            if tenants.len() >= MAX_TENANTS {
                tenants.retain(|_, reads| Arc::strong_count(reads) > 1);
            }
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.max_reads))).clone()
        };
        let permit = tokio::time::timeout(self.max_wait, reads.acquire_owned()).await;
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            let text = "the tenant has too many slow queries running, and none of them ended in time; retry the call";
            ApiError::new(Reason::StoreUnavailable, text)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_reads_only() {
        let limiter = TenantLimiter { max_wait: Duration::from_millis(10), ..TenantLimiter::new(4) };
        let (one, other) = (TenantId(Uuid::from_u128(1)), TenantId(Uuid::from_u128(2)));
        let first = limiter.admit(one).await.unwrap();
        let _second = limiter.admit(one).await.unwrap();
        assert!(limiter.admit(one).await.is_err());
        assert!(limiter.admit(other).await.is_ok());
        drop(first);
        assert!(limiter.admit(one).await.is_ok());
    }
}
