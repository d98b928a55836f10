//! `flowmeter asset emit`: asset metrics from arguments, or documents from a file.

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, ensure};
use clap::Args;
use flowmeter_proto::v1::EmitAssetMetricsRequest;
use jiff::Timestamp;
use prost_types::value::Kind;
use uuid::Uuid;

use super::{
    file,
    given::{self, Given},
    number::value,
};
use crate::{
    arguments::Remote,
    commands::{answer, list_width, sending::Sender},
    moment,
    render::asset,
    words::asset::ValueType,
};

/// Emit metrics of one asset, or of many assets from a file
///
/// A value in JSON number notation is a number, true or false is a boolean, and anything else is a
/// string: 0.93 is a number, 007 a string. --type overrides this. Numbers are exact, with up to 28
/// significant digits.
///
/// Metrics of one asset and time are merged by name, and the newest request wins. An asset needs no
/// registration: its first metric creates it.
///
/// A file contains JSON documents, one after the other or in an array:
///   {"assetUrn": "urn:a", "timestamp": "2026-11-21T09:30:00Z",
///    "metrics": [{"name": "qualityScore", "value": 0.93, "valueType": "NUMBER"}]}
/// Documents without an assetUrn use the URN before --file. timestamp and valueType are optional.
/// The JSON output of `asset emit` and `asset show` is accepted, too.
/// If a document cannot be read, or repeats a metric of the same asset and time, nothing is sent.
/// The documents are sent in requests of up to 1000 metrics; --output json prints one response per
/// request.
///
/// Needs a token with the scope ingest. Exit codes: 0 everything was accepted; 3 documents of a
/// file were rejected.
///
/// Examples:
///   flowmeter asset emit urn:xdg:database:crm qualityScore=0.93 isActive=true owner='Ada L.'
///   flowmeter asset emit urn:xdg:database:crm release=1.10 --type release=string
///   flowmeter asset emit urn:xdg:database:crm rowCount=1200 --timestamp 2026-11-21T09:30:00Z
///   flowmeter asset emit --file metrics.jsonl
///   flowmeter asset emit urn:xdg:database:crm --file - < metrics.json
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter asset emit [OPTIONS] <URN> <NAME=VALUE>...\n       \
        flowmeter asset emit [OPTIONS] --file <FILE> [URN]"
)]
pub(crate) struct Emit {
    /// The URN of the asset: 1 to 512 bytes without control characters.
    #[arg(required_unless_present = "file")]
    urn: Option<String>,

    /// The metrics, each name once. Names are usually in camelCase.
    #[arg(
        value_name = "NAME=VALUE",
        required_unless_present = "file",
        conflicts_with = "file",
        value_parser = given::parse
    )]
    metrics: Vec<Given>,

    /// The type of a value: string, number or boolean. May be repeated.
    #[arg(long = "type", value_name = "NAME=TYPE", value_parser = given::parse_type)]
    types: Vec<(String, ValueType)>,

    /// The time of the values, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    timestamp: Option<Timestamp>,

    /// Send one metric in the deprecated single form: the value is sent as a string, and the service
    /// infers its type.
    #[arg(long, conflicts_with = "types")]
    single: bool,

    /// Read documents from a file, or from standard input with -.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["types", "timestamp", "single"])]
    file: Option<PathBuf>,

    /// The request id, a version 7 UUID. A request that is sent again with the same id counts once.
    /// Default: a new id.
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

/// Runs the command.
pub(super) async fn run(emit: Emit, remote: &Remote) -> Result<ExitCode> {
    if let Some(path) = &emit.file {
        return file::emit(path, emit.urn.as_deref(), emit.request_id, remote).await;
    }
    let request = emit.request()?;
    let sender = Sender::new(remote)?;
    let found =
        sender.send(&request, async |mut client, request| client.emit_asset_metrics(request).await).await?;
    answer(remote, "EmitAssetMetricsResponse", &found, || {
        asset::emitted(&request.asset_urn, &found, list_width())
    })?;
    Ok(ExitCode::SUCCESS)
}

impl Emit {
    fn request(self) -> Result<EmitAssetMetricsRequest> {
        let mut request = EmitAssetMetricsRequest {
            asset_urn: self.urn.unwrap_or_default(),
            timestamp: self.timestamp.map(moment::to_wire),
            request_id: self.request_id.unwrap_or_else(|| Uuid::now_v7().to_string()),
            ..EmitAssetMetricsRequest::default()
        };
        if !self.single {
            request.metrics = given::metrics(self.metrics, &self.types)?;
            return Ok(request);
        }
        ensure!(self.metrics.len() == 1, "--single: expected one metric, found {}", self.metrics.len());
        for Given { name, value: text } in self.metrics {
            request.name = name;
            request.value = Some(value(Kind::StringValue(text)));
        }
        Ok(request)
    }
}
