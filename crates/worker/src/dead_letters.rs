//! Dead letters: requests and messages that can never be applied. They are published to a separate queue with
//! the reason, as envelopes that an operator can requeue.

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, Request};
use flowmeter_queue::{Delivery, QueueError, Subscription};
use flowmeter_service::retry::{Retry, Stopping};
use flowmeter_store::Store;
use flowmeter_store::batch::record_dead_requests;
use prost::Message;
use tokio_util::sync::CancellationToken;

use crate::decode::ids;
use crate::gather::MessageBatch;

/// A request or a message that can never be applied.
pub struct DeadLetter {
    /// The message that contained it, by its index in the batch.
    pub message: usize,
    /// The dead letter: the unchanged message, or an envelope with a single request.
    pub data: Vec<u8>,
    /// Why it cannot be applied.
    pub reason: String,
    /// The ids of the request. None if they cannot be read.
    pub request: Option<(TenantId, RequestId)>,
}

impl DeadLetter {
    /// A whole message that cannot be decoded.
    pub fn of_message(message: usize, delivery: &Delivery, reason: &str) -> Self {
        Self { message, data: delivery.data.to_vec(), reason: reason.to_owned(), request: None }
    }

    /// One request of a message.
    pub fn of_request(message: usize, request: &Request, reason: String) -> Self {
        let data = Envelope { requests: vec![request.clone()] }.encode_to_vec();
        Self { message, data, reason, request: ids(request) }
    }
}

/// Publishes the dead letters of a batch.
pub async fn publish(
    letters: &[DeadLetter],
    batch: &MessageBatch,
    subscription: &Subscription,
) -> Result<(), QueueError> {
    for letter in letters {
        let (delivery, _) = &batch.messages[letter.message];
        subscription.dead_letter(delivery, &letter.data, &letter.reason).await?;
    }
    Ok(())
}

/// Records in the ledger that the requests are dead. Retries while the database is unavailable. The dead
/// letters must be published before, because a request in the ledger is dropped when it is delivered again.
pub async fn record(letters: &[DeadLetter], store: &Store, stop: &CancellationToken) -> Result<(), Stopping> {
    let mut retry = Retry::new("record dead requests in the ledger");
    for letter in letters {
        tracing::error!(
            reason = letter.reason,
            request = letter.request.map(|(_, id)| id.to_string()),
            bytes = letter.data.len(),
            "a request cannot be applied: it is now a dead letter"
        );
        let Some(request) = letter.request else { continue };
        while let Err(error) = record_dead_requests(store, &[request], &letter.reason, Timestamp::now()).await
        {
            if !error.is_transient() {
                tracing::error!(%error, "cannot record a dead request in the ledger");
                break;
            }
            retry.wait_after(&error, stop).await?;
        }
        retry.succeeded();
    }
    Ok(())
}
