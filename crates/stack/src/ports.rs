//! Free loopback ports.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

use crate::credentials::random_u16;

/// Below the range from which Linux (32768…) and macOS (49152…) take the ports of outgoing connections: a port
/// chosen there could be taken by any client in the seconds before the server binds it.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// Each call starts at the next port, so that a process never returns the same port twice in a row.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 on which no program listens. The search starts at a random port, so that stacks that
/// start at the same moment do not compete for the same port.
pub fn free_port() -> Result<u16> {
    let offset = random_u16()?;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + offset.wrapping_add(step) % COUNT;
        if is_free(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {FIRST} and {} on 127.0.0.1", FIRST + COUNT - 1)
}

/// Whether this port of 127.0.0.1 is free.
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }

    #[test]
    fn ports_are_outside_of_the_range_for_outgoing_connections() {
        for _ in 0..20 {
            let port = free_port().unwrap();
            assert!((FIRST..FIRST + COUNT).contains(&port));
        }
    }
}
