//! When a call is repeated: with exponential backoff and jitter, not before the service asks for it, and as long
//! as patience lasts. It knows no message.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Request, Status};
use uuid::Uuid;

use crate::error::Error;

/// The wait after the first failure, before jitter: an ingest service that restarts is back in about a second.
const FIRST: Duration = Duration::from_millis(100);
/// The longest wait, unless the service asks for more: whoever comes back is heard within seconds.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The deadline of one call.
    pub(crate) call: Duration,
    /// How long after the first attempt another one may begin.
    pub(crate) in_all: Duration,
}

/// Makes a call under a request id, and repeats it as long as that can help and patience lasts.
pub(crate) async fn repeat<M: Clone, T, F>(
    patience: Patience,
    request_id: Uuid,
    message: M,
    call: impl Fn(Request<M>) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let start = Instant::now();
    let mut attempts = 1;
    loop {
        let error = match within(patience.call, message.clone(), &call).await {
            Ok(answer) => return Ok(answer),
            Err(status) => Error::new(&status, request_id),
        };
        let delay = delay(&error, attempts);
        if !error.is_repeatable() || start.elapsed().saturating_add(delay) > patience.in_all {
            return Err(error.after(attempts));
        }
        tracing::debug!(%request_id, %error, attempts, delay_ms = delay.as_millis(), "the call is repeated");
        tokio::time::sleep(delay).await;
        attempts += 1;
    }
}

/// Makes a call that ends at the deadline: the server is told of it, and a server that does not answer is not
/// waited for any longer.
async fn within<M, T, F>(deadline: Duration, message: M, call: impl Fn(Request<M>) -> F) -> Result<T, Status>
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

fn is_timeout(status: &Status) -> bool {
    std::error::Error::source(status)
        .is_some_and(|cause| cause.downcast_ref::<tonic::TimeoutExpired>().is_some())
}

/// How long to wait after so many attempts. Grows with each, with jitter so that many clients do not come back at
/// once; what the service asks for is the least.
fn delay(error: &Error, attempts: u32) -> Duration {
    let backoff = FIRST.saturating_mul(1 << (attempts - 1).min(16)).min(LONGEST);
    let jittered = backoff.mul_f64(rand::random_range(0.5..1.0));
    jittered.max(error.retry_delay().unwrap_or_default())
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
        let patience = Patience { call: Duration::from_secs(1), in_all };
        let result: Result<(), _> = repeat(patience, Uuid::nil(), (), |_| {
            made.fetch_add(1, Ordering::Relaxed);
            std::future::ready(Err::<Response<()>, _>(status.clone()))
        })
        .await;
        let made = made.load(Ordering::Relaxed);
        assert_eq!(result.unwrap_err().attempts(), made);
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

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_not_answered_ends_at_its_deadline() {
        let patience = Patience { call: Duration::from_secs(2), in_all: Duration::ZERO };
        let never = |_| std::future::pending::<Result<Response<()>, _>>();
        let error = repeat(patience, Uuid::nil(), (), never).await.unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::DeadlineExceeded, "no answer within 2s"));
        assert!(error.is_repeatable());
    }
}
