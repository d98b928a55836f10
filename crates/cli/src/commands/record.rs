//! `flowmeter record`: one usage event from the command line.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::{RecordUsageRequest, Rejection, UsageEvent};
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    sending::{self, Sender},
    show,
};
use crate::{arguments::Remote, json, moment, render::table};

/// Record one usage event. Needs a token with the scope ingest.
///
/// Exit codes: 0 the event was accepted; 3 it was rejected.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// Your own id of the event. Events with the same id and timestamp count once.
    #[arg(long, value_name = "ID", requires = "timestamp")]
    event_id: Option<String>,

    /// The time of the event, in RFC 3339. Default: now.
    #[arg(long, value_name = "TIME", value_parser = moment::parse)]
    timestamp: Option<Timestamp>,

    /// The provider of the metrics that count the event. Default: ODSLRequest.
    #[arg(long)]
    provider: Option<String>,

    /// The action; for AzureServiceBus the name of the metric.
    #[arg(long)]
    action: Option<String>,

    /// The application that supplies the event.
    #[arg(long)]
    application: Option<String>,

    /// A description of the event.
    #[arg(long)]
    detail: Option<String>,

    /// The environment, such as production.
    #[arg(long)]
    environment: Option<String>,

    /// The HTTP status of the response.
    #[arg(long, value_name = "CODE")]
    httpstatus: Option<i32>,

    /// The id of the invocation.
    #[arg(long, value_name = "ID")]
    invocation_id: Option<String>,

    /// The HTTP method, such as get.
    #[arg(long)]
    method: Option<String>,

    /// The service that was called.
    #[arg(long)]
    service: Option<String>,

    /// The type: api, message, process, storage, subscription or another.
    #[arg(long)]
    r#type: Option<String>,

    /// The user or tenant that caused the event.
    #[arg(long)]
    user: Option<String>,

    /// The execution time in milliseconds.
    #[arg(long, value_name = "MS")]
    duration: Option<i64>,

    /// The size of the response in bytes.
    #[arg(long, value_name = "BYTES")]
    response_size: Option<i64>,

    /// The value, an integer or an exact decimal such as 12.50.
    #[arg(long, allow_hyphen_values = true, value_name = "NUMBER")]
    value: Option<String>,

    /// A further attribute, such as key=AAA. May be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, String)>,

    /// The request id, a version 7 UUID. A request that is sent again with the same id counts
    /// once. Default: a new id.
    #[arg(long, value_name = "UUID")]
    request_id: Option<String>,
}

fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

/// Runs the command.
pub(crate) async fn run(record: Record, remote: &Remote) -> Result<ExitCode> {
    let request_id = record.request_id.clone().unwrap_or_else(|| Uuid::now_v7().to_string());
    let request = RecordUsageRequest { events: vec![record.into()], request_id, return_ids: true };
    let sender = Sender::new(remote)?;
    let answer =
        sender.send(&request, async |mut client, request| client.record_usage(request).await).await?;
    if remote.json() {
        show(&json::pretty("RecordUsageResponse", &answer)?)?;
    } else {
        show(&table::properties(&[
            ("request", answer.request_id.clone()),
            ("event", answer.event_ids.first().cloned().unwrap_or_default()),
        ]))?;
    }
    let rejections: Vec<_> = answer.rejections.into_iter().map(in_words_of_flags).collect();
    Ok(sending::outcome(&rejections))
}

/// The rejection with the names of the flags. --value is sent in one of two fields, so the field in the
/// rejection can have another name.
fn in_words_of_flags(mut rejection: Rejection) -> Rejection {
    for violation in &mut rejection.field_violations {
        if let Some(event) = violation.field.strip_suffix("decimal_value") {
            violation.field = format!("{event}--value");
        }
    }
    rejection
}

impl From<Record> for UsageEvent {
    fn from(record: Record) -> Self {
        let text = Option::unwrap_or_default;
        let value: Option<i64> = record.value.as_deref().and_then(|value| value.parse().ok());
        Self {
            event_id: text(record.event_id),
            timestamp: record.timestamp.map(moment::to_wire),
            provider: text(record.provider),
            action: text(record.action),
            application: text(record.application),
            detail: text(record.detail),
            environment: text(record.environment),
            httpstatus: record.httpstatus,
            invocation_id: text(record.invocation_id),
            method: text(record.method),
            service: text(record.service),
            r#type: text(record.r#type),
            user: text(record.user),
            duration: record.duration,
            response_size: record.response_size,
            value,
            decimal_value: if value.is_some() { String::new() } else { text(record.value) },
            attributes: record.attributes.into_iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use flowmeter_proto::v1::FieldViolation;

    use super::*;

    #[test]
    fn a_rejection_names_the_flag_that_was_given() {
        let field = |name: &str| FieldViolation { field: name.into(), description: "wrong".into() };
        let named = |name: &str| {
            let rejection = Rejection { field_violations: vec![field(name)], ..Rejection::default() };
            in_words_of_flags(rejection).field_violations.remove(0).field
        };
        assert_eq!(named("events[0].decimal_value"), "events[0].--value");
        assert_eq!(named("decimal_value"), "--value");
        assert_eq!(named("events[0].duration"), "events[0].duration");
        assert_eq!(named("events[0].attributes[\"value\"]"), "events[0].attributes[\"value\"]");
    }
}
