//! Private servers and services on this machine: for `cargo xtask`, for end-to-end tests and for benchmarks.
//!
//! A [`Stack`] is a PostgreSQL server, a RabbitMQ broker and the three Flowmeter services. All of them are
//! children of this process, use free loopback ports, and keep their data in one directory. A stack never
//! touches servers on the standard ports, and leaves no process behind, however this process ends.
//!
//! The parts can be used alone: [`Servers`], which the tests share, and [`Postgres`], [`Rabbit`] and
//! [`Service`], which fault tests kill and restart. This crate is synchronous and knows nothing about the
//! contract.

mod binaries;
mod cargo;
mod credentials;
mod directory;
mod install;
mod installation;
mod peer;
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
pub use peer::{Peer, PeerKind};
pub use ports::{free_port, is_free};
pub use postgres::Postgres;
pub use process::{Ended, signal_group, signal_process};
pub use progress::Progress;
pub use rabbit::Rabbit;
pub use servers::Servers;
pub use service::{Service, ServiceSpec};
pub use stack::{ServicePorts, Stack, StackOptions};

/// Re-exported, so that callers need no dependency to name signals.
pub use rustix::process::Signal;
