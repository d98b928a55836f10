//! Layers: a server that records its use by itself, and a client of flows' endpoints that records how they answer.

mod body;
mod describe;
mod flow;
mod usage;

pub use self::body::RecordedBody;
pub use self::describe::{describe_by_path, httpstatus_of_grpc};
pub use self::flow::{FlowLayer, FlowService};
pub use self::usage::{UsageFuture, UsageLayer, UsageService};
