//! `flowmeter tenant`: the tenants, which the operator manages.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use flowmeter_proto::v1::{
    CreateTenantRequest, GetTenantRequest, ListTenantsRequest, Tenant as Found, UpdateTenantRequest,
};

use super::{answer, list_width, note_next_page, show};
use crate::{
    arguments::Remote,
    connection, json,
    mask::Changes,
    moment,
    render::table::{Align, properties, table_within},
};

/// Create, change and show tenants. Needs a token with the scope admin.
#[derive(Debug, Subcommand)]
pub(crate) enum Tenant {
    /// Create a tenant. Needs the operator's token.
    Create {
        /// The id: 1 to 63 of a-z, 0-9 and -, starting with a letter and not ending with a dash.
        tenant: String,
    },
    /// Show a tenant.
    Get {
        /// The id, or the resource name tenants/ID.
        tenant: String,
    },
    /// Change which metric types of executions a tenant keeps
    ///
    /// The change applies to new reports only.
    ///
    /// Examples:
    ///   flowmeter tenant update acme --allow-all-metric-types true
    #[command(verbatim_doc_comment)]
    Update {
        /// The id, or the resource name tenants/ID.
        tenant: String,

        /// Whether to keep types other than the six standard ones as separate types, instead of counting
        /// them as GeneralError.
        #[arg(long, required = true, value_name = "BOOL", action = clap::ArgAction::Set)]
        allow_all_metric_types: bool,
    },
    /// List the tenants that the token manages.
    List {
        /// Maximum number to list.
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
        page_size: i32,

        /// The page token that the previous page printed.
        #[arg(long, default_value = "", hide_default_value = true)]
        page_token: String,
    },
}

/// Runs the command.
pub(crate) async fn run(tenant: Tenant, remote: &Remote) -> Result<ExitCode> {
    let mut client = connection::admin(remote)?;
    let timeout = remote.timeout;
    match tenant {
        Tenant::Create { tenant } => {
            let request = CreateTenantRequest { tenant_id: tenant };
            let call = connection::within(timeout, request, |request| client.create_tenant(request));
            print(&call.await?.tenant.unwrap_or_default(), remote)?;
        }
        Tenant::Get { tenant } => {
            let request = GetTenantRequest { name: resource_name(&tenant) };
            let call = connection::within(timeout, request, |request| client.get_tenant(request));
            print(&call.await?.tenant.unwrap_or_default(), remote)?;
        }
        Tenant::Update { tenant, allow_all_metric_types } => {
            let mut changed = Found { name: resource_name(&tenant), ..Found::default() };
            let mut changes = Changes::default();
            let given = Some(allow_all_metric_types);
            changes.set("allow_all_metric_types", &mut changed.allow_all_metric_types, given);
            let request = UpdateTenantRequest { tenant: Some(changed), update_mask: changes.mask() };
            let call = connection::within(timeout, request, |request| client.update_tenant(request));
            print(&call.await?.tenant.unwrap_or_default(), remote)?;
        }
        Tenant::List { page_size, page_token } => {
            let request = ListTenantsRequest { page_size, page_token };
            let call = connection::within(timeout, request, |request| client.list_tenants(request));
            let page = call.await?;
            if remote.json() {
                show(&json::pretty("ListTenantsResponse", &page)?)?;
            } else {
                show(&rows(&page.tenants, list_width()))?;
                note_next_page(&page.next_page_token);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The resource name of a tenant that is given by its id or resource name.
pub(super) fn resource_name(tenant: &str) -> String {
    if tenant.is_empty() || tenant.starts_with("tenants/") {
        return tenant.into();
    }
    format!("tenants/{tenant}")
}

fn rows(tenants: &[Found], columns: usize) -> String {
    let heading = ["NAME", "CREATED", "ALL METRIC TYPES"];
    let row = |tenant: &Found| {
        let created = moment::rfc3339(tenant.create_time.as_ref());
        [tenant.name.clone(), created, metric_types(tenant).to_owned()]
    };
    table_within(
        columns,
        heading.map(|title| (title, Align::Left)),
        tenants.iter().map(row).collect::<Vec<_>>(),
    )
}

fn print(tenant: &Found, remote: &Remote) -> Result<()> {
    answer(remote, "Tenant", tenant, || {
        properties(&[
            ("created", moment::rfc3339(tenant.create_time.as_ref())),
            ("name", tenant.name.clone()),
            ("all metric types", metric_types(tenant).to_owned()),
        ])
    })
}

/// Whether the tenant keeps all metric types of executions, in words.
fn metric_types(tenant: &Found) -> &'static str {
    if tenant.allow_all_metric_types { "yes" } else { "no" }
}
