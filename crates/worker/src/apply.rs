//! Applies gathered messages. Whatever cannot be applied for good is found by halving,
//! and goes to the dead letters with its reason; everything else is committed.

use std::collections::HashSet;

use flowmeter_core::flow::{Counters, check_flow_id};
use flowmeter_core::ids::{EventId, RequestId, TenantId};
use flowmeter_core::plan::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{Envelope, FlowCounts, Request};
use flowmeter_proto::wire::read_usage_event;
use flowmeter_queue::{Backoff, Delivery, QueueError};
use flowmeter_store::batch::{Applied, Batch, NewEvent, NewRequest, Writer, bury};
use flowmeter_store::progress::Progress;
use flowmeter_store::{Store, StoreError, flows, schedules};
use prost::Message;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::gather::{Gathered, Held};

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
    /// The dead letters cannot be written.
    #[error(transparent)]
    Queue(#[from] QueueError),
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
    pub held: Held,
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
        let applied_through = gathered.newest.unwrap_or(Timestamp::EPOCH);
        // Halves of what was refused wait here; the last is taken first.
        let mut waiting: Vec<&[Part<'_>]> = vec![&parts];
        while let Some(parts) = waiting.pop() {
            // Only when all is applied has the newest message been reached.
            let reached = if waiting.is_empty() { applied_through } else { Timestamp::EPOCH };
            let (batch, unreadable) = read(parts);
            match self.apply_patiently(&batch, reached).await? {
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

    /// Applies a batch, however long the database is away.
    async fn apply_patiently(
        &mut self,
        batch: &Batch<'_>,
        applied_through: Timestamp,
    ) -> Result<Result<Applied, StoreError>, Abandoned> {
        let mut backoff = Backoff::default();
        let held = self.held.clone();
        let progress = || Progress { applied_through, holds_from: held.oldest() };
        loop {
            match self.writer.apply(batch, progress).await {
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

fn ids(request: &Request) -> Option<(TenantId, RequestId)> {
    let tenant = Uuid::from_slice(&request.tenant_id).ok()?;
    let id = RequestId(Uuid::from_slice(&request.request_id).ok()?);
    // Time ends for the ledger as it does for events.
    (id.timestamp() < Timestamp::END).then_some((TenantId(tenant), id))
}

/// Items of a request, which are counted with 32 bits: beyond any setting of what is taken.
const MAX_ITEMS: usize = 100_000_000;

/// Reads requests into a batch. Those that cannot be read are dead.
fn read<'a>(parts: &[Part<'a>]) -> (Batch<'a>, Vec<DeadLetter>) {
    let mut batch = Batch::default();
    let mut dead = Vec::new();
    let mut seen = HashSet::new();
    batch.events.reserve(parts.iter().map(|part| part.request.usage.len()).sum());
    for part in parts {
        let Some((tenant, id)) = ids(part.request) else {
            dead.push(letter(*part, "not a request: its ids are not UUIDs of our time".to_owned()));
            continue;
        };
        // A redelivered copy can meet its original in one batch.
        if !seen.insert((tenant, id)) {
            continue;
        }
        let (request, events) = (batch.requests.len(), batch.events.len());
        let (counts, schedules) = (batch.flow_counts.len(), batch.schedules.len());
        let read = read_events(part.request, request, &mut batch.events)
            .and_then(|()| read_schedules(part.request, (tenant, request), &mut batch.schedules))
            .and_then(|()| read_flow_counts(part.request, (tenant, request), &mut batch.flow_counts));
        let items = read.and_then(|flow_requests| {
            let items = part.request.usage.len() + flow_requests;
            if items > MAX_ITEMS { Err(format!("it has {items} items")) } else { Ok(items) }
        });
        match items {
            Ok(items) => batch.requests.push(NewRequest { tenant, id, items }),
            Err(reason) => {
                batch.events.truncate(events);
                batch.flow_counts.truncate(counts);
                batch.schedules.truncate(schedules);
                dead.push(letter(*part, reason));
            }
        }
    }
    (batch, dead)
}

fn read_events<'a>(request: &'a Request, index: usize, events: &mut Vec<NewEvent<'a>>) -> Result<(), String> {
    let mut violations = Vec::new();
    for usage in &request.usage {
        let id = Uuid::from_slice(&usage.id).ok().map(EventId);
        let id = id.filter(|id| id.timestamp() < Timestamp::END);
        let id = id.ok_or_else(|| "an event's id is not a UUID of our time".to_owned())?;
        let mut event = read_usage_event(&usage.event, &mut violations);
        if let Some(violation) = violations.first() {
            return Err(format!("an event cannot be read: {violation}"));
        }
        if event.http_status.is_some_and(|status| i16::try_from(status).is_err()) {
            return Err("an event's httpstatus is beyond what is stored".to_owned());
        }
        event.settle();
        events.push(NewEvent { request: index, id, keyed: usage.keyed, event });
    }
    Ok(())
}

/// Reads what a request adds to the counters of flows, and returns of how many items.
fn read_flow_counts<'a>(
    request: &'a Request,
    (tenant, index): (TenantId, usize),
    counts: &mut Vec<(usize, flows::FlowCounts<'a>)>,
) -> Result<usize, String> {
    for FlowCounts { flow_id, minute, counts: values } in &request.flow_counts {
        let bucket = Timestamp::from_minutes(*minute).filter(|bucket| {
            (Timestamp::EPOCH..Timestamp::END).contains(bucket)
                && bucket.floor_to(Resolution::Quarter.width()) == *bucket
        });
        let bucket =
            bucket.ok_or_else(|| "counters are not of a quarter of an hour of our time".to_owned())?;
        let counters =
            Counters::from_values(values).ok_or_else(|| "counters are not those of a flow".to_owned())?;
        check_flow_id("flow_id", flow_id).map_err(|violation| violation.to_string())?;
        counts.push((index, flows::FlowCounts { tenant, flow_id, bucket, counters }));
    }
    usize::try_from(request.flow_requests).map_err(|_| "fewer than no requests of flows".to_owned())
}

/// Reads the schedules that a request opens, updates or closes.
fn read_schedules<'a>(
    request: &'a Request,
    (tenant, index): (TenantId, usize),
    schedules: &mut Vec<(usize, schedules::Schedule<'a>)>,
) -> Result<(), String> {
    for schedule in &request.schedules {
        let update = Uuid::from_slice(&schedule.update_id).map(EventId);
        let update = update.map_err(|_| "a schedule's update is not a UUID".to_owned())?;
        let deadline = Timestamp::from_micros(schedule.deadline_micros);
        if schedule.schedule_id.is_empty()
            || schedule.items_remaining < 0
            || !(Timestamp::EPOCH..Timestamp::END).contains(&deadline)
        {
            return Err("a schedule has no id, fewer than no items, or a deadline beyond our time".to_owned());
        }
        let labels = [&*schedule.integration, &schedule.instance, &schedule.command];
        let (id, items_remaining) = (schedule.schedule_id.as_str(), schedule.items_remaining);
        let schedule = schedules::Schedule { tenant, id, labels, items_remaining, deadline, update };
        schedules.push((index, schedule));
    }
    Ok(())
}
