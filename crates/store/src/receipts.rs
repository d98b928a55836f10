//! Receipts of requests, and waiting for them.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, NoTls};

use crate::{Store, StoreError};

/// The outcome of a settled request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Events that were new.
    pub accepted: i32,
    /// Events that had been stored before.
    pub duplicates: i32,
    /// Events whose id had been stored before with different content.
    pub conflicts: i32,
    /// When it was settled.
    pub settled_at: Timestamp,
    /// Why the request could not be applied.
    pub dead_reason: Option<String>,
}

/// How often a waiting caller polls, in case it misses a notification while the listening connection is
/// re-established.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Finds receipts, and waits for them.
#[derive(Clone)]
pub struct Receipts {
    store: Store,
    applied: watch::Receiver<u64>,
}

impl Receipts {
    /// Finds receipts in `store`. The listener must run in its own task. Without it, callers that wait for a
    /// receipt only poll.
    #[must_use]
    pub fn new(store: Store) -> (Self, ReceiptListener) {
        let (notify, applied) = watch::channel(0);
        let listener = ReceiptListener { config: store.config().clone(), notify };
        (Self { store, applied }, listener)
    }

    /// The receipt of a request. None if the request is not settled.
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

    /// Waits for the receipt of a request until `deadline`.
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
            let next_poll = deadline.min(now + POLL_INTERVAL);
            tokio::select! {
                changed = applied.changed() => if changed.is_err() {
                    tokio::time::sleep_until(next_poll).await;
                },
                () = tokio::time::sleep_until(next_poll) => {}
            }
        }
    }
}

/// Listens for notifications of applied requests, and wakes callers that wait for a receipt.
pub struct ReceiptListener {
    config: tokio_postgres::Config,
    notify: watch::Sender<u64>,
}

/// The delay before the listening connection is re-established.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

impl ReceiptListener {
    /// Listens over a separate connection, which is re-established whenever it fails. Never ends.
    pub async fn run(self) -> Infallible {
        let mut is_failing = false;
        loop {
            let listening = listen_once(&self.config, &self.notify, &mut is_failing);
            let error =
                listening.await.err().map_or_else(|| "it was closed".to_owned(), |error| error.to_string());
            let retry_in_ms = RECONNECT_AFTER.as_millis();
            tracing::warn!(error, retry_in_ms, "not listening for applied requests; trying again");
            is_failing = true;
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }
}

/// Listens until the connection ends.
async fn listen_once(
    config: &tokio_postgres::Config,
    notify: &watch::Sender<u64>,
    is_failing: &mut bool,
) -> Result<(), StoreError> {
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
        client.batch_execute("-- listen_applied\nLISTEN flowmeter_applied").await?;
        if std::mem::take(is_failing) {
            tracing::info!("listening for applied requests again");
        }
        std::future::pending().await
    };
    tokio::select! {
        ended = messages => ended,
        ended = listening => ended,
    }
}
