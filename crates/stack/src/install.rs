//! Finds the server programs, and installs them if a package manager is available.

mod apt;

use std::cmp::Reverse;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use self::apt::Apt;
use crate::progress::Progress;

/// A server, and how to get it.
#[derive(Clone, Copy, Debug)]
struct Package {
    /// The name in Debian and Ubuntu.
    name: &'static str,
    /// The service of systemd that the package enables.
    unit: &'static str,
    /// The name in Homebrew.
    homebrew: &'static str,
    /// The environment variable that names a server to use instead, with the form of its value.
    variable: Option<&'static str>,
}

const POSTGRESQL: Package = Package {
    name: "postgresql",
    unit: "postgresql.service",
    homebrew: "postgresql@17",
    variable: Some("DATABASE_URL (postgres://…)"),
};

const RABBITMQ: Package = Package {
    name: "rabbitmq-server",
    unit: "rabbitmq-server.service",
    homebrew: "rabbitmq",
    variable: Some("AMQP_URL (amqp://…)"),
};

const VICTORIA_METRICS: Package = Package {
    name: "victoria-metrics",
    unit: "victoria-metrics.service",
    homebrew: "victoriametrics",
    variable: None,
};

const INFLUXDB: Package =
    Package { name: "influxdb", unit: "influxdb.service", homebrew: "influxdb@1", variable: None };

/// The oldest supported major version of PostgreSQL.
const POSTGRES_MAJOR: u32 = 15;

/// Where distributions put PostgreSQL's server programs; `*` stands for the rest of a name.
const POSTGRES_PLACES: [&str; 5] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/usr/local/pgsql*/bin",
];

/// Where distributions put RabbitMQ's own scripts, not the wrappers in `/usr/sbin` that change the user.
const RABBITMQ_PLACES: [&str; 5] = [
    "/usr/lib/rabbitmq/bin",
    "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
    "/usr/local/opt/rabbitmq/sbin",
    "/opt/rabbitmq/sbin",
];

const EPMD_PLACES: [&str; 4] = [
    "/usr/lib/erlang/erts-*/bin",
    "/usr/lib64/erlang/erts-*/bin",
    "/opt/homebrew/opt/erlang/bin",
    "/usr/local/opt/erlang/bin",
];

/// The directory of the newest server programs of PostgreSQL, or of exactly version `major` if it is given,
/// because a server only opens data of the same version. Installs PostgreSQL if it is missing.
pub fn ensure_postgres(major: Option<u32>, progress: &Progress) -> Result<PathBuf> {
    let find = || {
        places(&POSTGRES_PLACES)
            .into_iter()
            .filter(|bin| bin.join("initdb").is_file())
            .filter_map(|bin| Some((postgres_major(&bin.join("postgres"))?, bin)))
            .filter(|(version, _)| *version >= POSTGRES_MAJOR && major.is_none_or(|major| major == *version))
            // Of equal versions the first, so a distribution's own place before PATH.
            .min_by_key(|(version, _)| Reverse(*version))
            .map(|(_, bin)| bin)
    };
    let wanted =
        major.map_or(format!("PostgreSQL {POSTGRES_MAJOR} or newer"), |major| format!("PostgreSQL {major}"));
    find_or_install(&wanted, POSTGRESQL, find, progress)
}

/// The server script of RabbitMQ and the port mapper of Erlang. Installs RabbitMQ if it is missing.
pub fn ensure_rabbitmq(progress: &Progress) -> Result<(PathBuf, PathBuf)> {
    let find = || {
        let script =
            places(&RABBITMQ_PLACES).into_iter().map(|bin| bin.join("rabbitmq-server")).find(|script| {
                // Debian's wrapper runs the server as another user, below that user's directories.
                fs::canonicalize(script).is_ok_and(|path| !path.ends_with("rabbitmq-script-wrapper"))
            })?;
        let epmd =
            places(&EPMD_PLACES).into_iter().map(|bin| bin.join("epmd")).find(|epmd| epmd.is_file())?;
        Some((script, epmd))
    };
    find_or_install("RabbitMQ 3.10 or newer", RABBITMQ, find, progress)
}

/// The program of VictoriaMetrics. Installs it if it is missing.
pub(crate) fn ensure_victoria_metrics(progress: &Progress) -> Result<PathBuf> {
    find_or_install("VictoriaMetrics", VICTORIA_METRICS, || program("victoria-metrics"), progress)
}

/// The server program of InfluxDB 1, because later versions do not have its query language. Installs it if it is
/// missing.
pub(crate) fn ensure_influxdb(progress: &Progress) -> Result<PathBuf> {
    let find = || {
        program("influxd").filter(|program| {
            let output = Command::new(program).arg("version").output();
            output.is_ok_and(|output| is_influxdb_1(&String::from_utf8_lossy(&output.stdout)))
        })
    };
    find_or_install("InfluxDB 1", INFLUXDB, find, progress)
}

/// A program in PATH.
fn program(name: &str) -> Option<PathBuf> {
    places(&[]).into_iter().map(|bin| bin.join(name)).find(|path| path.is_file())
}

/// Whether the output of `influxd version` is that of version 1.
fn is_influxdb_1(output: &str) -> bool {
    output.split(' ').nth(1).is_some_and(|version| version.trim_start_matches('v').starts_with("1."))
}

fn find_or_install<T>(
    wanted: &str,
    package: Package,
    find: impl Fn() -> Option<T>,
    progress: &Progress,
) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    let not_installed = || format!("{wanted} is not installed; {}", advice(package));
    let apt = Apt::take().with_context(not_installed)?;
    // Another process may have installed it in the meantime.
    if let Some(found) = find() {
        return Ok(found);
    }
    let name = package.name;
    progress.note(format_args!("installing {name} with apt-get"));
    progress.step(format_args!("install {name}"), || apt.install(package)).with_context(not_installed)?;
    find().with_context(|| format!("{name} was installed, but is not {wanted}; {}", advice(package)))
}

fn advice(package: Package) -> String {
    let Package { name, homebrew, variable, .. } = package;
    let otherwise =
        variable.map_or(String::new(), |variable| format!(", or name a server to use in {variable}"));
    format!(
        "install it (Debian, Ubuntu: `apt-get install {name}`; macOS: `brew install {homebrew}`){otherwise}"
    )
}

/// The directories that a list of places and PATH stand for, later versions first.
fn places(patterns: &[&str]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = patterns.iter().flat_map(|pattern| expand(pattern)).collect();
    found.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    found
}

/// Expands the one `*` of a pattern, which stands in one name of the path.
fn expand(pattern: &str) -> Vec<PathBuf> {
    let Some((before, after)) = pattern.split_once('*') else {
        return vec![PathBuf::from(pattern)];
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort_by(|a, b| b.cmp(a));
    let after = after.trim_start_matches('/');
    names.into_iter().map(|name| Path::new(parent).join(name).join(after)).collect()
}

fn postgres_major(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    parse_major(&String::from_utf8_lossy(&output.stdout))
}

/// From `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)`, also `18beta1`.
fn parse_major(text: &str) -> Option<u32> {
    let version = text.split_whitespace().nth(2)?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    version[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(parse_major("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(parse_major("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(parse_major("nonsense"), None);
    }

    #[test]
    fn only_the_first_version_of_influxdb_is_used() {
        assert!(is_influxdb_1("InfluxDB v1.6.7~rc0 (git: unknown unknown)\n"));
        assert!(!is_influxdb_1("InfluxDB v2.7.5 (git: 09a9607fd9) build_date: 2024-01-05T17:00:27Z\n"));
        assert!(!is_influxdb_1("nonsense"));
    }

    #[test]
    fn a_missing_server_comes_with_advice() {
        assert_eq!(
            advice(RABBITMQ),
            "install it (Debian, Ubuntu: `apt-get install rabbitmq-server`; macOS: `brew install rabbitmq`), \
             or name a server to use in AMQP_URL (amqp://…)"
        );
        assert!(advice(INFLUXDB).ends_with("`brew install influxdb@1`)"));
    }

    #[test]
    fn a_pattern_stands_for_the_directories_that_exist() {
        let root = std::env::temp_dir().join(format!("flowmeter-stack-expand-{}", std::process::id()));
        for version in ["9", "15", "16"] {
            fs::create_dir_all(root.join(format!("pg-{version}/bin"))).unwrap();
        }
        let found = expand(&format!("{}/pg-*/bin", root.display()));
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|path| path.is_dir() && path.ends_with("bin")));
        fs::remove_dir_all(&root).unwrap();
    }
}
