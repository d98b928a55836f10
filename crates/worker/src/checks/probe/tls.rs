//! Whom https endpoints are believed to be.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore};

/// Why the file of authorities is of no use.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// It cannot be read as PEM.
    #[error("{path}: no certificates in PEM: {error}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: pem::Error,
    },
    /// A certificate in it cannot be used.
    #[error("{path}: a certificate cannot be used: {error}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: Error,
    },
    /// There is none in it.
    #[error("{path}: there is no certificate in it")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Makes TLS connections to those who show a certificate of an authority that everybody trusts, or
/// of one in the file `ca`.
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
    // A session that is resumed shows no certificate, and it may have ended since.
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
