//! `flowmeter events`: stored usage events.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use flowmeter_proto::v1::{GetUsageEventRequest, ListUsageEventsRequest, ListUsageEventsResponse};
use prost_types::FieldMask;

use super::{answer, note_next_page, show};
use crate::{
    arguments::Remote,
    connection, json,
    render::{event, text::counted},
};

/// Show stored usage events. Needs a token with the scope query.
#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    List(Box<List>),
    /// Show one event with all of its fields
    ///
    /// Examples:
    ///   flowmeter events get 0198a3c0-7d3e-7000-8000-3f1c0a9b5e21
    #[command(verbatim_doc_comment)]
    Get {
        /// The id of the event.
        id: String,

        /// Wait until this request is applied, so that the answer includes it.
        #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
        after: String,
    },
}

/// List events, the oldest first or in another order
///
/// Examples:
///   flowmeter events list --order-by newest --page-size 20
///   flowmeter events list --range 2026-11-20 --order-by newest
///   flowmeter events list --filter 'httpstatus >= 500' --order-by 'duration desc' --total
///   flowmeter events list --search 'timeout "not found"' --fields id,timestamp,detail,attributes
///   flowmeter events list --range 'from(T-1Dh0m0s0)' --time-zone Europe/Berlin --all --output json
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct List {
    /// The time range, as in `flowmeter series` except last(N); use from(T-3h) for the last hours.
    /// Default: all time.
    #[arg(long, default_value = "", hide_default_value = true)]
    range: String,

    /// A filter on events, as in `flowmeter series`. Default: all events.
    #[arg(long, allow_hyphen_values = true, default_value = "", hide_default_value = true)]
    filter: String,

    /// Words that must all occur in the text fields or the values of attributes, ignoring case;
    /// "two words" in quotes are one phrase.
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    search: String,

    /// The order: fields or attributes separated by commas, with desc for descending order, such
    /// as 'duration desc, timestamp'; or oldest or newest first. oldest is by far the fastest.
    #[arg(long, value_name = "FIELDS", default_value = "oldest")]
    order_by: String,

    /// The fields to show, separated by commas; may be repeated. They are the columns of the
    /// table; attributes stands for all attributes, attributes.NAME for one. Default: all fields
    /// in JSON, the most used ones in a table.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    fields: Vec<String>,

    /// Also count all matching events. Slow if there are many.
    #[arg(long)]
    total: bool,

    /// The time zone of dates in the range that do not name one, such as Europe/London.
    /// Default: UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,

    /// Events per page.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,

    /// The page token that the previous page printed.
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,

    /// List all pages, not only one. JSON then has one event per line.
    #[arg(long)]
    all: bool,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// Runs the command.
pub(crate) async fn run(events: Events, remote: &Remote) -> Result<ExitCode> {
    match events {
        Events::List(list) => self::list(*list, remote).await?,
        Events::Get { id, after } => get(id, after, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl List {
    fn request(&self) -> ListUsageEventsRequest {
        let order = match self.order_by.as_str() {
            "oldest" => "timestamp",
            "newest" => "timestamp desc",
            fields => fields,
        };
        let paths = self.fields.clone();
        ListUsageEventsRequest {
            range: self.range.clone(),
            filter: self.filter.clone(),
            page_size: self.page_size,
            page_token: self.page_token.clone(),
            order_by: order.to_owned(),
            after_request_id: self.after.clone(),
            search: self.search.clone(),
            read_mask: (!paths.is_empty()).then_some(FieldMask { paths }),
            include_total_size: self.total,
            time_zone: self.time_zone.clone(),
        }
    }
}

async fn list(list: List, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let mut request = list.request();
    let mut is_first = true;
    loop {
        let call =
            connection::within(remote.timeout, request.clone(), |request| client.list_usage_events(request));
        let page = call.await?;
        print(&page, &list, is_first, remote)?;
        is_first = false;
        if let Some(total) = page.total_size.and_then(|total| u64::try_from(total).ok())
            && (list.all || !remote.json())
        {
            eprintln!("Total: {}", counted(total, "event"));
        }
        if !list.all && !remote.json() {
            note_next_page(&page.next_page_token);
        }
        if !list.all || page.next_page_token.is_empty() {
            return Ok(());
        }
        request.page_token = page.next_page_token;
        // The total is the same on every page.
        request.include_total_size = false;
    }
}

/// Prints a page; only the first one has the heading.
fn print(page: &ListUsageEventsResponse, list: &List, is_first: bool, remote: &Remote) -> Result<()> {
    if !(list.all && remote.json()) {
        return answer(remote, "ListUsageEventsResponse", page, || match page.usage_events.as_slice() {
            [] if is_first && list.filter.is_empty() && list.search.is_empty() => "No events.".into(),
            [] if is_first => {
                "No matching events. `flowmeter values FIELD` lists the values of a field.".into()
            }
            events => {
                let rows = event::rows(events, &list.fields);
                let heading = rows.find('\n').filter(|_| !is_first).map_or(0, |end| end + 1);
                rows[heading..].to_owned()
            }
        });
    }
    for event in &page.usage_events {
        show(&json::line("StoredUsageEvent", event)?)?;
    }
    Ok(())
}

async fn get(id: String, after: String, remote: &Remote) -> Result<()> {
    let mut client = connection::query(remote)?;
    let request = GetUsageEventRequest { id, after_request_id: after };
    let call = connection::within(remote.timeout, request, |request| client.get_usage_event(request));
    let stored = call.await?.usage_event.unwrap_or_default();
    answer(remote, "StoredUsageEvent", &stored, || event::describe(&stored))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Arguments, Command};

    fn request(arguments: &[&str]) -> ListUsageEventsRequest {
        let arguments = ["flowmeter", "events", "list"].iter().chain(arguments);
        match Arguments::try_parse_from(arguments).unwrap().command {
            Command::Events(Events::List(list)) => list.request(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_order_is_given_as_fields_or_words() {
        assert_eq!(request(&[]).order_by, "timestamp");
        assert_eq!(request(&["--order-by", "newest"]).order_by, "timestamp desc");
        assert_eq!(request(&["--order-by", "timestamp desc"]).order_by, "timestamp desc");
        assert_eq!(request(&["--order-by", "duration desc, key"]).order_by, "duration desc, key");
    }

    #[test]
    fn without_fields_there_is_no_mask() {
        assert_eq!(request(&[]).read_mask, None);
        let mask = request(&["--fields", "id,duration", "--fields", "key"]).read_mask.unwrap();
        assert_eq!(mask.paths, ["id", "duration", "key"]);
    }
}
