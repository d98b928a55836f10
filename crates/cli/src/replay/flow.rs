//! The flow from chunks of a log to acknowledged requests. Several requests are sent at the same time, and
//! reading waits for them (backpressure).

use std::{collections::VecDeque, time::Duration};

use anyhow::Result;
use flowmeter_proto::v1::{RecordUsageResponse, ingest_service_client::IngestServiceClient};
use tokio::{sync::mpsc, task::JoinSet, time::Instant};
use tonic::Status;

use super::{
    delivery::{self, Batch, Batcher},
    progress::Progress,
    reading::Chunk,
    tally::Tally,
};
use crate::{
    connection::{Authorized, Patience},
    failure,
    render::text::{counted, grouped, printable},
};

/// How long an event waits for its batch to fill while the log is still being written.
const LINGER: Duration = Duration::from_millis(500);

/// The limits of a replay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Events per request.
    pub(crate) batch: usize,
    /// Concurrent requests.
    pub(crate) in_flight: usize,
    /// How long to retry.
    pub(crate) patience: Patience,
}

/// The result of a replay.
pub(crate) struct Done {
    pub(crate) tally: Tally,
    /// The ids of the acknowledged requests, in order of acknowledgement.
    pub(crate) requests: Vec<String>,
}

/// A running replay.
pub(crate) struct Flow {
    clients: Vec<IngestServiceClient<Authorized>>,
    limits: Limits,
    progress: Progress,
    batcher: Batcher,
    ready: VecDeque<Batch>,
    under_way: JoinSet<(Batch, Result<RecordUsageResponse, Status>)>,
    sent: usize,
    position: u64,
    done: Done,
}

impl Flow {
    /// A replay over these connections.
    pub(crate) fn new(
        clients: Vec<IngestServiceClient<Authorized>>,
        limits: Limits,
        progress: Progress,
    ) -> Self {
        Self {
            clients,
            limits,
            progress,
            batcher: Batcher::new(limits.batch),
            ready: VecDeque::new(),
            under_way: JoinSet::new(),
            sent: 0,
            position: 0,
            done: Done { tally: Tally::default(), requests: Vec::new() },
        }
    }

    /// Sends all events. Stops at the first failure, after the running requests have ended.
    pub(crate) async fn run(&mut self, mut chunks: mpsc::Receiver<Result<Chunk>>) -> Result<()> {
        let mut reading = true;
        let mut outcome = Ok(());
        let mut flush_at = None;
        loop {
            while outcome.is_ok() && self.under_way.len() < self.limits.in_flight {
                let Some(batch) = self.ready.pop_front() else { break };
                self.send(batch);
            }
            let may_read = reading && self.ready.is_empty();
            // The time starts with the first event that is not in a full batch.
            let waits = self.ready.is_empty() && !self.batcher.is_empty();
            flush_at = if waits { flush_at.or(Some(Instant::now() + LINGER)) } else { None };
            let flush = tokio::time::sleep_until(flush_at.unwrap_or_else(Instant::now));
            tokio::select! {
                biased;
                Some(ended) = self.under_way.join_next() => {
                    if let Err(error) = self.acknowledge(ended?) {
                        outcome = outcome.and(Err(error));
                        reading = false;
                    }
                }
                chunk = chunks.recv(), if may_read => match chunk {
                    Some(Ok(chunk)) => self.take(chunk),
                    Some(Err(error)) => {
                        outcome = Err(error);
                        reading = false;
                    }
                    None => {
                        reading = false;
                        self.ready.extend(self.batcher.take());
                    }
                },
                () = flush, if may_read && flush_at.is_some() => self.ready.extend(self.batcher.take()),
                else => return outcome,
            }
            if outcome.is_err() && self.under_way.is_empty() {
                return outcome;
            }
        }
    }

    /// The result.
    pub(crate) fn done(self) -> Done {
        self.done
    }

    /// Batches the events of a chunk, and reports its malformed lines.
    fn take(&mut self, chunk: Chunk) {
        let tally = &mut self.done.tally;
        tally.lines += chunk.lines;
        tally.skipped += chunk.skipped;
        self.position = chunk.position;
        for (line, reason) in chunk.malformed {
            tally.malformed += 1;
            if Tally::is_shown(tally.malformed) {
                self.progress.note(&format!("line {line}: malformed: {}", printable(&reason.0)));
            }
        }
        for (line, event) in chunk.events {
            tally.events += 1;
            tally.covered.add(&event);
            self.ready.extend(self.batcher.push(line, event));
        }
        self.show();
    }

    fn send(&mut self, batch: Batch) {
        let client = self.clients[self.sent % self.clients.len()].clone();
        self.sent += 1;
        let (patience, progress) = (self.limits.patience, self.progress.clone());
        self.under_way.spawn(async move {
            let failed = |status: &Status| {
                progress.trouble(|| format!("trying again: {}", failure::name_status(status)));
            };
            let answer = delivery::deliver(client, &batch.request, patience, failed).await;
            (batch, answer)
        });
    }

    fn acknowledge(&mut self, (batch, answer): (Batch, Result<RecordUsageResponse, Status>)) -> Result<()> {
        let answer = answer?;
        self.progress.well();
        let tally = &mut self.done.tally;
        tally.accepted += u64::try_from(answer.accepted_count).unwrap_or(0);
        for rejection in &answer.rejections {
            tally.rejected += 1;
            if Tally::is_shown(tally.rejected) {
                let index = usize::try_from(rejection.index).unwrap_or(usize::MAX);
                let line = batch.lines.get(index).map_or("?".into(), u64::to_string);
                let reason = delivery::describe(rejection);
                self.progress.note(&format!("line {line}: rejected: {}", printable(&reason)));
            }
        }
        self.done.requests.push(answer.request_id);
        self.show();
        Ok(())
    }

    fn show(&self) {
        let tally = &self.done.tally;
        self.progress.show(self.position, || {
            let mut done =
                format!("{}, {} accepted", counted(tally.lines, "line"), counted(tally.accepted, "event"));
            for (name, count) in [("rejected", tally.rejected), ("malformed", tally.malformed)] {
                if count > 0 {
                    done.extend([", ", &grouped(count), " ", name]);
                }
            }
            done
        });
    }
}
