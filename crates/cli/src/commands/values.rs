//! `flowmeter values`: the distinct values of a field, and how often each occurs.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use flowmeter_proto::v1::{FieldValue, ListFieldValuesRequest, ListFieldValuesResponse};

use super::{answer, note_next_page, show};
use crate::{
    arguments::Remote,
    connection, json, moment,
    render::{
        chart,
        table::{Align, table},
        text::{percent, printable, shorten},
    },
};

/// The maximum width of a value and of a bar, in columns of the terminal.
const VALUE: usize = 60;
const BAR: usize = 30;

/// Show the values of a field, and how often each occurs
///
/// Needs a token with the scope query. Bars compare the listed values. SHARE is shown if all
/// values are listed, and is a share of the events that have the field.
///
/// Examples:
///   flowmeter values application
///   flowmeter values httpstatus --range 2026-11-20 --time-zone Europe/Berlin
///   flowmeter values user --filter 'service = "nova-api"' --prefix a --all
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Values {
    /// The field, such as application, or the name of an attribute. `flowmeter provider list`
    /// shows the usual fields of each provider.
    field: String,

    /// The time range, as in `flowmeter series` except last(N); use from(T-3h) for the last hours.
    /// Default: all time.
    #[arg(long, default_value = "", hide_default_value = true)]
    range: String,

    /// A filter on events, as in `flowmeter series`. Default: all events.
    #[arg(long, allow_hyphen_values = true, default_value = "", hide_default_value = true)]
    filter: String,

    /// Only values with this prefix.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    prefix: String,

    /// The time zone of dates in the range that do not name one, such as Europe/London.
    /// Default: UTC.
    #[arg(long, value_name = "ZONE", default_value = "", hide_default_value = true)]
    time_zone: String,

    /// Values per page.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,

    /// The page token that the previous page printed.
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,

    /// List all pages, not only one. JSON then has one value per line.
    #[arg(long)]
    all: bool,

    /// Wait until this request is applied, so that the answer includes it.
    #[arg(long, value_name = "REQUEST_ID", default_value = "", hide_default_value = true)]
    after: String,
}

/// Runs the command.
pub(crate) async fn run(values: Values, remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::query(remote)?;
    let all = values.all;
    let mut request = ListFieldValuesRequest {
        field: values.field,
        range: values.range,
        filter: values.filter,
        page_size: values.page_size,
        page_token: values.page_token,
        prefix: values.prefix,
        after_request_id: values.after,
        time_zone: values.time_zone,
    };
    let is_whole = request.page_token.is_empty();
    // A table needs all values for its shares. JSON is printed page by page.
    let mut found = ListFieldValuesResponse::default();
    let mut fresh_through = Vec::new();
    loop {
        let call =
            connection::within(remote.timeout, request.clone(), |request| client.list_field_values(request));
        let page = call.await?;
        request.page_token.clone_from(&page.next_page_token);
        found.values.extend(page.values);
        found.next_page_token = page.next_page_token;
        fresh_through.push(page.fresh_through);
        if all && remote.json() {
            for value in found.values.drain(..) {
                show(&json::line("FieldValue", &value)?)?;
            }
        }
        if !all || request.page_token.is_empty() {
            break;
        }
    }
    found.fresh_through = moment::earliest(fresh_through);
    if !(all && remote.json()) {
        answer(remote, "ListFieldValuesResponse", &found, || match found.values.as_slice() {
            [] if request.filter.is_empty() && request.prefix.is_empty() => {
                format!("No event in this range has {}.", printable(&request.field))
            }
            [] => format!("No matching event in this range has {}.", printable(&request.field)),
            values => rows(values, is_whole && found.next_page_token.is_empty()),
        })?;
    }
    if !remote.json() {
        note_next_page(&found.next_page_token);
    }
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::cast_precision_loss, reason = "shares with one decimal and bars need no exact counts")]
fn rows(values: &[FieldValue], is_whole: bool) -> String {
    let all: f64 = values.iter().map(|value| value.count as f64).sum();
    let counts: Vec<_> = values.iter().map(|value| Some(value.count as f64)).collect();
    let row = |(value, bar): (&FieldValue, String)| {
        let mut row = vec![shorten(&value.value, VALUE), value.count.to_string()];
        // Shares of a single page would be misleading.
        row.extend(is_whole.then(|| percent(value.count as f64, all, 1)));
        row.push(bar);
        row
    };
    let rows: Vec<_> = values.iter().zip(chart::bars(&counts, BAR)).map(row).collect();
    let mut heading = vec![("VALUE", Align::Left), ("COUNT", Align::Right)];
    heading.extend(is_whole.then_some(("SHARE", Align::Right)));
    heading.push(("", Align::Left));
    table(heading, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_shares() {
        let value = |value: &str, count| FieldValue { value: value.into(), count };
        let values = [
            value("web-shop", 600),
            value("言語処理", 399),
            value("a value that goes on and on and on and on until nobody reads it any more", 1),
        ];
        insta::assert_snapshot!(rows(&values, true), @r"
        VALUE                                                         COUNT   SHARE
        web-shop                                                        600  60.0 %  ██████████████████████████████
        言語処理                                                        399  39.9 %  ████████████████████
        a value that goes on and on and on and on until nobody read…      1   0.1 %  ▏
        ");
        assert!(rows(&values[..1], false).starts_with("VALUE     COUNT\nweb-shop    600  ██"));
    }
}
