//! The way to the services: channels, the bearer token, deadlines, and which
//! failures are worth another try, which is the client library's rule. It knows no command.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
pub(crate) use flowmeter_client::retry::{Patience, repeat, retry_delay, within};
use flowmeter_proto::v1::{
    admin_service_client::AdminServiceClient, catalog_service_client::CatalogServiceClient,
    ingest_service_client::IngestServiceClient, query_service_client::QueryServiceClient,
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rejects_what_is_no_service_url() {
        for url in ["", "nonsense", "ftp://host", "https://host", "127.0.0.1:7071"] {
            assert!(channel(url).is_err(), "{url}");
        }
        assert!(channel("http://127.0.0.1:7071").is_ok());
    }
}
