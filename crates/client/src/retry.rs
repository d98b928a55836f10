//! Retries a call of any method with exponential backoff and jitter, after at least the delay that the service asks for,
//! until its patience ends.
//!
//! The methods of [`Client`](crate::Client) retry by themselves. This module is for programs that call other methods of
//! the services. Retry only requests that have a request id, and requests that only read.
//!
//! ```
//! # use std::time::Duration;
//! # use flowmeter_client::retry::{repeat, within};
//! # use flowmeter_proto::v1::{RecordUsageRequest, ingest_service_client::IngestServiceClient};
//! # flowmeter_fake::example(async |fake| {
//! # let service = IngestServiceClient::connect(fake.url()).await?;
//! # fake.plan([flowmeter_fake::Plan::AcceptAndFail(tonic::Status::unavailable("down"))]);
//! let request = RecordUsageRequest {
//!     request_id: uuid::Uuid::now_v7().into(),
//!     return_ids: true,
//!     ..RecordUsageRequest::default()
//! };
//! let call = || {
//!     let mut service = service.clone();
//!     let record = |request| async move { service.record_usage(request).await };
//!     within(Duration::from_secs(10), request.clone(), record)
//! };
//! let recorded = repeat(Duration::from_mins(1), call, |failed| eprintln!("trying again: {failed}")).await?;
//! # assert_eq!(recorded.request_id, request.request_id);
//! # assert_eq!(fake.seen_now().len(), 2);
//! # Ok(())
//! # });
//! ```

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Status};

use crate::status::{self, Details};

/// The wait after the first failure, before jitter. An ingest service restarts in about a second.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, unless the service asks for a longer one, so that a recovered service is used within seconds.
const LONGEST: Duration = Duration::from_secs(5);

/// The time limits of a call and its retries.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The deadline of one call.
    pub call: Duration,
    /// How long after the first attempt a retry may start.
    pub in_all: Duration,
}

/// Makes a call, and retries it after failures that may be temporary. A retry starts at most `in_all` after the first
/// attempt. Calls `failed` with each failure that is followed by a retry.
pub async fn repeat<T, F>(
    in_all: Duration,
    mut call: impl FnMut() -> F,
    mut failed: impl FnMut(&Status),
) -> Result<T, Status>
where
    F: Future<Output = Result<T, Status>>,
{
    let start = Instant::now();
    let mut failures = 0;
    loop {
        let status = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => status,
        };
        match retry_delay(&status, failures) {
            Some(delay) if start.elapsed().saturating_add(delay) <= in_all => {
                failed(&status);
                tokio::time::sleep(delay).await;
            }
            _ => return Err(status),
        }
        failures += 1;
    }
}

/// Makes a call with a deadline. The deadline is sent to the server, and the call ends then even if the server does not
/// answer.
pub async fn within<M, T, F>(
    deadline: Duration,
    message: M,
    call: impl FnOnce(Request<M>) -> F,
) -> Result<T, Status>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(deadline);
    match tokio::time::timeout(deadline, call(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        // tonic watches the deadline as well, but reports it with another code.
        Ok(Err(status)) if !is_timeout(&status) => Err(status),
        _ => Err(Status::deadline_exceeded(format!("no answer within {deadline:?}"))),
    }
}

/// The channel reports its time limit as the cause of its error.
fn is_timeout(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |cause| (**cause).source());
    causes.any(<dyn Error>::is::<tonic::TimeoutExpired>)
}

/// The delay before a failed call is retried with the same request id. `failures` is the number of earlier failures. None
/// if a retry would fail again.
///
/// The delay grows with each failure. It has jitter, so that many clients do not retry at the same time, and is at least
/// the delay that the service asks for (`google.rpc.RetryInfo`).
#[must_use]
pub fn retry_delay(status: &Status, failures: u32) -> Option<Duration> {
    if !status::is_repeatable(status) {
        return None;
    }
    let backoff = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
    let jittered = backoff.mul_f64(0.5 + random_fraction() / 2.0);
    Some(jittered.max(Details::of(status).retry_delay.unwrap_or_default()))
}

/// A random number from 0 to 1, from the random keys of the standard library's hash maps, which is random enough for
/// jitter.
fn random_fraction() -> f64 {
    f64::from((RandomState::new().hash_one(0) >> 32) as u32) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tonic::{Code, Response};
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn asking_for(wait: Duration) -> Status {
        let details = ErrorDetails::with_retry_info(Some(wait));
        Status::with_error_details(Code::ResourceExhausted, "full", details)
    }

    async fn attempts(in_all: Duration, status: Status) -> (u32, Duration) {
        let made = AtomicU32::new(0);
        let start = Instant::now();
        let mut reported = 0;
        let call = || {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<(), _>(status.clone()))
        };
        repeat(in_all, call, |_| reported += 1).await.unwrap_err();
        let made = made.load(Ordering::Relaxed);
        assert_eq!(reported + 1, made);
        (made, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_waits_as_long_as_the_service_asks() {
        let status = asking_for(Duration::from_secs(9));
        assert_eq!(attempts(Duration::from_secs(20), status.clone()).await.0, 3);
        assert_eq!(attempts(Duration::from_secs(8), status).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_delay_grows_up_to_a_limit() {
        let (made, took) = attempts(Duration::from_mins(1), Status::unavailable("down")).await;
        // Six waits below 5 s, which take 3.2 to 6.3 s, then one each 2.5 to 5 s.
        assert!((16..=30).contains(&made), "{made}");
        assert!(took <= Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn final_failures_are_not_retried() {
        assert_eq!(attempts(Duration::from_mins(1), Status::internal("a defect")).await.0, 1);
        assert_eq!(attempts(Duration::ZERO, Status::unavailable("down")).await.0, 1);
    }

    #[test]
    fn jitter_is_spread_over_half_of_the_wait() {
        let status = Status::unavailable("down");
        let delays: Vec<_> = (0..200).filter_map(|_| retry_delay(&status, 0)).collect();
        let (least, greatest) = (*delays.iter().min().unwrap(), *delays.iter().max().unwrap());
        assert!(least >= FIRST / 2 && greatest <= FIRST, "{least:?} to {greatest:?}");
        assert!(least < FIRST.mul_f64(0.6) && greatest > FIRST.mul_f64(0.9), "{least:?} to {greatest:?}");
    }

    /// An error as tonic's channel wraps it.
    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Transport(#[source] tonic::TimeoutExpired);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_answered_ends_at_its_deadline() {
        let never = |_| std::future::pending::<Result<Response<()>, _>>();
        let status = within(Duration::from_secs(2), (), never).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no answer within 2s"));

        // tonic may notice the deadline first.
        let expired = |_| {
            let expired = Transport(tonic::TimeoutExpired(()));
            std::future::ready(Err::<Response<()>, _>(Status::from_error(expired.into())))
        };
        let status = within(Duration::from_secs(2), (), expired).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no answer within 2s"));
        assert!(status::is_repeatable(&status));
    }
}
