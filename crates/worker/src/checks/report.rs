//! Reports what a worker finds out by itself through the queue, like anything else that is counted. The id of a
//! report follows from what it reports, so however often it arrives, and from whom, it counts once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use flowmeter_core::flow::{Counter, Counters};
use flowmeter_core::ids::RequestId;
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::queue::{FlowCounts, Request};
use flowmeter_queue::{Accepted, Backoff, Publisher, PublisherSettings, Settings};
use flowmeter_service::tasks::Tasks;
use flowmeter_store::flows::CheckedFlow;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// A report that is not confirmed for so long waits for the broker, which the log then tells.
const LATE_AFTER: Duration = Duration::from_secs(2);

/// Reports what a worker finds out by itself.
pub struct Reporter {
    /// What it reports, for the log.
    what: &'static str,
    publisher: Publisher,
    /// Cancelled by the first report: until then a worker that stands by needs no connection.
    begun: CancellationToken,
    /// One for each report that may be under way: that is what bounds the memory.
    rooms: Arc<Semaphore>,
    /// Reports that wait for the broker.
    late: AtomicUsize,
}

impl Reporter {
    /// A reporter of up to `concurrency` reports at a time, with publishers of its own, which connect when
    /// there is something to report.
    pub fn spawn(
        tasks: &mut Tasks,
        what: &'static str,
        settings: &Settings,
        concurrency: usize,
    ) -> Arc<Self> {
        // These messages do not tell the time. How far the answers are complete is a promise about
        // what was acknowledged by ingest services, by their clocks: the clock of a worker would
        // have it run ahead of a report that is still on its way, and go on while no ingest
        // service reaches the broker. Nobody was promised the result of a check.
        let publishing = PublisherSettings { tick: None, ..PublisherSettings::default() };
        let (publisher, shards) = Publisher::new(settings, publishing);
        let begun = CancellationToken::new();
        for shard in shards {
            let (begun, stop) = (begun.clone(), tasks.stop_last());
            tasks.spawn_last(format!("publisher of {what} to shard {}", shard.shard()), async move {
                tokio::select! {
                    () = begun.cancelled() => shard.run(stop).await,
                    () = stop.cancelled() => {}
                }
            });
        }
        let rooms = Arc::new(Semaphore::new(concurrency));
        Arc::new(Self { what, publisher, begun, rooms, late: AtomicUsize::new(0) })
    }

    /// Makes a report, and returns when the broker has made it durable, however long that takes, or at `stop`
    /// where the broker is unavailable.
    pub async fn report(&self, request: Request, stop: &CancellationToken) {
        self.begun.cancel();
        let mut publishing = std::pin::pin!(self.publish(request, stop));
        if tokio::time::timeout(LATE_AFTER, &mut publishing).await.is_ok() {
            return;
        }
        if self.late.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(reports = self.what, "reports wait for the broker");
        }
        publishing.await;
        if self.late.fetch_sub(1, Ordering::Relaxed) == 1 && !stop.is_cancelled() {
            tracing::info!(reports = self.what, "no report waits for the broker any more");
        }
    }

    async fn publish(&self, request: Request, stop: &CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            let room = self.rooms.clone().acquire_owned().await.expect("it is never closed");
            let accepted = Accepted { request: request.clone(), trace: None, room };
            let Err(error) = self.publisher.publish(accepted).await else { return };
            tracing::debug!(reports = self.what, %error, "a report could not be published; trying again");
            tokio::select! {
                () = tokio::time::sleep(backoff.next_wait()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// How many reports wait for the broker.
    pub fn late(&self) -> usize {
        self.late.load(Ordering::Relaxed)
    }
}

/// The report that the check of `flow` at `slot` found it available or not.
pub fn request(flow: &CheckedFlow, slot: Timestamp, is_available: bool) -> Request {
    let mut counters = Counters::default();
    counters.add(if is_available { Counter::CheckSucceeded } else { Counter::CheckFailed }, 1);
    let quarter = slot.floor_to(Resolution::QuarterHour.width());
    Request {
        tenant_id: bytes_of(flow.tenant.0),
        request_id: bytes_of(RequestId::of_check(flow.tenant, &flow.flow_id, slot).0),
        flow_counts: vec![FlowCounts {
            flow_id: flow.flow_id.clone(),
            minute: quarter.minutes(),
            counts: counters.values().to_vec(),
        }],
        // A check is none of the requests that somebody reported.
        flow_requests: 0,
        ..Request::default()
    }
}

fn bytes_of(id: Uuid) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::TenantId;

    #[test]
    fn a_check_counts_once_in_its_quarter_of_an_hour() {
        let tenant = TenantId::named("acme");
        let endpoint_url = "http://endpoint.example/".to_owned();
        let flow = CheckedFlow { tenant, flow_id: "f".to_owned(), endpoint_url, interval: None };
        // 2023-11-14T22:44:59.999Z
        let slot = Timestamp::from_micros(1_700_001_899_999_000);
        let (good, bad) = (request(&flow, slot, true), request(&flow, slot, false));
        let counters = |request: &Request| {
            let [counts] = request.flow_counts.as_slice() else { panic!("{request:?}") };
            assert_eq!((counts.flow_id.as_str(), counts.minute * 60), ("f", 1_700_001_000));
            let counters = Counters::from_values(&counts.counts).unwrap();
            assert_eq!((counters.values().iter().sum::<i64>(), request.flow_requests), (1, 0));
            counters
        };
        assert_eq!(counters(&good).get(Counter::CheckSucceeded), 1);
        assert_eq!(counters(&bad).get(Counter::CheckFailed), 1);
        // Whichever is applied first is the result.
        assert_eq!(good.request_id, bad.request_id);
        let next = slot.plus(Duration::from_millis(1));
        assert_ne!(good.request_id, request(&flow, next, true).request_id);
    }
}
