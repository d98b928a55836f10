//! `flowmeter calendar`: how time is divided into buckets.

mod definition;

use std::process::ExitCode;

use anyhow::Result;
use clap::{ArgGroup, Args, Subcommand};
use flowmeter_proto::v1::{
    Calendar as Found, CreateCalendarRequest, DeleteCalendarRequest, GetCalendarRequest,
    ListCalendarsRequest, UpdateCalendarRequest,
};

use super::{answer, answer_deleted, list_width};
use crate::{arguments::Remote, connection, mask::Changes};

/// List, define, change and delete calendars
///
/// Reading needs a token with the scope query or catalog, changing the scope catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum Calendar {
    /// List the calendars, built-in ones first
    ///
    /// Examples:
    ///   flowmeter calendar list
    #[command(verbatim_doc_comment)]
    List,
    /// Show a calendar with its holidays
    ///
    /// To see its buckets, read any metric with --fill null, as in the second example.
    ///
    /// Examples:
    ///   flowmeter calendar get '#HENG'
    ///   flowmeter series ODSLRequest/ReadRequests --calendar '#HENG' --range 'last(10)' --fill null
    #[command(visible_alias = "show", verbatim_doc_comment)]
    Get {
        /// The code. Quote it if it starts with #. A code of letters only also works without #: HENG
        /// is #HENG.
        code: String,
    },
    Create(Create),
    Update(Update),
    /// Delete a calendar. Does not ask for confirmation
    ///
    /// Examples:
    ///   flowmeter calendar delete GAS
    #[command(verbatim_doc_comment)]
    Delete {
        /// The code.
        code: String,

        /// Fail unless this is the current version.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
        version: Option<i32>,
    },
}

/// Define a calendar: buckets of a fixed length, or from one working day to the next
///
/// Holidays are dates, such as 2026-12-28, or rules:
///   25 of December, shifted          last Monday in May     every Wednesday
///   first Monday in May, from 1978   easter - 2 days
///
/// Examples:
///   flowmeter calendar create GAS --interval P1D --offset PT6H --time-zone Europe/Berlin
///   flowmeter calendar create OFFICE --weekend sat,sun --holiday '25 of December, shifted' \
///     --holiday 'easter - 2 days' --time-zone Europe/London
///   flowmeter calendar create EXCHANGE --weekend sat,sun --holidays-from - < holidays.txt
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    group = ArgGroup::new("kind").args(definition::KIND_FLAGS).required(true).multiple(true)
)]
pub(crate) struct Create {
    /// The code that queries use for the calendar: 1 to 63 letters, digits and any of . _ -
    code: String,

    #[command(flatten)]
    definition: definition::Definition,
}

/// Change a calendar. Options that are not given stay unchanged
///
/// The given holidays replace all of the calendar's holidays.
///
/// Examples:
///   flowmeter calendar update GAS --offset PT5H
///   flowmeter calendar update OFFICE --weekend none --version 2
///   flowmeter calendar update OFFICE --holiday ''
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    override_usage = "flowmeter calendar update [OPTIONS] <CODE>",
    group = ArgGroup::new("change").args(definition::FLAGS).required(true).multiple(true)
)]
pub(crate) struct Update {
    /// The code.
    code: String,

    #[command(flatten)]
    definition: definition::Definition,

    /// Fail unless this is the current version.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..))]
    version: Option<i32>,
}

/// Runs the command.
pub(crate) async fn run(calendar: Calendar, remote: &Remote) -> Result<ExitCode> {
    match calendar {
        Calendar::List => list(remote).await?,
        Calendar::Get { code } => print(&get(code, remote).await?, remote)?,
        Calendar::Create(create) => self::create(create, remote).await?,
        Calendar::Update(update) => self::update(update, remote).await?,
        Calendar::Delete { code, version } => delete(code, version, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let request = ListCalendarsRequest {};
    let call = connection::within(remote.timeout, request, |request| client.list_calendars(request));
    let found = call.await?;
    answer(remote, "ListCalendarsResponse", &found, || definition::rows(&found.calendars, list_width()))
}

async fn get(code: String, remote: &Remote) -> Result<Found> {
    let mut client = connection::catalog(remote)?;
    let request = GetCalendarRequest { code };
    let call = connection::within(remote.timeout, request, |request| client.get_calendar(request));
    Ok(call.await?.calendar.unwrap_or_default())
}

async fn create(create: Create, remote: &Remote) -> Result<()> {
    let mut calendar = Found { code: create.code, ..Found::default() };
    create.definition.apply(&mut calendar, &mut Changes::default())?;
    let mut client = connection::catalog(remote)?;
    let request = CreateCalendarRequest { calendar: Some(calendar) };
    let call = connection::within(remote.timeout, request, |request| client.create_calendar(request));
    print(&call.await?.calendar.unwrap_or_default(), remote)
}

async fn update(update: Update, remote: &Remote) -> Result<()> {
    let mut calendar = Found { code: update.code, ..Found::default() };
    if update.definition.needs_current() {
        // Only a part of the kind is given, and the rest stays unchanged. The version that was read must
        // still be the current one when the calendar is written.
        calendar = get(calendar.code, remote).await?;
    }
    calendar.version = update.version.unwrap_or(calendar.version);
    let mut changes = Changes::default();
    update.definition.apply(&mut calendar, &mut changes)?;
    let mut client = connection::catalog(remote)?;
    let request = UpdateCalendarRequest { calendar: Some(calendar), update_mask: changes.mask() };
    let call = connection::within(remote.timeout, request, |request| client.update_calendar(request));
    print(&call.await?.calendar.unwrap_or_default(), remote)
}

async fn delete(code: String, version: Option<i32>, remote: &Remote) -> Result<()> {
    let mut client = connection::catalog(remote)?;
    let request = DeleteCalendarRequest { code: code.clone(), version: version.unwrap_or_default() };
    connection::within(remote.timeout, request, |request| client.delete_calendar(request)).await?;
    answer_deleted(remote, &code)
}

fn print(calendar: &Found, remote: &Remote) -> Result<()> {
    answer(remote, "Calendar", calendar, || definition::describe(calendar))
}
