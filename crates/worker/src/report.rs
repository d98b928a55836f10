//! Publishes the reports that a worker makes itself: results of checks, and timeouts of schedules. They go
//! through the queue like the reports of clients. The id of a report follows from its content, so it counts
//! once, however often it arrives and whichever worker sends it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use flowmeter_proto::queue::Request;
use flowmeter_queue::{Accepted, Publisher, PublisherSettings, Settings};
use flowmeter_service::retry;
use flowmeter_service::tasks::Tasks;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// How long a confirmation may take before the log says that reports wait for the broker.
const LATE_AFTER: Duration = Duration::from_secs(2);

/// Publishes reports of one kind.
pub struct Reporter {
    /// The kind of the reports, for the log.
    kind: &'static str,
    publisher: Publisher,
    /// Cancelled by the first report: a worker that has nothing to report needs no connection.
    begun: CancellationToken,
    /// One permit for each report in progress, which bounds the memory.
    rooms: Arc<Semaphore>,
    /// Reports that wait for the broker.
    late: AtomicUsize,
}

impl Reporter {
    /// A reporter that makes up to `concurrency` reports at a time. It has separate publishers, which
    /// connect when there is something to report.
    pub fn spawn(
        tasks: &mut Tasks,
        kind: &'static str,
        settings: &Settings,
        concurrency: usize,
    ) -> Arc<Self> {
        // These messages do not carry the time. The watermark is a promise about what ingest services have
        // acknowledged, by their clocks. By the clock of a worker it would run ahead of a report that is
        // still on its way, and advance while no ingest service reaches the broker. No client was promised
        // these reports.
        let publishing = PublisherSettings { tick: None, ..PublisherSettings::default() };
        let (publisher, shards) = Publisher::new(settings, publishing);
        let begun = CancellationToken::new();
        for shard in shards {
            let (begun, stop) = (begun.clone(), tasks.stop_last());
            tasks.spawn_last(format!("publish {kind} to shard {}", shard.shard()), async move {
                tokio::select! {
                    () = begun.cancelled() => shard.run(stop).await,
                    () = stop.cancelled() => {}
                }
            });
        }
        let rooms = Arc::new(Semaphore::new(concurrency));
        Arc::new(Self { kind, publisher, begun, rooms, late: AtomicUsize::new(0) })
    }

    /// Makes a report, and returns when the broker has made it durable, however long this takes. If the
    /// broker is unavailable, returns at `stop`.
    pub async fn report(&self, request: Request, stop: &CancellationToken) {
        self.begun.cancel();
        let mut publishing = std::pin::pin!(self.publish(request, stop));
        if tokio::time::timeout(LATE_AFTER, &mut publishing).await.is_ok() {
            return;
        }
        if self.late.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(reports = self.kind, "reports wait for the broker");
        }
        publishing.await;
        if self.late.fetch_sub(1, Ordering::Relaxed) == 1 && !stop.is_cancelled() {
            tracing::info!(reports = self.kind, "reports no longer wait for the broker");
        }
    }

    async fn publish(&self, request: Request, stop: &CancellationToken) {
        // The publisher logs why the broker is unavailable, once for all reports.
        let mut waits = retry::waits();
        loop {
            let room = self.rooms.clone().acquire_owned().await.expect("it is never closed");
            let accepted = Accepted { request: request.clone(), trace: None, room };
            let Err(error) = self.publisher.publish(accepted).await else { return };
            tracing::debug!(reports = self.kind, %error, "cannot publish a report; trying again");
            if retry::pause(waits.next().unwrap_or_default(), stop).await.is_err() {
                return;
            }
        }
    }

    /// How many reports wait for the broker.
    pub fn late(&self) -> usize {
        self.late.load(Ordering::Relaxed)
    }
}
