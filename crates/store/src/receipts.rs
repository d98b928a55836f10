//! What became of requests, and waiting until it is known.

use std::time::{Duration, SystemTime};

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{Store, StoreError};

/// What became of a request that is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Events that were new.
    pub accepted: i32,
    /// Events that were stored before.
    pub duplicates: i32,
    /// Events whose id was stored before with other content.
    pub conflicts: i32,
    /// When it was settled.
    pub settled_at: Timestamp,
    /// Why nothing of it could be applied.
    pub dead_reason: Option<String>,
}

/// Looks where a wait would otherwise miss a notice, as while the connection that
/// listens is being made anew.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Finds receipts, and waits for them.
#[derive(Clone)]
pub struct Receipts {
    store: Store,
    applied: watch::Receiver<u64>,
}

impl Receipts {
    /// Starts to listen for what workers apply. The task ends with the last receiver.
    #[must_use]
    pub fn listen(store: Store) -> Self {
        let (notify, applied) = watch::channel(0);
        let config = store.config().clone();
        tokio::spawn(async move {
            while !notify.is_closed() {
                if let Err(error) = listen_once(&config, &notify).await {
                    tracing::debug!(%error, "not listening for applied requests");
                }
                tokio::select! {
                    () = notify.closed() => {}
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        });
        Self { store, applied }
    }

    /// The receipt of a request, if it is settled.
    pub async fn get(&self, tenant: TenantId, request: RequestId) -> Result<Option<Receipt>, StoreError> {
        let client = self.store.client().await?;
        let rows = client
            .query_typed(
                "-- get_receipt
                 SELECT accepted, duplicates, conflicts, settled_at, dead_reason
                 FROM ingest_request WHERE tenant_id = $1 AND request_id = $2",
                &[(&tenant.0, Type::UUID), (&request.0, Type::UUID)],
            )
            .await?;
        Ok(rows.first().map(|row| Receipt {
            accepted: row.get(0),
            duplicates: row.get(1),
            conflicts: row.get(2),
            settled_at: Timestamp::from(row.get::<_, SystemTime>(3)),
            dead_reason: row.get(4),
        }))
    }

    /// The receipt of a request, waiting for it until `deadline`.
    pub async fn wait(
        &self,
        tenant: TenantId,
        request: RequestId,
        deadline: Instant,
    ) -> Result<Option<Receipt>, StoreError> {
        let mut applied = self.applied.clone();
        loop {
            applied.mark_unchanged();
            if let Some(receipt) = self.get(tenant, request).await? {
                return Ok(Some(receipt));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            let look_again = deadline.min(now + LOOK_AGAIN);
            tokio::select! {
                changed = applied.changed() => if changed.is_err() {
                    tokio::time::sleep_until(look_again).await;
                },
                () = tokio::time::sleep_until(look_again) => {}
            }
        }
    }
}

/// Listens until the connection fails or nobody waits any more.
async fn listen_once(config: &tokio_postgres::Config, notify: &watch::Sender<u64>) -> Result<(), StoreError> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let messages = std::future::poll_fn(|context| {
        while let std::task::Poll::Ready(message) = connection.poll_message(context) {
            match message {
                Some(Ok(AsyncMessage::Notification(_))) => notify.send_modify(|count| *count += 1),
                Some(Ok(_)) => {}
                Some(Err(error)) => return std::task::Poll::Ready(Err(StoreError::from(error))),
                None => return std::task::Poll::Ready(Ok(())),
            }
        }
        std::task::Poll::Pending
    });
    let listening = async {
        client.batch_execute("LISTEN flowmeter_applied").await?;
        notify.closed().await;
        Ok(())
    };
    tokio::select! {
        ended = messages => ended,
        ended = listening => ended,
    }
}
