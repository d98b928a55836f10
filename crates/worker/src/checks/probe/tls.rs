//! TLS connections to https endpoints, and the certificate authorities that are trusted for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Why a file of certificate authorities is invalid.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The file cannot be read as PEM.
    #[error("{path}: expected certificates in PEM: {error}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: pem::Error,
    },
    /// A certificate in the file is invalid.
    #[error("{path}: a certificate is invalid: {error}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// The cause.
        error: Error,
    },
    /// The file contains no certificate.
    #[error("{path}: expected certificates, found none")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A connector that accepts certificates of the public authorities, and of those in the file `ca`.
pub fn connector(ca: Option<&Path>) -> Result<TlsConnector, CaError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca {
        add(&mut roots, path)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring has the ciphers of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session shows no certificate, and the certificate may have expired since.
    config.resumption = Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), CaError> {
    let unreadable = |error| CaError::Pem { path: path.to_owned(), error };
    let count = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        let unusable = |error| CaError::Certificate { path: path.to_owned(), error };
        roots.add(certificate.map_err(unreadable)?).map_err(unusable)?;
    }
    if roots.len() == count { Err(CaError::Empty { path: path.to_owned() }) } else { Ok(()) }
}
