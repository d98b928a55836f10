//! Where the service is, who asks, and how long to wait: what a client is made of.

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::error::SettingsError;

/// Enough for a full batch under way; HTTP/2's own 64 KiB would stall it.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// A peer that vanished without a word is noticed after this and [`KEEP_ALIVE_TIMEOUT`], also between calls.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// How long an answer to a ping may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take until it stands, and a handshake of TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What a [`Client`](crate::Client) is made of.
///
/// ```
/// use std::time::Duration;
/// use flowmeter_client::ClientSettings;
///
/// let settings = ClientSettings::new("http://127.0.0.1:7071")
///     .token("fm_secret")
///     .call_timeout(Duration::from_secs(5))
///     .patience(Duration::from_secs(60));
/// assert!(!format!("{settings:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct ClientSettings {
    url: String,
    query_url: Option<String>,
    token: Option<String>,
    tls: Option<TlsSettings>,
    pub(crate) call_timeout: Duration,
    pub(crate) patience: Duration,
}

impl ClientSettings {
    /// Those of a client of the ingest service at `url`, such as `http://127.0.0.1:7071` or
    /// `https://ingest.example.com`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            query_url: None,
            token: None,
            tls: None,
            call_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }

    /// The token, which needs the scope `ingest`. White space around it is cut off. It is sent with each call and
    /// shown nowhere. Default: none, for a service that asks for none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Where the query service is, which is asked what the services can do. Default: nobody is asked, and every
    /// feature is taken to be there.
    #[must_use]
    pub fn query_url(mut self, url: impl Into<String>) -> Self {
        self.query_url = Some(url.into());
        self
    }

    /// How TLS is spoken with an `https://` URL. Default: with the authorities that browsers trust, and without a
    /// certificate of the client.
    #[must_use]
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The deadline of one call; the service is told of it. Default: 10 s.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// How long after its first attempt a call may begin to be repeated, so that a method returns within
    /// `patience` and one `call_timeout`. Zero: nothing is repeated. Default: 30 s.
    ///
    /// A batcher has a patience of its own: [`BatcherSettings::patience`](crate::BatcherSettings::patience).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The value of the header `authorization`.
    pub(crate) fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, SettingsError> {
        let Some(token) = self.token.as_deref().map(str::trim).filter(|token| !token.is_empty()) else {
            return Ok(None);
        };
        let mut value =
            format!("Bearer {token}").parse::<MetadataValue<Ascii>>().map_err(|_| SettingsError::Token)?;
        value.set_sensitive(true);
        Ok(Some(value))
    }

    /// A channel to the ingest service, which connects when the first call is made, and anew after it broke.
    pub(crate) fn channel(&self) -> Result<Channel, SettingsError> {
        self.channel_to(&self.url)
    }

    /// A channel to the query service, if it is known.
    pub(crate) fn query_channel(&self) -> Result<Option<Channel>, SettingsError> {
        self.query_url.as_deref().map(|url| self.channel_to(url)).transpose()
    }

    fn channel_to(&self, url: &str) -> Result<Channel, SettingsError> {
        let wrong = || SettingsError::Url { url: url.to_owned() };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
        let endpoint = match (endpoint.uri().scheme_str(), endpoint.uri().host(), &self.tls) {
            (Some("http"), Some(_), None) => endpoint,
            (Some("http"), Some(_), Some(_)) => {
                return Err(SettingsError::TlsUnused { url: url.to_owned() });
            }
            (Some("https"), Some(_), tls) => {
                endpoint.tls_config(tls.clone().unwrap_or_default().config()?).map_err(SettingsError::Tls)?
            }
            _ => return Err(wrong()),
        };
        Ok(endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .connect_lazy())
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientSettings")
            .field("url", &self.url)
            .field("query_url", &self.query_url)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("tls", &self.tls)
            .field("call_timeout", &self.call_timeout)
            .field("patience", &self.patience)
            .finish()
    }
}

/// How TLS (1.2 or 1.3) is spoken with an `https://` URL. All certificates and keys are PEM.
#[derive(Clone, Default)]
pub struct TlsSettings {
    authority: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
    server_name: Option<String>,
}

impl TlsSettings {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts these authorities (one certificate or several) in place of those that browsers trust.
    #[must_use]
    pub fn authority_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(certificates.into());
        self
    }

    /// Shows this certificate (or chain of certificates, its own first) to a server that asks for one, which is
    /// mutual TLS. The key is shown nowhere.
    #[must_use]
    pub fn identity_pem(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificates.into(), key.into()));
        self
    }

    /// Expects a certificate for this name. Default: the host of the URL.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    fn config(self) -> Result<ClientTlsConfig, SettingsError> {
        let config = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
        let config = match self.authority {
            // What cannot be read is skipped, and then no server could be trusted.
            Some(pem) if !holds_certificate(&pem) => return Err(SettingsError::NoCertificate),
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_webpki_roots(),
        };
        let config = match self.identity {
            Some((certificates, key)) => config.identity(Identity::from_pem(certificates, key)),
            None => config,
        };
        Ok(match self.server_name {
            Some(name) => config.domain_name(name),
            None => config,
        })
    }
}

fn holds_certificate(pem: &[u8]) -> bool {
    const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
    pem.windows(BEGIN.len()).any(|window| window == BEGIN)
}

impl fmt::Debug for TlsSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsSettings")
            .field("authority", &self.authority.is_some())
            .field("identity", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rejects_what_is_no_service_url() {
        for url in ["", "nonsense", "ftp://host", "127.0.0.1:7071"] {
            let error = ClientSettings::new(url).channel().unwrap_err();
            assert!(matches!(error, SettingsError::Url { .. }), "{url}");
        }
        for url in ["http://127.0.0.1:7071", "https://ingest.example"] {
            assert!(ClientSettings::new(url).channel().is_ok(), "{url}");
        }
    }

    #[tokio::test]
    async fn rejects_settings_of_tls_that_cannot_be_used() {
        let of = |url: &str, tls| ClientSettings::new(url).tls(tls).channel().unwrap_err();
        assert!(matches!(of("http://host", TlsSettings::new()), SettingsError::TlsUnused { .. }));
        let empty = TlsSettings::new().authority_pem("nothing");
        assert!(matches!(of("https://host", empty), SettingsError::NoCertificate));
        let broken = TlsSettings::new().identity_pem("nothing", "no key");
        assert!(matches!(of("https://host", broken), SettingsError::Tls(_)));
    }

    #[test]
    fn secrets_are_not_shown() {
        let tls = TlsSettings::new().identity_pem("certificate", "secret key");
        let settings = ClientSettings::new("https://host").token(" fm_secret\n").tls(tls);
        assert!(!format!("{settings:?}").contains("secret"));
        let value = settings.authorization().unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer fm_secret");
        assert!(!format!("{value:?}").contains("secret"));
        let error = settings.token("secret\u{7}").authorization().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
