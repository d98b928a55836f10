//! The contract in Rust: generated messages, clients and servers, and the descriptor set for reflection. The crate does
//! not know the meaning of a field, and depends on no other crate of Flowmeter.

/// The messages of package `google.protobuf`, such as timestamps, which the messages of the contract hold.
pub use prost_types;

/// The messages, clients and servers of package `flowmeter.v1`.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the proto files carry the documentation"
)]
pub mod v1 {
    include!(concat!(env!("OUT_DIR"), "/v1/flowmeter.v1.rs"));
}

/// The ingest service of package `flowmeter.v1`, with items such as usage events as encoded bytes. Its messages are the
/// same on the wire as those of [`v1`].
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the proto files carry the documentation"
)]
pub mod raw {
    include!(concat!(env!("OUT_DIR"), "/raw/flowmeter.v1.rs"));
}

/// The messages between ingest and worker.
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    reason = "generated; the proto files carry the documentation"
)]
pub mod queue {
    include!(concat!(env!("OUT_DIR"), "/queue/flowmeter.queue.v1.rs"));
}

/// The descriptors of package `flowmeter.v1` and of its imports, as an encoded `google.protobuf.FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
