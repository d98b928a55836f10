//! Resolves names, a limited number at a time. A look-up cannot be interrupted, so it keeps its permit until
//! it ends, even if its check has ended before. Tenants choose the names, and with them the name servers, so
//! each tenant has only a part of the permits.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use futures::future::BoxFuture;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use super::{Failure, is_ours};

/// The maximum number of names that are resolved at the same time: far more than necessary while the name
/// servers answer.
pub const MAX_LOOKUPS: usize = 256;
/// A tenant can use at most the permits divided by this number.
const SHARE: usize = 4;

/// The addresses of a name that is being resolved.
pub type Addresses = BoxFuture<'static, Result<Vec<SocketAddr>, Failure>>;
/// Finds the addresses of a name.
pub type Resolve = Arc<dyn Fn(String, u16) -> Addresses + Send + Sync>;

/// Begins look-ups when a permit is free.
pub struct Lookups {
    resolve: Resolve,
    permits: Arc<Semaphore>,
    share: usize,
    /// A few bytes for each tenant whose endpoints have names.
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Lookups {
    /// Resolves up to `permits` names at a time.
    pub fn new(resolve: Resolve, permits: usize) -> Self {
        let share = (permits / SHARE).max(1);
        Self { resolve, permits: Arc::new(Semaphore::new(permits)), share, tenants: Mutex::default() }
    }

    /// Begins to resolve a name. Fails if no permit is free within `patience`.
    pub async fn begin(
        &self,
        tenant: TenantId,
        name: String,
        port: u16,
        patience: Duration,
    ) -> Result<Addresses, Failure> {
        let late = |_| Failure::NotChecked(io::Error::other("too many names are being resolved"));
        let permits = timeout(patience, self.permits(tenant)).await.map_err(late)?;
        let finding = (self.resolve)(name, port);
        // A separate task, because the look-up continues with its permits after its check has ended.
        let task = tokio::spawn(async move {
            let found = finding.await;
            drop(permits);
            found
        });
        let lost = |error| Err(Failure::NotChecked(io::Error::other(error)));
        Ok(Box::pin(async move { task.await.unwrap_or_else(lost) }))
    }

    /// One of the tenant's permits, and one of all.
    async fn permits(&self, tenant: TenantId) -> [OwnedSemaphorePermit; 2] {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
        };
        // The tenant's permit comes first, so that a look-up that waits for it does not hold a permit that
        // other tenants need.
        let own = own.acquire_owned().await.expect("it is never closed");
        [own, self.permits.clone().acquire_owned().await.expect("it is never closed")]
    }
}

/// Resolves names with the resolver of the system, each on a separate thread: on the threads of the runtime,
/// a look-up that hangs would delay others and the end of the process.
pub fn system_resolver() -> Resolve {
    Arc::new(|name, port| {
        Box::pin(async move {
            let (found, finding) = oneshot::channel();
            std::thread::Builder::new()
                .name("resolve".to_owned())
                .spawn(move || {
                    // The answer is not needed if the process is ending.
                    let _ = found.send(resolve(&name, port));
                })
                .map_err(Failure::NotChecked)?;
            let lost = |_| Err(Failure::NotChecked(io::Error::other("the resolver failed")));
            finding.await.unwrap_or_else(lost)
        })
    })
}

fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    match (name, port).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(error) if is_ours(&error) => Err(Failure::NotChecked(error)),
        // The system only reports that there is no answer, even if it could not send the question.
        Err(error) => match UdpSocket::bind("0.0.0.0:0") {
            Err(ours) if is_ours(&ours) => Err(Failure::NotChecked(ours)),
            _ => Err(Failure::Unresolved(error)),
        },
    }
}
