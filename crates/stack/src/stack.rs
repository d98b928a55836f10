//! The whole stack: both servers, a migrated database, a tenant with a token, and the three services.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use crate::binaries::{Binaries, Profile};
use crate::credentials::{read_secret, write_secret};
use crate::directory::StackDir;
use crate::ports::is_free;
use crate::progress::Progress;
use crate::servers::Servers;
use crate::service::{Service, ServiceSpec};

/// Longer than the services' own bound for draining.
const DRAIN_PATIENCE: Duration = Duration::from_secs(30);

/// Where the services listen on 127.0.0.1; 0 takes any port that is free.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServicePorts {
    /// Of ingest.
    pub ingest: u16,
    /// Of query.
    pub query: u16,
    /// Of worker, which serves its health only.
    pub worker: u16,
}

impl ServicePorts {
    /// The same ports, but any other where one is in use.
    #[must_use]
    pub fn or_any_free(self) -> Self {
        let or_any = |port| if is_free(port) { port } else { 0 };
        Self { ingest: or_any(self.ingest), query: or_any(self.query), worker: or_any(self.worker) }
    }
}

/// How to start a stack.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// How to compile the services.
    pub profile: Profile,
    /// Services that are built already; otherwise they are built.
    pub binaries: Option<Binaries>,
    /// Removes the data of an earlier stack in the same directory.
    pub fresh: bool,
    /// Where the services listen.
    pub ports: ServicePorts,
    /// The tenant to create, and to issue a token for.
    pub tenant: String,
    /// Settings of all three services, such as `("FLOWMETER_…", "…")`; each ignores those of the others.
    pub settings: Vec<(String, String)>,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self {
            profile: Profile::Release,
            binaries: None,
            fresh: false,
            ports: ServicePorts::default(),
            tenant: "demo".to_owned(),
            settings: Vec::new(),
        }
    }
}

/// A running stack. Dropping it ends all of it; [`Stack::stop`] does so in order.
#[derive(Debug)]
pub struct Stack {
    /// Accepts events.
    pub ingest: Service,
    /// Writes them.
    pub worker: Service,
    /// Answers questions; hosts catalog and administration.
    pub query: Service,
    /// PostgreSQL and RabbitMQ.
    pub servers: Servers,
    /// The programs that run.
    pub binaries: Binaries,
    /// The secret of the tenant's token, with all scopes.
    pub token: String,
    /// The secret of the operator's token: administration of all tenants.
    pub operator_token: String,
}

impl Stack {
    /// Starts everything that is needed in `dir`, from nothing or from the data of an earlier stack.
    pub fn start(dir: &Path, options: &StackOptions, progress: &Progress) -> Result<Self> {
        let dir = StackDir::claim(dir, options.fresh)?;
        // The broker boots while the compiler runs.
        let (binaries, servers) = thread::scope(|scope| {
            let servers = scope.spawn(|| Servers::start_in(dir, progress));
            (binaries(options, progress), servers.join())
        });
        let servers = servers.map_err(|_| anyhow!("starting the servers panicked"))??;
        let binaries = binaries?;
        let credentials = Credentials { dir: servers.dir(), binaries: &binaries, servers: &servers };
        progress.step("database migrated", || credentials.migrate())?;
        let operator_token = progress.step("operator token", || credentials.operator_token())?;
        let [ingest, worker, query] = progress.step_with(
            |services: &[Service; 3]| {
                let said =
                    services.each_ref().map(|service| format!("{} {}", service.name(), service.address()));
                format!("services: {}", said.join(", "))
            },
            "services",
            || start_services(&servers, &binaries, options),
        )?;
        let token = progress.step(format_args!("tenant {} and its token", options.tenant), || {
            credentials.tenant_token(&operator_token, &query.url(), &options.tenant)
        })?;
        Ok(Self { ingest, worker, query, servers, binaries, token, operator_token })
    }

    /// The command line `flowmeter`, with this stack's addresses and its tenant's token.
    #[must_use]
    pub fn cli(&self) -> Command {
        let mut command = Command::new(&self.binaries.cli);
        command
            .env("FLOWMETER_TOKEN", &self.token)
            .env("FLOWMETER_INGEST_URL", self.ingest.url())
            .env("FLOWMETER_QUERY_URL", self.query.url());
        command
    }

    /// Why a part of it is not running any more, if so.
    pub fn failure(&mut self) -> Result<Option<String>> {
        for service in [&mut self.ingest, &mut self.worker, &mut self.query] {
            if let Some(failure) = service.failure()? {
                return Ok(Some(failure));
            }
        }
        self.servers.failure()
    }

    /// Stops everything, in the order in which data flows, so that what was accepted is written.
    pub fn stop(mut self, progress: &Progress) -> Result<()> {
        for service in [&mut self.ingest, &mut self.worker, &mut self.query] {
            let ended = service.terminate(DRAIN_PATIENCE)?;
            if ended.is_clean() {
                progress.note(format_args!("{} stopped", service.name()));
            } else {
                progress.note(format_args!("{} did not stop cleanly: {ended:?}", service.name()));
            }
        }
        self.servers.stop()?;
        progress.note("servers stopped");
        Ok(())
    }
}

fn binaries(options: &StackOptions, progress: &Progress) -> Result<Binaries> {
    if let Some(binaries) = &options.binaries {
        return Ok(binaries.clone());
    }
    progress.note("building the services");
    progress.step("services built", || Binaries::build(options.profile))
}

fn start_services(servers: &Servers, binaries: &Binaries, options: &StackOptions) -> Result<[Service; 3]> {
    let dir = servers.dir().below("services")?;
    let start = |name: &str, binary: &Path, port: u16| {
        let mut spec = ServiceSpec::new(name, binary, &dir)
            .env("FLOWMETER_DATABASE_URL", servers.postgres.url())
            .env("FLOWMETER_AMQP_URL", servers.rabbit.url());
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

/// Issues what is needed to use the stack, once per database; later starts find it in the directory.
struct Credentials<'a> {
    dir: &'a StackDir,
    binaries: &'a Binaries,
    servers: &'a Servers,
}

impl Credentials<'_> {
    fn migrate(&self) -> Result<()> {
        let migrated = self.cli(&["migrate"], &[]).map(drop);
        migrated.map_err(|error| {
            // What is kept here is a sample; until the first release the schema changes under it.
            if format!("{error:#}").contains("different than filesystem") {
                let dir = self.dir.path().display();
                return error.context(format!("the data in {dir} is of another version: --fresh removes it"));
            }
            error
        })
    }

    fn operator_token(&self) -> Result<String> {
        self.kept("operator-token", || self.cli(&["bootstrap"], &[]))
    }

    fn tenant_token(&self, operator: &str, query_url: &str, tenant: &str) -> Result<String> {
        self.kept(&format!("token-{tenant}"), || {
            let env = [("FLOWMETER_TOKEN", operator), ("FLOWMETER_QUERY_URL", query_url)];
            if let Err(error) = self.cli(&["tenant", "create", tenant], &env) {
                // The tenant outlives its token where only this directory was removed, not the database.
                let text = format!("{error:#}").to_lowercase();
                if !text.contains("already") {
                    return Err(error);
                }
            }
            let scopes = "ingest,query,catalog,admin";
            self.cli(&["token", "create", "--tenant", tenant, "--scopes", scopes], &env)
        })
    }

    /// A secret that was issued for the database that is used now.
    fn kept(&self, name: &str, issue: impl FnOnce() -> Result<String>) -> Result<String> {
        let path = self.dir.below("credentials")?.join(name);
        // The port of a private server changes from start to start, so only a foreign server is told by its URL.
        let database = match self.servers.postgres.pid() {
            Some(_) => "private",
            None => self.servers.postgres.url(),
        };
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
            .env("FLOWMETER_DATABASE_URL", self.servers.postgres.url())
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("run `flowmeter {line}`"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "`flowmeter {line}` failed:\n{}", said.trim_end());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}
