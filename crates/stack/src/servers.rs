//! The two servers that the services need, started at the same time.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};

use crate::directory::StackDir;
use crate::postgres::Postgres;
use crate::progress::Progress;
use crate::rabbit::Rabbit;

/// A PostgreSQL server and a RabbitMQ broker in one claimed directory.
#[derive(Debug)]
pub struct Servers {
    /// The broker.
    pub rabbit: Rabbit,
    /// The database server.
    pub postgres: Postgres,
    // Dropped last: the claim holds until all is stopped.
    dir: StackDir,
}

impl Servers {
    /// Claims `dir` and starts both servers. `fresh` removes the data of an earlier run.
    pub fn start(dir: &Path, fresh: bool, progress: &Progress) -> Result<Self> {
        Self::start_in(StackDir::claim(dir, fresh)?, progress)
    }

    /// Starts both servers in a directory that is already claimed.
    pub fn start_in(dir: StackDir, progress: &Progress) -> Result<Self> {
        let (postgres, rabbit) = thread::scope(|scope| {
            let postgres = scope.spawn(|| start_postgres(&dir, progress));
            let rabbit = scope.spawn(|| start_rabbit(&dir, progress));
            (postgres.join(), rabbit.join())
        });
        let panicked = |_| anyhow!("starting a server panicked");
        let (postgres, rabbit) = (postgres.map_err(panicked)?, rabbit.map_err(panicked)?);
        Ok(Self { rabbit: rabbit?, postgres: postgres?, dir })
    }

    /// The directory of the servers.
    #[must_use]
    pub fn dir(&self) -> &StackDir {
        &self.dir
    }

    /// Why a server has ended. None if both of them run.
    pub fn failure(&mut self) -> Result<Option<String>> {
        match self.postgres.failure()? {
            None => self.rabbit.failure(),
            failure => Ok(failure),
        }
    }

    /// Stops both servers in an orderly way, at the same time.
    pub fn stop(&mut self) -> Result<()> {
        let (postgres, rabbit) = (&mut self.postgres, &mut self.rabbit);
        let (stopped, other) = thread::scope(|scope| {
            let other = scope.spawn(|| rabbit.stop());
            (postgres.stop(), other.join())
        });
        stopped?;
        other.map_err(|_| anyhow!("stopping RabbitMQ panicked"))??;
        Ok(())
    }
}

fn start_postgres(dir: &StackDir, progress: &Progress) -> Result<Postgres> {
    let start = || Postgres::start(&dir.below("postgres")?, progress);
    progress.step_with(|server| format!("PostgreSQL at {}", public(server.url())), "PostgreSQL", start)
}

fn start_rabbit(dir: &StackDir, progress: &Progress) -> Result<Rabbit> {
    let start = || Rabbit::start(&dir.below("rabbitmq")?, progress);
    progress.step_with(|server| format!("RabbitMQ at {}", public(server.url())), "RabbitMQ", start)
}

/// The part of a URL that is not secret: its host and port.
fn public(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(public("postgres://user:secret@127.0.0.1:20123/db"), "127.0.0.1:20123");
        assert_eq!(public("amqp://localhost:5672/%2f"), "localhost:5672");
    }
}
