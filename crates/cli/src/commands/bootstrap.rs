//! `flowmeter bootstrap`: the first token, from which all others come.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Args;

use super::{migrate::Database, show};
use crate::arguments::Remote;

/// Create a token of the operator, who manages all tenants, and print its secret.
///
/// The secret alone goes to standard output, and is shown this once. Needs the database,
/// migrated; every run creates one more token, and the others stay good.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    database: Database,
}

/// Carries out the command.
pub(crate) async fn run(bootstrap: &Bootstrap, remote: &Remote) -> Result<ExitCode> {
    // One connection: there is one thing to do.
    let settings = flowmeter_store::Settings {
        url: bootstrap.database.url.expose().to_owned(),
        max_connections: 1,
        statement_timeout: remote.timeout.max(Duration::from_secs(1)),
    };
    let store = flowmeter_store::Store::new(&settings).context("cannot use the database")?;
    let secret = flowmeter_store::tokens::bootstrap(&store)
        .await
        .context("cannot create the operator's token; is the database migrated (`flowmeter migrate`)?")?;
    if remote.json() {
        show(&serde_json::json!({ "secret": secret.reveal() }).to_string())?;
    } else {
        show(secret.reveal())?;
    }
    Ok(ExitCode::SUCCESS)
}
