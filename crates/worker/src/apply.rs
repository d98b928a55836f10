//! Applies a batch of messages in one transaction. If the database rejects the batch, the faulty requests are
//! found by bisection. They become dead letters, and the other requests are applied. A batch that takes the database too
//! long is halved as well, so that it is not repeated as it is for ever.

use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::Request;
use flowmeter_service::retry::{Retry, Stopping};
use flowmeter_store::StoreError;
use flowmeter_store::batch::{Applied, Batch, Writer};
use tokio_util::sync::CancellationToken;

use crate::dead_letters::DeadLetter;
use crate::decode::decode;
use crate::gather::{MessageBatch, Watermark};

/// A request of a batch.
#[derive(Clone, Copy)]
pub struct BatchRequest<'a> {
    /// Its message, by the index in the batch.
    pub message: usize,
    /// The request.
    pub request: &'a Request,
}

/// Applies batches, one after the other.
pub struct Applier {
    writer: Writer,
    watermark: Watermark,
    stop: CancellationToken,
}

impl Applier {
    /// An applier that records the watermark with each batch.
    pub fn new(writer: Writer, watermark: Watermark, stop: CancellationToken) -> Self {
        Self { writer, watermark, stop }
    }

    /// Applies all requests that can be applied, and returns the others.
    pub async fn apply(&mut self, batch: &MessageBatch) -> Result<Vec<DeadLetter>, Stopping> {
        let mut dead = Vec::new();
        let mut requests = Vec::new();
        for (message, (delivery, envelope)) in batch.messages.iter().enumerate() {
            match envelope {
                Ok(envelope) => {
                    requests
                        .extend(envelope.requests.iter().map(|request| BatchRequest { message, request }));
                }
                Err(reason) => dead.push(DeadLetter::of_message(message, delivery, reason)),
            }
        }
        // Halves of rejected batches wait here. The last one is applied first.
        let mut waiting: Vec<&[BatchRequest<'_>]> = vec![&requests];
        while let Some(requests) = waiting.pop() {
            // While other requests wait, their message may be the oldest that is not applied.
            let not_applied_from = batch.oldest.filter(|_| !waiting.is_empty());
            let (decoded, undecodable) = decode(requests);
            match self.write(&decoded, not_applied_from).await? {
                Ok(applied) => {
                    log(applied);
                    dead.extend(undecodable);
                }
                Err(error) if requests.len() <= 1 => {
                    tracing::error!(%error, "the database rejected a request");
                    dead.extend(requests.first().map(|BatchRequest { message, request }| {
                        DeadLetter::of_request(*message, request, error.to_string())
                    }));
                }
                Err(_) => {
                    let (first, second) = requests.split_at(requests.len() / 2);
                    waiting.extend([second, first]);
                }
            }
        }
        Ok(dead)
    }

    /// Writes a batch. Retries while the database is unavailable, and a single request also if it takes too long. Some messages that were enqueued at
    /// `not_applied_from` or later are not in the batch.
    async fn write(
        &mut self,
        batch: &Batch<'_>,
        not_applied_from: Option<Timestamp>,
    ) -> Result<Result<Applied, StoreError>, Stopping> {
        let mut retry = Retry::new("write a batch");
        let watermark = self.watermark.clone();
        let applied_through = || not_applied_from.into_iter().fold(watermark.time(), Timestamp::min);
        loop {
            match self.writer.apply(batch, applied_through).await {
                Err(error @ StoreError::TimedOut(_)) if batch.requests.len() > 1 => {
                    tracing::warn!(%error, requests = batch.requests.len(), "a batch took too long and is halved");
                    return Ok(Err(error));
                }
                Err(error) if error.is_transient() => retry.wait_after(&error, &self.stop).await?,
                outcome => {
                    retry.succeeded();
                    return Ok(outcome);
                }
            }
        }
    }
}

fn log(applied: Applied) {
    let Applied { requests, repeated_requests, events, duplicates, conflicts } = applied;
    tracing::debug!(requests, repeated_requests, events, duplicates, conflicts, "applied");
    if conflicts > 0 {
        tracing::warn!(conflicts, "events were sent again with other content; the first ones are kept");
    }
}
