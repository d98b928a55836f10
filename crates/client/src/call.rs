//! One request until it has an answer or patience ends.

use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::error::Error;
use crate::retry::{self, Patience};

/// Makes a call under a request id, and repeats it as long as that can help and patience lasts.
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
        tracing::debug!(%request_id, %error, attempts, "the call is repeated");
        attempts += 1;
    };
    let call = || retry::within(patience.call, message.clone(), &call);
    let answer = retry::repeat(patience.in_all, call, failed).await;
    answer.map_err(|status| Error::new(&status, request_id).after(attempts))
}
