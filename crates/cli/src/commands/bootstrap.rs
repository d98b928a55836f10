//! `flowmeter bootstrap`: the operator's token, with which all others are created.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Args;

use super::{migrate::Database, show};
use crate::arguments::Remote;

/// Create a token for the operator, who manages all tenants, and print its secret.
///
/// Only the secret goes to standard output, and it cannot be shown again. Connects to the
/// database, which must be migrated. Every run creates another token; earlier ones stay valid.
#[derive(Debug, Args)]
pub(crate) struct Bootstrap {
    #[command(flatten)]
    database: Database,
}

/// Runs the command.
pub(crate) async fn run(bootstrap: &Bootstrap, remote: &Remote) -> Result<ExitCode> {
    // One connection is enough.
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
