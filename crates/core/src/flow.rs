//! Requests to the endpoints of flows: what is reported about a request, the counters that add reports up, and the
//! metrics computed from the counters. The semantics and the names are those of the `WhatsApp` Flows Metrics API.

mod counters;
mod metric;
mod period;
mod request;
mod version;

pub use counters::{Counter, Counters};
pub use metric::{FlowMetric, Granularity};
pub use period::{Days, Period};
pub use request::{FlowLimits, FlowRequest, Latency, MAX_COUNT, MAX_FLOW_ID_BYTES, Outcome, check_flow_id};
pub use version::{DataApiVersion, NotAVersion};
