//! Connects to the services with the settings from the flags. The client library handles URLs, TLS, the
//! token, deadlines and retries.

use std::fs;

use anyhow::{Context, Result};
pub(crate) use flowmeter_client::retry::{Patience, repeat, retry_delay, within};
use flowmeter_client::{AuthorizedChannel, ClientSettings, SettingsError, TlsSettings};
use flowmeter_proto::v1::{
    admin_service_client::AdminServiceClient, catalog_service_client::CatalogServiceClient,
    ingest_service_client::IngestServiceClient, query_service_client::QueryServiceClient,
};

use crate::arguments::{Remote, Secret};

/// The maximum size of a response. It has room for a page of 1,000 events with every string at its limit.
const MAX_RESPONSE_BYTES: usize = 64 * 1024 * 1024;

/// A channel that adds the token to every call.
pub(crate) type Authorized = AuthorizedChannel;

/// A channel to a service. `flags` names the flag and the environment variable that the URL comes from.
fn channel(flags: &str, url: &str, token: Option<&Secret>, remote: &Remote) -> Result<Authorized> {
    let mut settings = ClientSettings::new(url);
    if let Some(token) = token {
        settings = settings.token(token.expose());
    }
    // An http:// URL needs no certificates. They can be meant for the other service.
    if let Some(file) = &remote.ca_certificate
        && url.starts_with("https://")
    {
        let certificates = fs::read(file).with_context(|| format!("cannot read {}", file.display()));
        let certificates = certificates.context("--ca-certificate (or FLOWMETER_CA_CERTIFICATE)")?;
        settings = settings.tls(TlsSettings::new().authority_pem(certificates));
    }
    settings.authorized_channel().map_err(|error| {
        let flags = match &error {
            SettingsError::Token => "--token (or FLOWMETER_TOKEN)",
            SettingsError::NoCertificate | SettingsError::Tls(_) if remote.ca_certificate.is_some() => {
                "--ca-certificate (or FLOWMETER_CA_CERTIFICATE)"
            }
            _ => flags,
        };
        anyhow::Error::new(error).context(flags.to_owned())
    })
}

/// A channel to the service at a URL from an argument. It does not send the token.
pub(crate) fn without_token(url: &str, remote: &Remote) -> Result<Authorized> {
    channel("<URL>", url, None, remote)
}

fn to_ingest(remote: &Remote) -> Result<Authorized> {
    channel("--ingest-url (or FLOWMETER_INGEST_URL)", &remote.ingest_url, remote.token.as_ref(), remote)
}

fn to_query(remote: &Remote) -> Result<Authorized> {
    channel("--query-url (or FLOWMETER_QUERY_URL)", &remote.query_url, remote.token.as_ref(), remote)
}

/// A client of the ingest service.
pub(crate) fn ingest(remote: &Remote) -> Result<IngestServiceClient<Authorized>> {
    Ok(IngestServiceClient::new(to_ingest(remote)?).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

/// A client of the query service.
pub(crate) fn query(remote: &Remote) -> Result<QueryServiceClient<Authorized>> {
    Ok(QueryServiceClient::new(to_query(remote)?).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

/// A client of the catalog service, which the query service hosts.
pub(crate) fn catalog(remote: &Remote) -> Result<CatalogServiceClient<Authorized>> {
    Ok(CatalogServiceClient::new(to_query(remote)?).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

/// A client of the admin service, which the query service hosts.
pub(crate) fn admin(remote: &Remote) -> Result<AdminServiceClient<Authorized>> {
    Ok(AdminServiceClient::new(to_query(remote)?).max_decoding_message_size(MAX_RESPONSE_BYTES))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Arguments;

    /// The error of a connection to the query service with these arguments, or an empty text.
    fn error(arguments: &[&str]) -> String {
        let arguments = [&["flowmeter", "build-info"], arguments].concat();
        let remote = Arguments::try_parse_from(arguments).unwrap().remote;
        to_query(&remote).err().map(|error| format!("{error:#}")).unwrap_or_default()
    }

    #[tokio::test]
    async fn an_error_names_the_flag_and_the_variable() {
        for url in ["", "nonsense", "ftp://host", "127.0.0.1:7072"] {
            let error = error(&["--query-url", url]);
            assert!(error.starts_with("--query-url (or FLOWMETER_QUERY_URL): "), "{url}: {error}");
            assert!(error.contains("a URL such as http://127.0.0.1:7071"), "{url}: {error}");
        }
        let token = error(&["--token", "secret\u{7}"]);
        assert!(token.starts_with("--token (or FLOWMETER_TOKEN): ") && !token.contains("secret"), "{token}");
        let https = ["--query-url", "https://host", "--ca-certificate"];
        let missing = error(&[&https[..], &["/nonexistent"]].concat());
        let expected = "--ca-certificate (or FLOWMETER_CA_CERTIFICATE): cannot read /nonexistent: ";
        assert!(missing.starts_with(expected), "{missing}");
        let empty = error(&[&https[..], &["/dev/null"]].concat());
        let expected = "--ca-certificate (or FLOWMETER_CA_CERTIFICATE): expected a certificate";
        assert!(empty.starts_with(expected), "{empty}");
    }

    #[tokio::test]
    async fn http_and_https_urls_are_accepted() {
        assert_eq!(error(&["--query-url", "http://127.0.0.1:7072"]), "");
        assert_eq!(error(&["--query-url", "https://query.example"]), "");
        assert_eq!(error(&["--query-url", "http://127.0.0.1:7072", "--ca-certificate", "/nonexistent"]), "");
    }
}
