//! Private servers and services on this machine: for `cargo xtask`, for end-to-end tests and for benchmarks.
//!
//! A [`Stack`] is a PostgreSQL server, a RabbitMQ broker and the three Flowmeter services, all children of
//! this process, on free loopback ports, with their data below one directory. It never touches servers that
//! run on the standard ports, and it leaves no process behind, however this process ends.
//!
//! The parts can be used alone: [`Servers`] (what the tests share), [`Postgres`], [`Rabbit`] and [`Service`]
//! (what fault tests kill and restart). Everything here is synchronous; it knows nothing of the contract.

mod binaries;
mod cargo;
mod credentials;
mod directory;
mod install;
mod installation;
mod ports;
mod postgres;
mod process;
mod progress;
mod rabbit;
mod servers;
mod service;
mod stack;
pub mod usage;

pub use binaries::{Binaries, Profile, workspace_root};
pub use cargo::{build_executables, cargo, cargo_of_toolchain, compiled_by};
pub use directory::{StackDir, read_tail};
pub use install::{ensure_postgres, ensure_rabbitmq};
pub use installation::{Installation, Place};
pub use ports::{free_port, is_free};
pub use postgres::Postgres;
pub use process::{Ended, signal_group, signal_process};
pub use progress::Progress;
pub use rabbit::Rabbit;
pub use servers::Servers;
pub use service::{Service, ServiceSpec};
pub use stack::{ServicePorts, Stack, StackOptions};

/// Re-exported so that callers name signals without a dependency of their own.
pub use rustix::process::Signal;
