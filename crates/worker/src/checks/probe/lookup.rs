//! Finds the addresses of names, so many at a time. A look-up cannot be interrupted, so one whose check
//! has ended holds its place until it ends itself; and since tenants choose the names, and with them the
//! name servers, each has a part of the places only.

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

/// Names that are being resolved at most. It is far more than wait at a time as long as the name servers
/// answer.
pub const MAX_LOOKUPS: usize = 256;
/// The part of them that a tenant has.
const SHARE: usize = 4;

/// The addresses of a name, which are being found.
pub type Addresses = BoxFuture<'static, Result<Vec<SocketAddr>, Failure>>;
/// Finds the addresses of a name.
pub type Resolve = Arc<dyn Fn(String, u16) -> Addresses + Send + Sync>;

/// Begins look-ups when there is a place.
pub struct Lookups {
    resolve: Resolve,
    places: Arc<Semaphore>,
    share: usize,
    /// A few bytes for each tenant whose endpoints have names.
    tenants: Mutex<HashMap<TenantId, Arc<Semaphore>>>,
}

impl Lookups {
    /// Up to `places` at a time.
    pub fn new(resolve: Resolve, places: usize) -> Self {
        let share = (places / SHARE).max(1);
        Self { resolve, places: Arc::new(Semaphore::new(places)), share, tenants: Mutex::default() }
    }

    /// Begins to look a name up. Fails if there is no place within `patience`.
    pub async fn begin(
        &self,
        tenant: TenantId,
        name: String,
        port: u16,
        patience: Duration,
    ) -> Result<Addresses, Failure> {
        let late = |_| Failure::NotChecked(io::Error::other("too many names are being resolved"));
        let place = timeout(patience, self.place(tenant)).await.map_err(late)?;
        let finding = (self.resolve)(name, port);
        // A task, because it goes on with its place when nobody waits for it any more.
        let task = tokio::spawn(async move {
            let found = finding.await;
            drop(place);
            found
        });
        let lost = |error| Err(Failure::NotChecked(io::Error::other(error)));
        Ok(Box::pin(async move { task.await.unwrap_or_else(lost) }))
    }

    /// A place among all, and among those of its tenant.
    async fn place(&self, tenant: TenantId) -> [OwnedSemaphorePermit; 2] {
        let own = {
            let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
            tenants.entry(tenant).or_insert_with(|| Arc::new(Semaphore::new(self.share))).clone()
        };
        // First among its own, so that who waits there keeps nothing from others.
        let own = own.acquire_owned().await.expect("it is never closed");
        [own, self.places.clone().acquire_owned().await.expect("it is never closed")]
    }
}

/// Resolves by the system's own means, each name on a thread of its own: on the runtime's threads one
/// that hangs would hold up others and the process's end.
pub fn system_resolver() -> Resolve {
    Arc::new(|name, port| {
        Box::pin(async move {
            let (found, finding) = oneshot::channel();
            std::thread::Builder::new()
                .name("resolve".to_owned())
                .spawn(move || {
                    // A process that ends does not want to know.
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
        // The system says no more than that there is no answer, also where it could not ask.
        Err(error) => match UdpSocket::bind("0.0.0.0:0") {
            Err(ours) if is_ours(&ours) => Err(Failure::NotChecked(ours)),
            _ => Err(Failure::Unresolved(error)),
        },
    }
}
