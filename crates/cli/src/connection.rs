//! The way to the services: channels, the bearer token, deadlines, and which
//! failures are worth another try. It knows no command.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flowmeter_proto::v1::{
    admin_service_client::AdminServiceClient, catalog_service_client::CatalogServiceClient,
    ingest_service_client::IngestServiceClient, query_service_client::QueryServiceClient,
};
use tonic::{
    Code, Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use crate::arguments::{Remote, Secret};

/// A page of 1,000 events with every string at its limit.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Enough for a full batch under way; HTTP/2's own 64 KiB would stall it.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// A channel that adds the bearer token to every call.
pub(crate) type Authorized = InterceptedService<Channel, Bearer>;

/// The token, if one was given.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Bearer {
    fn new(token: Option<&Secret>) -> Result<Self> {
        let Some(token) = token.map(|token| token.expose().trim()).filter(|token| !token.is_empty()) else {
            return Ok(Self(None));
        };
        // The parse error would quote nothing, and the text names no part of the token.
        let mut value = format!("Bearer {token}")
            .parse::<MetadataValue<Ascii>>()
            .ok()
            .context("the token holds characters that no token has")?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

/// Opens a channel to a service when the first call is made.
pub(crate) fn channel(url: &str) -> Result<Channel> {
    ensure!(
        !url.starts_with("https://"),
        "{url}: this build speaks plain HTTP/2 only; use http:// and a proxy that adds TLS"
    );
    let endpoint = Endpoint::from_shared(url.to_owned())
        .with_context(|| format!("{url} is not a URL such as http://127.0.0.1:7071"))?;
    ensure!(
        endpoint.uri().scheme_str() == Some("http") && endpoint.uri().host().is_some(),
        "{url} is not a URL such as http://127.0.0.1:7071"
    );
    Ok(endpoint
        .connect_timeout(Duration::from_secs(5))
        .http2_keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(10))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_lazy())
}

fn authorized(url: &str, remote: &Remote) -> Result<Authorized> {
    Ok(InterceptedService::new(channel(url)?, Bearer::new(remote.token.as_ref())?))
}

/// A client of the ingest service.
pub(crate) fn ingest(remote: &Remote) -> Result<IngestServiceClient<Authorized>> {
    Ok(IngestServiceClient::new(authorized(&remote.ingest_url, remote)?)
        .max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the query service.
pub(crate) fn query(remote: &Remote) -> Result<QueryServiceClient<Authorized>> {
    Ok(QueryServiceClient::new(authorized(&remote.query_url, remote)?)
        .max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the catalog service, which the query service hosts.
pub(crate) fn catalog(remote: &Remote) -> Result<CatalogServiceClient<Authorized>> {
    Ok(CatalogServiceClient::new(authorized(&remote.query_url, remote)?)
        .max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// A client of the admin service, which the query service hosts.
pub(crate) fn admin(remote: &Remote) -> Result<AdminServiceClient<Authorized>> {
    Ok(AdminServiceClient::new(authorized(&remote.query_url, remote)?)
        .max_decoding_message_size(MAX_ANSWER_BYTES))
}

/// Makes a call that ends at the deadline: the server is told of it, and a server
/// that does not answer is not waited for any longer.
pub(crate) async fn within<M, T, F>(
    timeout: Duration,
    message: M,
    call: impl FnOnce(Request<M>) -> F,
) -> Result<T, Status>
where
    F: Future<Output = Result<tonic::Response<T>, Status>>,
{
    let mut request = Request::new(message);
    request.set_timeout(timeout);
    match tokio::time::timeout(timeout, call(request)).await {
        Ok(Ok(answer)) => Ok(answer.into_inner()),
        // tonic watches the announced deadline as well and has its own code for it.
        Ok(Err(status)) if !is_timeout(&status) => Err(status),
        _ => Err(Status::deadline_exceeded(format!("no answer within {timeout:?}"))),
    }
}

fn is_timeout(status: &Status) -> bool {
    std::error::Error::source(status)
        .is_some_and(|cause| cause.downcast_ref::<tonic::TimeoutExpired>().is_some())
}

/// How long to wait before a call is repeated with the same request id, or none
/// if a repetition cannot help. Grows with each attempt (the first is 0), with
/// jitter so that many clients do not come back at once; the service's own
/// `RetryInfo` is the least.
pub(crate) fn retry_delay(status: &Status, attempt: u32) -> Option<Duration> {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);
    if !is_transient(status) {
        return None;
    }
    let backoff = FIRST.saturating_mul(1 << attempt.min(16)).min(LONGEST);
    let jittered = backoff.mul_f64(rand::random_range(0.5..1.0));
    let asked = status.get_details_retry_info().and_then(|retry| retry.retry_delay);
    Some(jittered.max(asked.unwrap_or_default()))
}

fn is_transient(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded => true,
        // The same batch would be too large again.
        Code::ResourceExhausted => crate::failure::reason(status).as_deref() != Some("BATCH_TOO_LARGE"),
        // A connection that broke while a call was under way has many codes, but
        // always a cause on this side of the wire.
        _ => std::error::Error::source(status).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::ErrorDetails;

    use super::*;

    #[test]
    fn waits_as_long_as_the_service_asks() {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(9)));
        let status = Status::with_error_details(Code::ResourceExhausted, "full", details);
        assert_eq!(retry_delay(&status, 0), Some(Duration::from_secs(9)));
    }

    #[test]
    fn backs_off_up_to_a_limit() {
        let status = Status::unavailable("away");
        for attempt in [0, 3, 40] {
            let delay = retry_delay(&status, attempt).unwrap();
            assert!(delay >= Duration::from_millis(50) && delay <= Duration::from_secs(5));
        }
        assert!(retry_delay(&status, 10).unwrap() >= Duration::from_millis(2500));
    }

    #[test]
    fn does_not_repeat_what_cannot_get_better() {
        assert_eq!(retry_delay(&Status::invalid_argument("no"), 0), None);
        let details = ErrorDetails::with_error_info("BATCH_TOO_LARGE", "flowmeter", HashMap::new());
        let status = Status::with_error_details(Code::ResourceExhausted, "large", details);
        assert_eq!(retry_delay(&status, 0), None);
    }

    #[tokio::test]
    async fn rejects_what_is_no_service_url() {
        for url in ["", "nonsense", "ftp://host", "https://host", "127.0.0.1:7071"] {
            assert!(channel(url).is_err(), "{url}");
        }
        assert!(channel("http://127.0.0.1:7071").is_ok());
    }
}
