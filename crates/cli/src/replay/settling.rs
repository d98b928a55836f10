//! Waits until acknowledged requests are applied or dead, and adds up their receipts.

use std::time::Duration;

use flowmeter_proto::v1::{
    GetReceiptRequest, GetReceiptResponse, get_receipt_response::State,
    query_service_client::QueryServiceClient,
};
use tokio::{task::JoinSet, time::Instant};
use tonic::Status;

use crate::connection::{self, Authorized, Patience};

/// Concurrent requests for receipts.
const AT_ONCE: usize = 8;

/// The receipts of a replay's requests, added up.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Applied requests.
    pub(crate) applied: usize,
    /// Requests that are dead letters.
    pub(crate) dead: usize,
    /// Requests that were still pending when the waiting time ended.
    pub(crate) pending: usize,
    /// New events.
    pub(crate) stored: i64,
    /// Events that were already stored.
    pub(crate) duplicates: i64,
    /// Events whose id was already stored with other content.
    pub(crate) conflicts: i64,
    /// Why the first dead request is dead.
    pub(crate) dead_reason: String,
    /// The error that stopped the waiting, so that the state of the other requests is unknown.
    pub(crate) failure: Option<Status>,
}

/// Waits for all requests. Gives up when a request takes longer than `patience`, or when a receipt cannot be
/// read. Calls `on_settled` each time a request is settled.
pub(crate) async fn settle(
    client: &QueryServiceClient<Authorized>,
    requests: Vec<String>,
    patience: Patience,
    mut on_settled: impl FnMut(),
) -> Settled {
    let mut settled = Settled { pending: requests.len(), ..Settled::default() };
    let mut requests = requests.into_iter();
    let mut asked = JoinSet::new();
    loop {
        while asked.len() < AT_ONCE {
            let Some(request) = requests.next() else { break };
            asked.spawn(receipt(client.clone(), request, patience));
        }
        let answer = match asked.join_next().await {
            None => return settled,
            Some(Ok(answer)) => answer,
            // Tasks are never cancelled, so the task panicked. The panic message is already printed.
            Some(Err(_)) => Err(Status::internal("a task ended early")),
        };
        match answer {
            Ok(receipt) if receipt.state() == State::Pending => return settled,
            Ok(receipt) => {
                settled.add(receipt);
                on_settled();
            }
            Err(status) => {
                settled.failure = Some(status);
                return settled;
            }
        }
    }
}

impl Settled {
    fn add(&mut self, receipt: GetReceiptResponse) {
        self.pending -= 1;
        match receipt.state() {
            State::Dead => {
                self.dead += 1;
                if self.dead_reason.is_empty() {
                    self.dead_reason = receipt.dead_reason;
                }
            }
            _ => self.applied += 1,
        }
        self.stored += i64::from(receipt.accepted_count);
        self.duplicates += i64::from(receipt.duplicate_count);
        self.conflicts += i64::from(receipt.conflict_count);
    }
}

/// The receipt of a request when it is settled, or when `patience` has ended and it is still pending.
pub(crate) async fn receipt(
    mut client: QueryServiceClient<Authorized>,
    request_id: String,
    patience: Patience,
) -> Result<GetReceiptResponse, Status> {
    let start = Instant::now();
    for attempt in 0.. {
        let left = patience.in_all.saturating_sub(start.elapsed());
        let request = GetReceiptRequest { request_id: request_id.clone(), wait: !left.is_zero() };
        // The server waits at most until the deadline. The last call does not wait, but needs time for its
        // response.
        let timeout =
            if left.is_zero() { patience.call } else { patience.call.min(left + Duration::from_secs(1)) };
        let answer = connection::within(timeout, request, |request| client.get_receipt(request)).await;
        match answer {
            Ok(receipt) if receipt.state() != State::Pending || left.is_zero() => return Ok(receipt),
            // A pause, so as not to flood a server that does not wait.
            Ok(_) => tokio::time::sleep(Duration::from_millis(100).min(left)).await,
            Err(status) => match connection::retry_delay(&status, attempt) {
                Some(delay) if !left.is_zero() => tokio::time::sleep(delay.min(left)).await,
                _ => return Err(status),
            },
        }
    }
    unreachable!("the number of attempts is unlimited")
}
