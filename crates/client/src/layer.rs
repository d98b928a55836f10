//! Tower layers: one records every request to a server, and one records every request to the endpoint of a flow.

mod body;
mod describe;
mod flow;
mod usage;

pub use self::body::RecordedBody;
pub use self::describe::{describe_by_path, httpstatus_of_grpc};
pub use self::flow::{FlowLayer, FlowService};
pub use self::usage::{UsageFuture, UsageLayer, UsageService};
