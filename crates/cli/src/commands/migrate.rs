//! `flowmeter migrate`: migrates the schema of the database.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::show;
use crate::arguments::{Remote, Secret};

/// Migrate the schema of the database to the current version.
///
/// Safe to run at any time and several times at once: concurrent runs wait for each other, and a
/// current schema is left unchanged. The services never migrate the schema themselves.
#[derive(Debug, Args)]
pub(crate) struct Migrate {
    #[command(flatten)]
    database: Database,
}

/// The database, for the two commands that open it.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// The database, as postgres://user:password@host:port/name.
    #[arg(
        long = "database-url",
        env = "FLOWMETER_DATABASE_URL",
        hide_env_values = true,
        value_name = "URL",
        id = "database_url"
    )]
    pub(crate) url: Secret,
}

/// Runs the command.
pub(crate) async fn run(migrate: &Migrate, remote: &Remote) -> Result<ExitCode> {
    let applied = flowmeter_store::migrate(migrate.database.url.expose())
        .await
        .context("cannot migrate the database")?;
    if remote.json() {
        show(&serde_json::json!({ "applied": applied }).to_string())?;
    } else if applied.is_empty() {
        show("The schema is up to date.")?;
    } else {
        for name in &applied {
            show(&format!("applied {name}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
