//! Translates between the contract (`flowmeter_proto`) and the domain (`flowmeter_core`): messages on the wire,
//! resource names, times, values, enumerations and reports of executions.
//!
//! A value that cannot be translated is a [`Violation`](flowmeter_core::violation::Violation) of its field. The
//! crate knows nothing of gRPC statuses; the services turn violations into them.

pub mod asset_value;
pub mod enums;
pub mod executions;
pub mod names;
pub mod time;
pub mod wire;
