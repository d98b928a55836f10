//! The whole stack: both servers, a migrated database, a tenant with a token, and the three services.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};

use crate::binaries::{Binaries, Profile};
use crate::directory::StackDir;
use crate::installation::{Installation, Place};
use crate::ports::is_free;
use crate::progress::Progress;
use crate::servers::Servers;

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
    /// The services.
    pub installation: Installation,
    /// PostgreSQL and RabbitMQ.
    pub servers: Servers,
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
        let place = Place {
            dir: servers.dir().path(),
            database_url: servers.postgres.url(),
            // The port of a private server changes from start to start.
            database_name: servers.postgres.pid().map_or(servers.postgres.url(), |_| "private"),
            amqp_url: servers.rabbit.url(),
        };
        let installation = Installation::start(&place, binaries?, options, progress)?;
        Ok(Self { installation, servers })
    }

    /// Why a part of it is not running any more, if so.
    pub fn failure(&mut self) -> Result<Option<String>> {
        match self.installation.failure()? {
            None => self.servers.failure(),
            failure => Ok(failure),
        }
    }

    /// Stops everything, in the order in which data flows, so that what was accepted is written.
    pub fn stop(mut self, progress: &Progress) -> Result<()> {
        self.installation.stop(progress)?;
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
