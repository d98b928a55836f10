//! `flowmeter migrate`: brings the database's schema up to date.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::show;
use crate::arguments::{Remote, Secret};

/// Bring the schema of the database up to date.
///
/// Safe to run at any time and by several at once: they wait for each other, and what is
/// up to date is left alone. The services never migrate by themselves.
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

/// Carries out the command.
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
