//! Compiles the contract with protox, so that protoc need not be installed, and generates three modules:
//!
//! * `v1`: the public types, clients and servers;
//! * `raw`: the ingest service again, with events, flow requests and reports as encoded bytes (a message field and a
//!   bytes field are the same on the wire). The server validates items in place instead of allocating ten strings for
//!   each of them, and clients encode an item only once;
//! * `queue`: the envelope between ingest and worker.
//!
//! The descriptor set for reflection is the one from which the code is generated.

use std::path::PathBuf;

use prost::Message;
use prost_types::FileDescriptorSet;
use prost_types::field_descriptor_proto::{Label, Type};

const PUBLIC: [&str; 8] = [
    "flowmeter/v1/assets.proto",
    "flowmeter/v1/executions.proto",
    "flowmeter/v1/flows.proto",
    "flowmeter/v1/usage.proto",
    "flowmeter/v1/ingest.proto",
    "flowmeter/v1/query.proto",
    "flowmeter/v1/catalog.proto",
    "flowmeter/v1/admin.proto",
];
const QUEUE: [&str; 1] = ["flowmeter/queue/v1/envelope.proto"];
/// The messages of items, and the messages of other files that requests contain. Fields of these types stay encoded.
const ITEMS: [&str; 7] = [
    ".flowmeter.v1.UsageEvent",
    ".flowmeter.v1.FlowRequest",
    ".flowmeter.v1.ExecutionReport",
    ".flowmeter.v1.AssetMetric",
    ".flowmeter.v1.AssetDocument",
    ".google.protobuf.Timestamp",
    ".google.protobuf.Value",
];

fn main() -> anyhow::Result<()> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let public = protox::compile(PUBLIC, [&root])?;
    std::fs::write(out.join("descriptors.bin"), public.encode_to_vec())?;
    tonic_prost_build::configure().out_dir(subdirectory(&out, "v1")?).compile_fds(public.clone())?;
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(subdirectory(&out, "raw")?)
        .compile_fds(with_raw_items(public))?;
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(subdirectory(&out, "queue")?)
        .compile_fds(protox::compile(QUEUE, [&root])?)?;
    Ok(())
}

fn subdirectory(out: &std::path::Path, name: &str) -> std::io::Result<PathBuf> {
    let path = out.join(name);
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// The contract of the ingest service alone, with the items of batches as bytes.
fn with_raw_items(mut set: FileDescriptorSet) -> FileDescriptorSet {
    set.file.retain(|file| file.name().ends_with("/ingest.proto"));
    for file in &mut set.file {
        file.dependency.clear();
        for message in &mut file.message_type {
            for field in &mut message.field {
                if ITEMS.contains(&field.type_name()) {
                    // An empty message, such as the epoch, differs from an absent message.
                    field.proto3_optional = Some(field.label() == Label::Optional);
                    field.set_type(Type::Bytes);
                    field.type_name = None;
                } else if field.r#type() == Type::Enum {
                    // The enumeration is in another file, so the field is its number on the wire.
                    field.set_type(Type::Int32);
                    field.type_name = None;
                }
            }
        }
    }
    set
}
