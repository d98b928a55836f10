//! `flowmeter token`: the tokens of a tenant.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use flowmeter_proto::v1::{
    CreateTokenRequest, ListTokensRequest, RevokeTokenRequest, Scope as WireScope, Token as Found,
};
use jiff::Timestamp;

use super::{list_width, note_next_page, show, tenant::resource_name};
use crate::{
    arguments::Remote,
    connection, json, moment,
    render::table::{Align, table_within},
};

/// Create, list and revoke tokens. Needs a token with the scope admin.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Create a token and print its secret, which cannot be shown again.
    ///
    /// Only the secret goes to standard output, so that a script can store it:
    /// FLOWMETER_TOKEN=$(flowmeter token create …). The token's name goes to standard error.
    #[command(verbatim_doc_comment)]
    Create(Create),
    /// List the tokens of a tenant, without their secrets, oldest first.
    List(List),
    /// Revoke a token. Every service rejects it within 30 s.
    Revoke {
        /// The resource name, tenants/TENANT/tokens/TOKEN.
        name: String,
    },
}

/// The properties of a new token.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The tenant. Default: the tenant of the token in use.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,

    /// The scopes of the token, separated by commas.
    #[arg(long, required = true, value_delimiter = ',', value_name = "SCOPES")]
    scopes: Vec<Scope>,

    /// The lifetime of the token, such as 30d or 12h. Default: unlimited.
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,

    /// A description.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    description: String,
}

/// Which tokens to list.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The tenant. Default: the tenant of the token in use.
    #[arg(long, default_value = "", hide_default_value = true)]
    tenant: String,

    /// Maximum number to list.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i32).range(1..=1000))]
    page_size: i32,

    /// The page token that the previous page printed.
    #[arg(long, default_value = "", hide_default_value = true)]
    page_token: String,
}

/// A scope, which is what a token allows.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Scope {
    /// Record.
    Ingest,
    /// Read.
    Query,
    /// Change definitions.
    Catalog,
    /// Manage tokens.
    Admin,
}

impl From<Scope> for WireScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Ingest => Self::Ingest,
            Scope::Query => Self::Query,
            Scope::Catalog => Self::Catalog,
            Scope::Admin => Self::Admin,
        }
    }
}

/// Runs the command.
pub(crate) async fn run(token: Token, remote: &Remote) -> Result<ExitCode> {
    match token {
        Token::Create(create) => self::create(create, remote).await?,
        Token::List(list) => self::list(list, remote).await?,
        Token::Revoke { name } => revoke(name, remote).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(create: Create, remote: &Remote) -> Result<()> {
    let expire_time = create.expires_in.map(|text| moment::parse_from_now(&text, Timestamp::now()));
    let expire_time = expire_time.transpose().map_err(|reason| anyhow!("--expires-in: {reason}"))?;
    let request = CreateTokenRequest {
        parent: resource_name(&create.tenant),
        scopes: create.scopes.into_iter().map(|scope| WireScope::from(scope).into()).collect(),
        expire_time: expire_time.map(moment::to_wire),
        description: create.description,
    };
    let mut client = connection::admin(remote)?;
    let call = connection::within(remote.timeout, request, |request| client.create_token(request));
    let answer = call.await?;
    if remote.json() {
        return show(&json::pretty("CreateTokenResponse", &answer)?);
    }
    eprintln!("{}", answer.token.unwrap_or_default().name);
    show(&answer.secret)
}

async fn list(list: List, remote: &Remote) -> Result<()> {
    let request = ListTokensRequest {
        parent: resource_name(&list.tenant),
        page_size: list.page_size,
        page_token: list.page_token,
    };
    let mut client = connection::admin(remote)?;
    let call = connection::within(remote.timeout, request, |request| client.list_tokens(request));
    let page = call.await?;
    if remote.json() {
        return show(&json::pretty("ListTokensResponse", &page)?);
    }
    let heading =
        ["NAME", "SCOPES", "CREATED", "EXPIRES", "REVOKED", "DESCRIPTION"].map(|name| (name, Align::Left));
    let rows: Vec<_> = page.tokens.iter().map(row).collect();
    show(&table_within(list_width(), heading, &rows))?;
    note_next_page(&page.next_page_token);
    Ok(())
}

fn row(token: &Found) -> [String; 6] {
    let scope = |scope: WireScope| scope.as_str_name().trim_start_matches("SCOPE_").to_lowercase();
    [
        token.name.clone(),
        token.scopes().map(scope).collect::<Vec<_>>().join(","),
        moment::rfc3339(token.create_time.as_ref()),
        moment::rfc3339(token.expire_time.as_ref()),
        moment::rfc3339(token.revoke_time.as_ref()),
        token.description.clone(),
    ]
}

async fn revoke(name: String, remote: &Remote) -> Result<()> {
    let mut client = connection::admin(remote)?;
    let request = RevokeTokenRequest { name };
    let call = connection::within(remote.timeout, request, |request| client.revoke_token(request));
    let token = call.await?.token.unwrap_or_default();
    if remote.json() {
        return show(&json::pretty("Token", &token)?);
    }
    show(&format!("{} was revoked at {}", token.name, moment::rfc3339(token.revoke_time.as_ref())))
}
