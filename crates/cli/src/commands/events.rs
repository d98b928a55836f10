//! `flowmeter events`: stored usage events.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use flowmeter_proto::v1::{
    GetUsageEventRequest, ListUsageEventsRequest, ListUsageEventsResponse, StoredUsageEvent,
};

use super::{note_next_page, show};
use crate::{
    arguments::Remote,
    connection, json, moment,
    render::table::{Align, properties, table},
};

/// Show stored usage events. Needs a token with the scope query.
#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// List events by time.
    List(List),
    /// Show one event with all of its fields.
    Get {
        /// The id of the event.
        id: String,

        /// Wait until this request is applied: read your own writes.
        #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
        after: String,
    },
}

/// Which events to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The time range, as `flowmeter series` takes it. Default: all time.
    #[arg(long, default_value = "", hide_default_value = true)]
    range: String,

    /// Which events, as `flowmeter series` takes it. Default: all.
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,

    /// How many events to ask for at a time.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,

    /// Where to go on, as the page before said.
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,

    /// List all pages, not only one. JSON is then one event a line.
    #[arg(long)]
    all: bool,

    /// The order.
    #[arg(long, value_enum, default_value_t = Order::Oldest)]
    order_by: Order,

    /// Wait until this request is applied: read your own writes.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Order {
    /// By time, the oldest event first.
    #[value(name = "timestamp", alias = "oldest")]
    Oldest,
    /// By time, the newest event first.
    #[value(name = "timestamp desc", alias = "newest")]
    Newest,
}

/// Carries out the command.
pub(crate) async fn run(events: Events, remote: &Remote) -> Result<ExitCode> {
    match events {
        Events::List(list) => self::list(list, remote).await?,
        Events::Get { id, after } => get(id, after, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(list: List, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let order = match list.order_by {
        Order::Oldest => "timestamp",
        Order::Newest => "timestamp desc",
    };
    let mut request = ListUsageEventsRequest {
        range: list.range,
        filter: list.filter,
        page_size: list.page_size,
        page_token: list.page_token,
        order_by: order.into(),
        after_request_id: list.after,
    };
    loop {
        let call =
            connection::within(remote.timeout, request.clone(), |request| client.list_usage_events(request));
        let page = call.await?;
        print(&page, list.all, remote)?;
        if page.next_page_token.is_empty() {
            return Ok(());
        }
        if !list.all {
            if !remote.json() {
                note_next_page(&page.next_page_token);
            }
            return Ok(());
        }
        request.page_token = page.next_page_token;
    }
}

fn print(page: &ListUsageEventsResponse, all: bool, remote: &Remote) -> Result<()> {
    if !remote.json() {
        return show(&rows(&page.usage_events));
    }
    if !all {
        return show(&json::pretty("ListUsageEventsResponse", page)?);
    }
    for event in &page.usage_events {
        show(&json::line("StoredUsageEvent", event)?)?;
    }
    Ok(())
}

fn rows(events: &[StoredUsageEvent]) -> String {
    let heading = [
        ("TIMESTAMP", Align::Left),
        ("METHOD", Align::Left),
        ("SERVICE", Align::Left),
        ("ACTION", Align::Left),
        ("APPLICATION", Align::Left),
        ("USER", Align::Left),
        ("STATUS", Align::Right),
        ("MS", Align::Right),
        ("BYTES", Align::Right),
        ("VALUE", Align::Right),
        ("ID", Align::Left),
    ];
    let row = |stored: &StoredUsageEvent| {
        let event = stored.event.clone().unwrap_or_default();
        let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
        [
            moment::rfc3339(event.timestamp.as_ref()),
            event.method,
            event.service,
            event.action,
            event.application,
            event.user,
            number(event.httpstatus.map(i64::from)),
            number(event.duration),
            number(event.response_size),
            event.value.map_or(event.decimal_value, |value| value.to_string()),
            stored.id.clone(),
        ]
    };
    table(heading, &events.iter().map(row).collect::<Vec<_>>())
}

async fn get(id: String, after: String, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let request = GetUsageEventRequest { id, after_request_id: after };
    let call = connection::within(remote.timeout, request, |request| client.get_usage_event(request));
    let stored = call.await?.usage_event.unwrap_or_default();
    if remote.json() {
        return show(&json::pretty("StoredUsageEvent", &stored)?);
    }
    let event = stored.event.unwrap_or_default();
    let number = |number: Option<i64>| number.map(|n| n.to_string()).unwrap_or_default();
    let mut attributes: Vec<_> = event.attributes.iter().collect();
    attributes.sort();
    let mut pairs = vec![
        ("id", stored.id),
        ("timestamp", moment::rfc3339(event.timestamp.as_ref())),
        ("provider", event.provider),
        ("type", event.r#type),
        ("method", event.method),
        ("service", event.service),
        ("action", event.action),
        ("application", event.application),
        ("environment", event.environment),
        ("user", event.user),
        ("invocation id", event.invocation_id),
        ("detail", event.detail),
        ("httpstatus", number(event.httpstatus.map(i64::from))),
        ("duration (ms)", number(event.duration)),
        ("response size (bytes)", number(event.response_size)),
        ("value", event.value.map_or(event.decimal_value, |value| value.to_string())),
    ];
    pairs.extend(attributes.into_iter().map(|(name, value)| (name.as_str(), value.clone())));
    show(&properties(&pairs))
}
