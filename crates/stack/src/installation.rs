//! The three services with a migrated database, a tenant and its token, on servers that already run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::binaries::Binaries;
use crate::credentials::{read_secret, write_secret};
use crate::progress::Progress;
use crate::service::{Service, ServiceSpec};
use crate::stack::StackOptions;

/// Longer than the services' own bound for draining.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// The directory and the servers of an installation.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The directory for logs and tokens.
    pub dir: &'a Path,
    /// The URL of the database.
    pub database_url: &'a str,
    /// A name of the database that stays the same from start to start. Tokens are issued for it.
    pub database_name: &'a str,
    /// The URL of the broker.
    pub amqp_url: &'a str,
}

/// Running services. Dropping it kills them; [`Installation::stop`] stops them in an orderly way.
#[derive(Debug)]
pub struct Installation {
    /// The ingest service.
    pub ingest: Service,
    /// The worker.
    pub worker: Service,
    /// The query service.
    pub query: Service,
    /// The programs of the services.
    pub binaries: Binaries,
    /// The URL of the database.
    pub database_url: String,
    /// The URL of the broker.
    pub amqp_url: String,
    /// The secret of the tenant's token, with all scopes.
    pub token: String,
    /// The secret of the operator's token, which manages all tenants.
    pub operator_token: String,
}

impl Installation {
    /// Migrates the database, starts the services, and creates the tokens that are missing.
    pub fn start(
        place: &Place<'_>,
        binaries: Binaries,
        options: &StackOptions,
        progress: &Progress,
    ) -> Result<Self> {
        let credentials = Credentials { place, binaries: &binaries };
        progress.step("database migrated", || credentials.migrate())?;
        let operator_token = progress.step("operator token", || credentials.operator_token())?;
        let [ingest, worker, query] = progress.step_with(
            |services: &[Service; 3]| {
                let addresses =
                    services.each_ref().map(|service| format!("{} {}", service.name(), service.address()));
                format!("services: {}", addresses.join(", "))
            },
            "services",
            || start_services(place, &binaries, options),
        )?;
        let token = progress.step(format_args!("tenant {} and its token", options.tenant), || {
            credentials.tenant_token(&operator_token, &query.url(), &options.tenant)
        })?;
        let (database_url, amqp_url) = (place.database_url.to_owned(), place.amqp_url.to_owned());
        Ok(Self { ingest, worker, query, binaries, database_url, amqp_url, token, operator_token })
    }

    /// The command line `flowmeter`, with the addresses of the services and the token of the tenant.
    #[must_use]
    pub fn cli(&self) -> Command {
        let mut command = Command::new(&self.binaries.cli);
        command
            .env("FLOWMETER_TOKEN", &self.token)
            .env("FLOWMETER_INGEST_URL", self.ingest.url())
            .env("FLOWMETER_QUERY_URL", self.query.url());
        command
    }

    /// Why a service has ended. None if all of them run.
    pub fn failure(&mut self) -> Result<Option<String>> {
        for service in [&mut self.ingest, &mut self.worker, &mut self.query] {
            if let Some(failure) = service.failure()? {
                return Ok(Some(failure));
            }
        }
        Ok(None)
    }

    /// Stops the services in the order of the data flow, so that all accepted data is written.
    pub fn stop(&mut self, progress: &Progress) -> Result<()> {
        for service in [&mut self.ingest, &mut self.worker, &mut self.query] {
            let ended = service.terminate(DRAIN_PATIENCE)?;
            if ended.is_clean() {
                progress.note(format_args!("{} stopped", service.name()));
            } else {
                progress.note(format_args!("{} did not stop cleanly: {ended:?}", service.name()));
            }
        }
        Ok(())
    }
}

fn start_services(place: &Place<'_>, binaries: &Binaries, options: &StackOptions) -> Result<[Service; 3]> {
    let dir = directory(place, "services")?;
    let start = |name: &str, binary: &Path, port: u16| {
        let mut spec = ServiceSpec::new(name, binary, &dir)
            .env("FLOWMETER_DATABASE_URL", place.database_url)
            .env("FLOWMETER_AMQP_URL", place.amqp_url);
        spec.listen = format!("127.0.0.1:{port}");
        spec.env.extend(options.settings.iter().cloned());
        Service::spawn(spec).with_context(|| format!("start {name}"))
    };
    Ok([
        start("ingest", &binaries.ingest, options.ports.ingest)?,
        start("worker", &binaries.worker, options.ports.worker)?,
        start("query", &binaries.query, options.ports.query)?,
    ])
}

/// A subdirectory of the installation, which is created if it is missing.
fn directory(place: &Place<'_>, name: &str) -> Result<PathBuf> {
    let path = place.dir.join(name);
    fs::create_dir_all(&path).with_context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// Creates the tokens of the installation, once for each database. Later starts find them in the directory.
struct Credentials<'a> {
    place: &'a Place<'a>,
    binaries: &'a Binaries,
}

impl Credentials<'_> {
    fn migrate(&self) -> Result<()> {
        let dir = self.place.dir.display();
        // Until the first release the schema changes in place, and what is kept here is a sample.
        self.cli(&["migrate"], &[]).map(drop).with_context(|| {
            format!(
                "cannot migrate the database of {dir}; if its data is of another version, --fresh removes it"
            )
        })
    }

    fn operator_token(&self) -> Result<String> {
        self.kept("operator-token", || self.cli(&["bootstrap"], &[]))
    }

    fn tenant_token(&self, operator: &str, query_url: &str, tenant: &str) -> Result<String> {
        self.kept(&format!("token-{tenant}"), || {
            let env = [("FLOWMETER_TOKEN", operator), ("FLOWMETER_QUERY_URL", query_url)];
            // The tenant outlives its token where only this directory was removed, not the database.
            if self.cli(&["tenant", "get", tenant], &env).is_err() {
                self.cli(&["tenant", "create", tenant], &env)?;
            }
            let scopes = "ingest,query,catalog,admin";
            self.cli(&["token", "create", "--tenant", tenant, "--scopes", scopes], &env)
        })
    }

    /// A secret that was issued for the current database.
    fn kept(&self, name: &str, issue: impl FnOnce() -> Result<String>) -> Result<String> {
        let path = directory(self.place, "credentials")?.join(name);
        let database = self.place.database_name;
        if let Some(kept) = read_secret(&path)?
            && let Some((of, secret)) = kept.rsplit_once(' ')
            && of == database
        {
            return Ok(secret.to_owned());
        }
        let secret = issue()?;
        write_secret(&path, &format!("{database} {secret}"))?;
        Ok(secret)
    }

    /// Runs `flowmeter` and returns what it prints.
    fn cli(&self, args: &[&str], env: &[(&str, &str)]) -> Result<String> {
        let line = args.join(" ");
        let output = Command::new(&self.binaries.cli)
            .args(args)
            .env("FLOWMETER_DATABASE_URL", self.place.database_url)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run `flowmeter {line}`"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`flowmeter {line}` failed:\n{}", said.trim_end());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
