//! One request with its retries.

use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::error::Error;
use crate::retry::{self, Patience};

/// Makes a call with a request id, and retries it after failures that may be temporary until its patience ends.
pub(crate) async fn until_answered<M: Clone, T, F>(
    patience: Patience,
    request_id: Uuid,
    message: M,
    call: impl Fn(Request<M>) -> F,
) -> Result<T, Error>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let mut attempts = 1;
    let failed = |status: &Status| {
        let error = Error::new(status, request_id);
        tracing::debug!(%request_id, %error, attempts, "retrying a call to Flowmeter");
        attempts += 1;
    };
    let call = || retry::within(patience.call, message.clone(), &call);
    let answer = retry::repeat(patience.in_all, call, failed).await;
    answer.map_err(|status| Error::new(&status, request_id).after(attempts))
}
