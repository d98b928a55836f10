//! Certificates, and the files that hold them.

use std::ops::Deref;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// An authority that nobody trusts but who is told to.
#[derive(Debug)]
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// A new one.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "each is another one")]
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a name, and its key.
    #[must_use]
    pub fn issue(&self, name: &str) -> (String, String) {
        self.sign(&CertificateParams::new([name.to_owned()]).unwrap())
    }

    /// The same, of long ago.
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

/// A directory with files of PEM, which goes away when this is dropped.
#[derive(Debug)]
pub struct Files(PathBuf);

impl Files {
    /// Writes files by name. No other process, and nobody in this one, may use the directory's name.
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
        // What cannot be removed is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
