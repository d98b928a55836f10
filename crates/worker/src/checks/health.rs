//! How a flow's endpoint was at its last check, so that the log tells changes and not every check.

use std::sync::atomic::{AtomicU8, Ordering};

use flowmeter_store::flows::CheckedFlow;

use super::probe::Failure;

/// How an endpoint was at its last check.
#[derive(Debug)]
pub struct Health(AtomicU8);

const UNKNOWN: u8 = 0;
const AVAILABLE: u8 = 1;
const UNAVAILABLE: u8 = 2;
const REFUSED: u8 = 3;

impl Default for Health {
    fn default() -> Self {
        Self(AtomicU8::new(UNKNOWN))
    }
}

impl Health {
    /// Takes over the result of a check, and tells the log what is new.
    pub fn record(&self, flow: &CheckedFlow, result: &Result<(), Failure>) {
        let CheckedFlow { tenant, flow_id, .. } = flow;
        let now = match result {
            Ok(()) => AVAILABLE,
            Err(Failure::Refused(_)) => REFUSED,
            Err(_) => UNAVAILABLE,
        };
        let before = self.0.swap(now, Ordering::Relaxed);
        match result {
            _ if now == before => {}
            Err(failure @ Failure::Refused(_)) => {
                let reason = failure.reason();
                tracing::warn!(%tenant, flow = flow_id, reason, "the endpoint of a flow is refused");
            }
            Err(failure) => {
                let reason = failure.reason();
                tracing::info!(%tenant, flow = flow_id, reason, "the endpoint of a flow became unavailable");
            }
            Ok(()) if before == UNKNOWN => {}
            Ok(()) => tracing::info!(%tenant, flow = flow_id, "the endpoint of a flow is available again"),
        }
    }
}
