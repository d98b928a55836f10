//! The ids of replayed events. They depend only on the lines, so that a second replay of a log gives the same
//! ids, whatever the name of the file is.

use std::{
    collections::HashMap,
    fmt::Write,
    hash::{BuildHasherDefault, Hasher},
};

use sha2::{Digest, Sha256};

use super::Format;

/// The minimum number of distinct lines that are remembered in order to number identical ones. Identical
/// lines have the same time, so they are close to each other in a log. No server writes this number of lines
/// in a second.
const REMEMBERED: usize = 500_000;

/// Makes the ids of one log's events.
pub(crate) struct Identity {
    prefix: Sha256,
    format: Format,
    /// How often each of the latest lines occurred, by digest. When `recent` is full, it becomes `before`. So
    /// memory stays bounded, and which lines are forgotten depends only on the log.
    recent: Counts,
    before: Counts,
}

type Counts = HashMap<u128, u32, BuildHasherDefault<Digested>>;

/// A hasher of digests. They are hashes already, so half of a digest is enough.
#[derive(Default)]
struct Digested(u64);

impl Hasher for Digested {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u128(&mut self, digest: u128) {
        #[allow(clippy::cast_possible_truncation, reason = "half of the digest is enough")]
        let half = digest as u64;
        self.0 = half;
    }
}

impl Identity {
    /// Ids for a log of this format. Logs from different sources have different ids, even if their lines are
    /// identical.
    pub(crate) fn new(format: Format, source: &str) -> Self {
        let mut prefix = Sha256::new();
        // The length separates the source from the beginning of the line.
        prefix.update(source.len().to_be_bytes());
        prefix.update(source.as_bytes());
        Self { prefix, format, recent: Counts::default(), before: Counts::default() }
    }

    /// The id of the event in the next line. It consists of the format, the id of the logged request if there
    /// is one, and a digest of the line. From the second of identical lines on, it ends with their number.
    pub(crate) fn next(&mut self, line: &str, invocation_id: &str) -> String {
        let digest = self.prefix.clone().chain_update(line.as_bytes()).finalize();
        let (half, _) = digest.split_at(16);
        let digest = u128::from_be_bytes(half.try_into().expect("the half has 16 bytes"));
        let mut id = String::with_capacity(96);
        id.push_str(self.format.name());
        // Ids of other formats could have any length.
        if self.format == Format::Nova && !invocation_id.is_empty() && invocation_id.len() <= 64 {
            let _ = write!(id, ":{invocation_id}");
        }
        let _ = write!(id, ":{digest:032x}");
        let occurrence = self.occurrence(digest);
        if occurrence > 1 {
            let _ = write!(id, ":{occurrence}");
        }
        id
    }

    fn occurrence(&mut self, digest: u128) -> u32 {
        if self.recent.len() >= REMEMBERED {
            self.before = std::mem::take(&mut self.recent);
        }
        let before = self.before.get(&digest).copied().unwrap_or(0);
        let count = self.recent.entry(digest).or_insert(before);
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_identical_lines() {
        let mut identity = Identity::new(Format::Combined, "");
        let first = identity.next("a", "");
        assert_eq!(first.len(), "combined:".len() + 32);
        assert_eq!(identity.next("a", ""), format!("{first}:2"));
        assert_ne!(identity.next("b", ""), first);
        assert_eq!(identity.next("a", ""), format!("{first}:3"));
    }

    #[test]
    fn ids_stay_the_same_between_releases() {
        let mut identity = Identity::new(Format::Nova, "host-1");
        insta::assert_snapshot!(identity.next("line", "req-1"), @"nova:req-1:bd659074c12d7232f7b4245194689732");
    }

    #[test]
    fn numbering_continues_when_lines_are_forgotten() {
        let mut identity = Identity::new(Format::Combined, "");
        for line in 0..REMEMBERED as u128 - 1 {
            identity.occurrence(line);
        }
        assert_eq!(identity.occurrence(7), 2);
        identity.occurrence(u128::MAX);
        assert_eq!(identity.occurrence(7), 3);
    }
}
