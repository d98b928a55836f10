//! Applies gathered messages. Whatever cannot be applied for good is found by halving,
//! and goes to the dead letters with its reason; everything else is committed.

mod read;

use flowmeter_core::ids::{RequestId, TenantId};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, Request};
use flowmeter_queue::{Backoff, Delivery, QueueError};
use flowmeter_store::batch::{Applied, Batch, Writer, bury};
use flowmeter_store::{Store, StoreError};
use prost::Message;
use tokio_util::sync::CancellationToken;

use self::read::{ids, read};
use crate::gather::{Gathered, Given};

/// A request that cannot be applied, now or ever.
pub struct DeadLetter {
    /// The message that it came in, by its place among the gathered ones.
    pub message: usize,
    /// The letter: the message as it came, or an envelope of the one request.
    pub data: Vec<u8>,
    /// Why.
    pub reason: String,
    /// Who it is, where that can be read.
    pub request: Option<(TenantId, RequestId)>,
}

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum Abandoned {
    /// The worker stops. What is not applied goes back to the broker.
    #[error("stopping")]
    Stopping,
    /// The broker or the way to it failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The worker could not be made known.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody heard that the worker lives. Others cannot tell it from a dead one.
    #[error("the database did not hear of this worker for too long")]
    Silent,
}

/// A request of a gathered message.
#[derive(Clone, Copy)]
struct Part<'a> {
    message: usize,
    request: &'a Request,
}

/// Applies messages.
pub struct Applier {
    pub store: Store,
    pub writer: Writer,
    pub given: Given,
    pub stop: CancellationToken,
}

impl Applier {
    /// Applies all that can be applied, and returns the rest.
    pub async fn apply(&mut self, gathered: &Gathered) -> Result<Vec<DeadLetter>, Abandoned> {
        let mut dead = Vec::new();
        let mut parts = Vec::new();
        for (index, (delivery, envelope)) in gathered.messages.iter().enumerate() {
            match envelope {
                Ok(envelope) => {
                    parts.extend(envelope.requests.iter().map(|request| Part { message: index, request }));
                }
                Err(reason) => dead.push(unreadable(index, delivery, reason)),
            }
        }
        // Halves of what was refused wait here; the last is taken first.
        let mut waiting: Vec<&[Part<'_>]> = vec![&parts];
        while let Some(parts) = waiting.pop() {
            // As long as a part waits, its messages may be the oldest.
            let waits_from = gathered.oldest.filter(|_| !waiting.is_empty());
            let (batch, unreadable) = read(parts);
            match self.apply_patiently(&batch, waits_from).await? {
                Ok(applied) => {
                    log(applied);
                    dead.extend(unreadable);
                }
                Err(error) if parts.len() <= 1 => {
                    tracing::error!(%error, "the database refuses what is left of a batch");
                    dead.extend(parts.first().map(|part| refused(*part, &error)));
                }
                Err(_) => {
                    let (first, second) = parts.split_at(parts.len() / 2);
                    waiting.extend([second, first]);
                }
            }
        }
        Ok(dead)
    }

    /// Applies a batch, however long the database is away. Other messages of the same ones may wait.
    async fn apply_patiently(
        &mut self,
        batch: &Batch<'_>,
        waits_from: Option<Timestamp>,
    ) -> Result<Result<Applied, StoreError>, Abandoned> {
        let mut backoff = Backoff::default();
        let given = self.given.clone();
        let applied_through = || waits_from.into_iter().fold(given.applied_through(), Timestamp::min);
        loop {
            match self.writer.apply(batch, applied_through).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(%error, events = batch.events.len(), "a batch waits for the database");
                    self.wait(&mut backoff).await?;
                }
                outcome => return Ok(outcome),
            }
        }
    }

    /// Writes into the ledger that a request is dead. Its letter must be safe by then: a
    /// request that the ledger knows is not looked at again.
    pub async fn record_death(&self, letter: &DeadLetter) -> Result<(), Abandoned> {
        tracing::error!(
            reason = letter.reason,
            request = letter.request.map(|(_, id)| id.to_string()),
            bytes = letter.data.len(),
            "a request cannot be applied and goes to the dead letters"
        );
        let Some(request) = letter.request else { return Ok(()) };
        let mut backoff = Backoff::default();
        while let Err(error) = bury(&self.store, &[request], &letter.reason, Timestamp::now()).await {
            if !error.is_transient() {
                tracing::error!(%error, "a dead request gets no receipt");
                return Ok(());
            }
            tracing::warn!(%error, "the receipt of a dead request waits for the database");
            self.wait(&mut backoff).await?;
        }
        Ok(())
    }

    async fn wait(&self, backoff: &mut Backoff) -> Result<(), Abandoned> {
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => Ok(()),
            () = self.stop.cancelled() => Err(Abandoned::Stopping),
        }
    }
}

fn log(applied: Applied) {
    let Applied { requests, repeated_requests, events, duplicates, conflicts } = applied;
    tracing::debug!(requests, repeated_requests, events, duplicates, conflicts, "applied");
    if conflicts > 0 {
        tracing::warn!(conflicts, "events came again with other content; the first ones were kept");
    }
}

fn unreadable(message: usize, delivery: &Delivery, reason: &str) -> DeadLetter {
    DeadLetter { message, data: delivery.data.to_vec(), reason: reason.to_owned(), request: None }
}

fn refused(part: Part<'_>, error: &StoreError) -> DeadLetter {
    letter(part, error.to_string())
}

fn letter(part: Part<'_>, reason: String) -> DeadLetter {
    DeadLetter {
        message: part.message,
        data: Envelope { requests: vec![part.request.clone()] }.encode_to_vec(),
        reason,
        request: ids(part.request),
    }
}
