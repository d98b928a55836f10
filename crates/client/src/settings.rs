//! The settings of a client: the URL of the service, the token, TLS, and time limits.

#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use crate::error::SettingsError;

#[cfg(feature = "tls")]
pub use self::tls::TlsSettings;

/// Enough for a full batch in flight. The default of HTTP/2, 64 KiB, would stall it.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// The interval between pings, also between calls. A peer that vanished is detected after this interval and
/// [`KEEP_ALIVE_TIMEOUT`].
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(30);
/// The time limit for the answer to a ping.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// The time limit for a connection, and for a TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings of a [`Client`](crate::Client).
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
    #[cfg(feature = "tls")]
    tls: Option<TlsSettings>,
    pub(crate) call_timeout: Duration,
    pub(crate) patience: Duration,
}

impl ClientSettings {
    /// The default settings for the ingest service at `url`, such as `http://127.0.0.1:7071` or
    /// `https://ingest.example.com`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            query_url: None,
            token: None,
            #[cfg(feature = "tls")]
            tls: None,
            call_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }

    /// Sets the token, which needs the scope `ingest`. Leading and trailing white space is removed. The token is sent with
    /// each call and never shown. Default: no token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Sets the URL of the query service, which reports the features of the services. Default: none, and
    /// every feature is assumed to be supported.
    #[must_use]
    pub fn query_url(mut self, url: impl Into<String>) -> Self {
        self.query_url = Some(url.into());
        self
    }

    /// Sets how TLS is used for `https://` URLs. Default: trust the authorities that browsers trust, without a client
    /// certificate.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: TlsSettings) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Sets the deadline of one call. It is sent to the service. Default: 10 s.
    #[must_use]
    pub fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets how long after the first attempt a retry may start, so that a method returns within `patience` plus one
    /// `call_timeout`. Zero disables retries. Default: 30 s.
    ///
    /// A batcher has its own patience: [`BatcherSettings::patience`](crate::BatcherSettings::patience).
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

    /// A channel to the ingest service. It connects at the first call, and reconnects after the connection breaks.
    pub(crate) fn channel(&self) -> Result<Channel, SettingsError> {
        self.channel_to(&self.url)
    }

    /// A channel to the query service, if its URL is set.
    pub(crate) fn query_channel(&self) -> Result<Option<Channel>, SettingsError> {
        self.query_url.as_deref().map(|url| self.channel_to(url)).transpose()
    }

    fn channel_to(&self, url: &str) -> Result<Channel, SettingsError> {
        let wrong = || SettingsError::Url { url: url.to_owned() };
        let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| wrong())?;
        let endpoint = match (endpoint.uri().scheme_str(), endpoint.uri().host()) {
            #[cfg(feature = "tls")]
            (Some("http"), Some(_)) if self.tls.is_some() => {
                return Err(SettingsError::TlsUnused { url: url.to_owned() });
            }
            (Some("http"), Some(_)) => endpoint,
            (Some("https"), Some(_)) => self.encrypted(endpoint)?,
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

    /// An endpoint at an `https://` URL.
    #[cfg(feature = "tls")]
    fn encrypted(&self, endpoint: Endpoint) -> Result<Endpoint, SettingsError> {
        let tls = self.tls.clone().unwrap_or_default();
        endpoint.tls_config(tls.config()?).map_err(SettingsError::Tls)
    }

    /// An endpoint at an `https://` URL, which cannot be used without TLS.
    #[cfg(not(feature = "tls"))]
    #[allow(clippy::unused_self, clippy::needless_pass_by_value, reason = "as with TLS")]
    fn encrypted(&self, endpoint: Endpoint) -> Result<Endpoint, SettingsError> {
        Err(SettingsError::TlsMissing { url: endpoint.uri().to_string() })
    }
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut settings = formatter.debug_struct("ClientSettings");
        settings.field("url", &self.url).field("query_url", &self.query_url);
        settings.field("token", &self.token.as_ref().map(|_| "…"));
        #[cfg(feature = "tls")]
        settings.field("tls", &self.tls);
        settings.field("call_timeout", &self.call_timeout).field("patience", &self.patience).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rejects_urls_that_are_not_those_of_a_service() {
        for url in ["", "nonsense", "ftp://host", "127.0.0.1:7071"] {
            let error = ClientSettings::new(url).channel().unwrap_err();
            assert!(matches!(error, SettingsError::Url { .. }), "{url}");
        }
        assert!(ClientSettings::new("http://127.0.0.1:7071").channel().is_ok());
        let encrypted = ClientSettings::new("https://ingest.example").channel();
        assert_eq!(encrypted.is_ok(), cfg!(feature = "tls"), "{encrypted:?}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let settings = ClientSettings::new("https://host").token(" fm_secret\n");
        assert!(!format!("{settings:?}").contains("secret"));
        let value = settings.authorization().unwrap().unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer fm_secret");
        assert!(!format!("{value:?}").contains("secret"));
        let error = settings.token("secret\u{7}").authorization().unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
