//! `flowmeter provider`: the providers of metrics.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use flowmeter_proto::v1::{ListProvidersRequest, Provider as Found};

use super::{answer, list_width};
use crate::{
    arguments::Remote,
    connection,
    render::table::{Align, table_within},
};

/// Show the providers of metrics. Needs a token with the scope query or catalog.
#[derive(Debug, Subcommand)]
pub(crate) enum Provider {
    /// List the built-in providers and your own, by name
    ///
    /// FIELDS are the fields by which their events are usually filtered and grouped; any other
    /// field or attribute works as well.
    ///
    /// Examples:
    ///   flowmeter provider list
    #[command(verbatim_doc_comment)]
    List,
}

/// Runs the command.
pub(crate) async fn run(provider: Provider, remote: &Remote) -> Result<ExitCode> {
    let Provider::List = provider;
    let mut client = connection::catalog(remote)?;
    let request = ListProvidersRequest {};
    let call = connection::within(remote.timeout, request, |request| client.list_providers(request));
    let found = call.await?;
    answer(remote, "ListProvidersResponse", &found, || rows(&found.providers, list_width()))?;
    Ok(ExitCode::SUCCESS)
}

fn rows(providers: &[Found], columns: usize) -> String {
    let heading = [
        ("NAME", Align::Left),
        ("METRICS", Align::Right),
        ("ORIGIN", Align::Left),
        ("FIELDS", Align::Left),
        ("DESCRIPTION", Align::Left),
    ];
    let row = |provider: &Found| {
        [
            provider.name.clone(),
            provider.metric_count.to_string(),
            if provider.built_in { "built in" } else { "own" }.to_owned(),
            provider.filter_fields.join(","),
            provider.description.clone(),
        ]
    };
    table_within(columns, heading, providers.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_listed() {
        let built_in = Found {
            name: "ODSLRequest".into(),
            description: "API requests".into(),
            built_in: true,
            metric_count: 9,
            filter_fields: vec!["application".into(), "user".into()],
        };
        let own = Found { name: "Billing".into(), metric_count: 12, ..Found::default() };
        insta::assert_snapshot!(rows(&[built_in, own], usize::MAX), @r"
        NAME         METRICS  ORIGIN    FIELDS            DESCRIPTION
        ODSLRequest        9  built in  application,user  API requests
        Billing           12  own
        ");
    }
}
