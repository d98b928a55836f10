//! When a call is repeated: with exponential backoff and jitter, not before the service asks for it, and as long
//! as patience lasts. It knows no message.
//!
//! The methods of [`Client`](crate::Client) do this by themselves. It is here for programs that call methods which
//! the client does not have: repeat only what carries a request id, or only reads.
//!
//! ```
//! # use std::time::Duration;
//! # use flowmeter_client::retry::{repeat, within};
//! # use flowmeter_proto::v1::{RecordUsageRequest, ingest_service_client::IngestServiceClient};
//! # flowmeter_fake::example(async |fake| {
//! # let service = IngestServiceClient::connect(fake.url()).await?;
//! # fake.plan([flowmeter_fake::Plan::AcceptAndFail(tonic::Status::unavailable("away"))]);
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
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Status};
use tonic_types::StatusExt;

use crate::status;

/// The wait after the first failure, before jitter: an ingest service that restarts is back in about a second.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, unless the service asks for more: whoever comes back is heard within seconds.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to try.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The deadline of one call.
    pub call: Duration,
    /// How long after the first attempt another one may begin.
    pub in_all: Duration,
}

/// Makes a call, and repeats it as long as that can help, for so long. Tells each failure that a repetition
/// follows.
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

/// Makes a call that ends at the deadline: the server is told of it, and a server that does not answer is not
/// waited for any longer.
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
        // tonic watches the announced deadline as well and has its own code for it.
        Ok(Err(status)) if !is_timeout(&status) => Err(status),
        _ => Err(Status::deadline_exceeded(format!("no answer within {deadline:?}"))),
    }
}

/// Its channel tells of it as the cause of its own error.
fn is_timeout(status: &Status) -> bool {
    let mut causes = std::iter::successors(status.source(), |cause| (**cause).source());
    causes.any(<dyn Error>::is::<tonic::TimeoutExpired>)
}

/// How long to wait before a call that failed is repeated with the same request id, after so many failures before
/// this one. None if a repetition cannot help.
///
/// Grows with each failure, with jitter so that many clients do not come back at once; what the service asks for
/// (`google.rpc.RetryInfo`) is the least.
#[must_use]
pub fn retry_delay(status: &Status, failures: u32) -> Option<Duration> {
    if !status::is_repeatable(status) {
        return None;
    }
    let backoff = FIRST.saturating_mul(1 << failures.min(16)).min(LONGEST);
    let jittered = backoff.mul_f64(rand::random_range(0.5..1.0));
    let asked = status.get_details_retry_info().and_then(|info| info.retry_delay);
    Some(jittered.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tonic::{Code, Response};
    use tonic_types::ErrorDetails;

    use super::*;

    fn asking_for(wait: Duration) -> Status {
        let details = ErrorDetails::with_retry_info(Some(wait));
        Status::with_error_details(Code::ResourceExhausted, "full", details)
    }

    async fn attempts(in_all: Duration, status: Status) -> (u32, Duration) {
        let made = AtomicU32::new(0);
        let start = Instant::now();
        let mut told = 0;
        let call = || {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<(), _>(status.clone()))
        };
        repeat(in_all, call, |_| told += 1).await.unwrap_err();
        let made = made.load(Ordering::Relaxed);
        assert_eq!(told + 1, made);
        (made, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn waits_as_long_as_the_service_asks() {
        let status = asking_for(Duration::from_secs(9));
        assert_eq!(attempts(Duration::from_secs(20), status.clone()).await.0, 3);
        assert_eq!(attempts(Duration::from_secs(8), status).await.0, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn backs_off_up_to_a_limit() {
        let (made, took) = attempts(Duration::from_mins(1), Status::unavailable("away")).await;
        // Six waits below 5 s, which take 3.2 to 6.3 s, then one each 2.5 to 5 s.
        assert!((16..=30).contains(&made), "{made}");
        assert!(took <= Duration::from_mins(1));
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_repeat_what_cannot_get_better() {
        assert_eq!(attempts(Duration::from_mins(1), Status::internal("a defect")).await.0, 1);
        assert_eq!(attempts(Duration::ZERO, Status::unavailable("away")).await.0, 1);
    }

    /// As tonic's channel wraps what it noticed.
    #[derive(Debug, thiserror::Error)]
    #[error("transport error")]
    struct Transport(#[source] tonic::TimeoutExpired);

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_answered_ends_at_its_deadline() {
        let never = |_| std::future::pending::<Result<Response<()>, _>>();
        let status = within(Duration::from_secs(2), (), never).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no answer within 2s"));

        // Whoever of the two notices it.
        let expired = |_| {
            let expired = Transport(tonic::TimeoutExpired(()));
            std::future::ready(Err::<Response<()>, _>(Status::from_error(expired.into())))
        };
        let status = within(Duration::from_secs(2), (), expired).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::DeadlineExceeded, "no answer within 2s"));
        assert!(status::is_repeatable(&status));
    }
}
