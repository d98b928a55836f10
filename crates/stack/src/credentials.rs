//! Secrets of a stack: random passwords and issued tokens, in files that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

fn random_bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut bytes))
        .context("read random bytes from /dev/urandom")?;
    Ok(bytes)
}

/// A random number for purposes that are not secret.
pub(crate) fn random_u16() -> Result<u16> {
    Ok(u16::from_ne_bytes(random_bytes()?))
}

/// 128 random bits in hexadecimal: safe in a URL, in a configuration file and in a shell.
pub(crate) fn random_password() -> Result<String> {
    Ok(format!("{:032x}", u128::from_ne_bytes(random_bytes()?)))
}

/// The secret in the file `path`. If there is none, it is created by `make`.
pub(crate) fn kept_secret(path: &Path, make: impl FnOnce() -> Result<String>) -> Result<String> {
    if let Some(secret) = read_secret(path)? {
        return Ok(secret);
    }
    let secret = make()?;
    write_secret(path, &secret)?;
    Ok(secret)
}

/// The secret in the file `path`, if there is one.
pub(crate) fn read_secret(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

/// Writes a file that only its owner can read.
pub(crate) fn write_secret(path: &Path, secret: &str) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{secret}"))
        .with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_long_and_differ() {
        let (one, other) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, other);
    }
}
