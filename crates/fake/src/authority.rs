//! Certificates, and files with certificates.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// A certificate authority that is only trusted where it is configured.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// Creates an authority with a new key.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each authority has its own key")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// The certificate of the authority.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for a name, with its key.
    #[must_use]
    pub fn issue(&self, name: &str) -> (String, String) {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// Issues an expired certificate for a name, with its key.
    #[must_use]
    pub fn issue_expired(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }
}

/// A directory with PEM files, which is deleted when this is dropped.
#[derive(Debug)]
pub struct Files(PathBuf);

impl Files {
    /// Writes files by name. The name of the directory must be unique on this machine.
    pub(crate) fn write(directory: &str, files: &[(&str, String)]) -> Self {
        let directory = std::env::temp_dir().join(directory);
        std::fs::create_dir(&directory).unwrap();
        for (name, pem) in files {
            std::fs::write(directory.join(name), pem).unwrap();
        }
        Self(directory)
    }
}

impl Deref for Files {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // Remaining files do no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
