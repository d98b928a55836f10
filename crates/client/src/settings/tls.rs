//! TLS for `https://` URLs: trusted authorities and the client certificate.

use std::fmt;

use tonic::transport::{Certificate, ClientTlsConfig, Identity};

use super::CONNECT_TIMEOUT;
use crate::error::SettingsError;

/// How TLS (1.2 or 1.3) is used for `https://` URLs. Certificates and keys are in PEM format.
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

    /// Trusts these authorities, one certificate or several, instead of the authorities that browsers trust.
    #[must_use]
    pub fn authority_pem(mut self, certificates: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(certificates.into());
        self
    }

    /// Sets the client certificate for mutual TLS: a certificate, or a chain that begins with it, and its private key.
    /// The key is never shown.
    #[must_use]
    pub fn identity_pem(mut self, certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.identity = Some((certificates.into(), key.into()));
        self
    }

    /// Sets the name in the certificate of the server. Default: the host of the URL.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    pub(super) fn config(self) -> Result<ClientTlsConfig, SettingsError> {
        let config = ClientTlsConfig::new().timeout(CONNECT_TIMEOUT);
        let config = match self.authority {
            // rustls skips what it cannot read, and would then trust no server.
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
    use crate::settings::ClientSettings;

    #[tokio::test]
    async fn rejects_tls_settings_that_cannot_be_used() {
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
        let settings = ClientSettings::new("https://host").token("fm_secret").tls(tls);
        assert!(!format!("{settings:?}").contains("secret"));
    }
}
