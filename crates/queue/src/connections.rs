//! Counts the shards that have a connection to the broker, as health checks need to know.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The connections to the broker of a service, one for each shard.
#[derive(Debug, Clone)]
pub struct Connections {
    shards: usize,
    open: Arc<AtomicUsize>,
}

impl Connections {
    /// Connections of `shards` shards, none of which is open yet.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self { shards: usize::from(shards), open: Arc::default() }
    }

    /// Whether every shard has its connection.
    #[must_use]
    pub fn are_open(&self) -> bool {
        self.open.load(Ordering::Relaxed) >= self.shards
    }

    /// Counts a connection as open until the guard is dropped, even by a panic.
    #[must_use]
    pub fn open(&self) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection { open: self.open.clone() }
    }
}

/// A connection that counts as open.
#[derive(Debug)]
pub struct OpenConnection {
    open: Arc<AtomicUsize>,
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_closes_a_connection_too() {
        let connections = Connections::new(2);
        let _first = connections.open();
        assert!(!connections.are_open());
        let second = connections.clone();
        let panicked = std::thread::spawn(move || {
            let _second = second.open();
            assert!(!second.are_open(), "both are open");
        });
        assert!(panicked.join().is_err());
        assert!(!connections.are_open());
        let _second = connections.open();
        assert!(connections.are_open());
    }
}
