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

/// The ports of 127.0.0.1 on which the services listen. Port 0 picks a free port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServicePorts {
    /// The port of the ingest service.
    pub ingest: u16,
    /// The port of the query service.
    pub query: u16,
    /// The port of the worker, which only answers health checks and reflection.
    pub worker: u16,
}

impl ServicePorts {
    /// The same ports, with a free port in place of each one that is in use.
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
    /// Programs that are already built. If None, they are built.
    pub binaries: Option<Binaries>,
    /// Removes the data of an earlier stack in the same directory.
    pub fresh: bool,
    /// The ports of the services.
    pub ports: ServicePorts,
    /// The tenant to create, with a token.
    pub tenant: String,
    /// Settings of all three services, such as `("FLOWMETER_…", "…")`. Each service ignores the settings of
    /// the others.
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

/// A running stack. Dropping it kills everything; [`Stack::stop`] stops everything in an orderly way.
#[derive(Debug)]
pub struct Stack {
    /// The services.
    pub installation: Installation,
    /// PostgreSQL and RabbitMQ.
    pub servers: Servers,
}

impl Stack {
    /// Starts a stack in `dir`, with the data of an earlier stack if there is any.
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

    /// Why a part of the stack has ended. None if all of it runs.
    pub fn failure(&mut self) -> Result<Option<String>> {
        match self.installation.failure()? {
            None => self.servers.failure(),
            failure => Ok(failure),
        }
    }

    /// Stops everything in the order of the data flow, so that all accepted data is written.
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
