//! One module for each command: its flags, what it calls and what it prints.
#![allow(clippy::doc_markdown, reason = "the comments of flags are help texts, which have no backticks")]

pub(crate) mod asset;
pub(crate) mod bootstrap;
pub(crate) mod build_info;
pub(crate) mod calendar;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod flow;
pub(crate) mod health;
pub(crate) mod metric;
pub(crate) mod migrate;
pub(crate) mod provider;
pub(crate) mod receipt;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod sample;
mod sending;
pub(crate) mod series;
pub(crate) mod tenant;
pub(crate) mod time_series;
pub(crate) mod token;
pub(crate) mod values;

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use anyhow::Result;

use crate::{
    arguments::{Arguments, Command, Output, Remote},
    json,
    render::{series::Form, text::printable},
};

/// The width of charts if the width of the terminal is unknown, as in a pipe.
const USUAL_WIDTH: usize = 80;

/// The exit code of a command that succeeded only in part, such as for some lines of a file.
pub(crate) const INCOMPLETE: u8 = 3;

/// Runs a command.
pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode> {
    let remote = arguments.remote;
    match arguments.command {
        Command::Replay(replay) => replay::run(replay, &remote).await,
        Command::Sample(sample) => sample::run(&sample),
        Command::Record(record) => record::run(*record, &remote).await,
        Command::Series(series) => series::run(*series, &remote).await,
        Command::Events(events) => events::run(events, &remote).await,
        Command::Values(values) => values::run(values, &remote).await,
        Command::Provider(provider) => provider::run(provider, &remote).await,
        Command::Metric(metric) => metric::run(metric, &remote).await,
        Command::Calendar(calendar) => calendar::run(calendar, &remote).await,
        Command::TimeSeries(time_series) => time_series::run(time_series, &remote).await,
        Command::Flow(flow) => flow::run(flow, &remote).await,
        Command::Executions(executions) => executions::run(executions, &remote).await,
        Command::Asset(asset) => asset::run(asset, &remote).await,
        Command::Receipt(receipt) => receipt::run(receipt, &remote).await,
        Command::BuildInfo(_) => build_info::run(&remote).await,
        Command::Health(health) => health::run(health, &remote).await,
        Command::Tenant(tenant) => tenant::run(tenant, &remote).await,
        Command::Token(token) => token::run(token, &remote).await,
        Command::Migrate(migrate) => migrate::run(&migrate, &remote).await,
        Command::Bootstrap(bootstrap) => bootstrap::run(&bootstrap, &remote).await,
    }
}

/// Prints an answer. Unlike `print!`, it returns an error when the reader has closed the pipe.
fn show(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    Ok(out.flush()?)
}

/// Prints an answer in the requested format: the message as protobuf JSON, or the text.
fn answer<M: prost::Message>(
    remote: &Remote,
    name: &str,
    message: &M,
    text: impl FnOnce() -> String,
) -> Result<()> {
    if remote.json() { show(&json::pretty(name, message)?) } else { show(&text()) }
}

/// How to show an answer: a chart on a terminal or if one is requested, and otherwise a table.
fn form(remote: &Remote) -> Form {
    match remote.output {
        Some(Output::Chart) => Form::Chart,
        None if std::io::stdout().is_terminal() => Form::Chart,
        Some(Output::Table | Output::Json) | None => Form::Table,
    }
}

/// The width of a chart, in terminal columns.
fn width() -> usize {
    terminal_size::terminal_size().map_or(USUAL_WIDTH, |(width, _)| width.0.into())
}

/// The maximum width of a list, in terminal columns. Unlimited unless the output is a terminal.
fn list_width() -> usize {
    if std::io::stdout().is_terminal() { width() } else { usize::MAX }
}

/// Prints the name of a deleted object.
fn answer_deleted(remote: &Remote, name: &str) -> Result<()> {
    if remote.json() {
        return show(&serde_json::json!({ "deleted": name }).to_string());
    }
    show(&format!("{} is deleted", printable(name)))
}

/// A name, quoted for a shell.
fn quoted(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/_.-".contains(c);
    if name.chars().all(is_plain) {
        return name.to_owned();
    }
    format!("'{}'", printable(name).replace('\'', "'\\''"))
}

/// Prints how to get the next page, if there is one.
fn note_next_page(token: &str) {
    if !token.is_empty() {
        eprintln!("There is more: use --page-token {token}");
    }
}
