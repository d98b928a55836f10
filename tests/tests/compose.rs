//! docker-compose.yml is consistent, and the services become healthy with its commands and settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_stack::{Binaries, Progress, Servers, Service, ServiceSpec, workspace_root};

use crate::compose::{Condition, File, Restart};

#[path = "compose/file.rs"]
mod compose;

/// The name of our image in the file. All other images are third-party servers.
const OUR_IMAGE: &str = "flowmeter:local";

fn read() -> File {
    let path = workspace_root().join("docker-compose.yml");
    let text = fs::read_to_string(path).expect("docker-compose.yml can be read");
    yaml_serde::from_str(&text).expect("docker-compose.yml is a compose file of the subset that we use")
}

/// `250ms`, `30s` or `2m`.
fn is_duration(text: &str) -> bool {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    digits.parse::<u32>().is_ok() && ["ms", "s", "m"].contains(&&text[digits.len()..])
}

#[test]
fn services_wait_for_their_dependencies() {
    let file = read();
    for (name, service) in &file.services {
        for (needed, dependency) in &service.depends_on {
            let needed = file.services.get(needed).expect("a dependency is a service of the file");
            match dependency.condition {
                Condition::ServiceHealthy => {
                    assert!(needed.healthcheck.is_some(), "{name} waits for a health check");
                }
                Condition::ServiceCompletedSuccessfully => assert_eq!(needed.restart, Restart::No, "{name}"),
            }
        }
        if let Some(check) = &service.healthcheck {
            assert_eq!(check.test[0], "CMD", "{name}: our image has no shell to rely on");
            let start = check.start_period.as_deref().unwrap_or("0s");
            assert!(
                [&check.interval, &check.timeout, start].into_iter().all(is_duration),
                "{name}: {check:?}"
            );
            assert!(check.retries > 0, "{name}");
        }
        assert!(service.stop_grace_period.as_deref().is_none_or(is_duration), "{name}");
        assert!(service.shm_size.as_deref().is_none_or(|size| size.ends_with("mb")), "{name}");
    }
    for service in ["ingest", "worker", "query"] {
        let service = &file.services[service];
        assert!(service.healthcheck.is_some() && service.stop_grace_period.is_some());
        assert_eq!(service.depends_on["migrate"].condition, Condition::ServiceCompletedSuccessfully);
    }
}

#[test]
fn ports_are_local_and_data_is_persistent() {
    let file = read();
    for (name, service) in &file.services {
        assert!(
            service.ports.iter().all(|port| port.starts_with("127.0.0.1:")),
            "{name}: {:?}",
            service.ports
        );
        let listen = service.environment.get("FLOWMETER_LISTEN");
        for port in &service.ports {
            let inside = port.rsplit(':').next().expect("a port mapping has colons");
            assert!(listen.is_some_and(|listen| listen.ends_with(&format!(":{inside}"))), "{name}: {port}");
        }
        for volume in &service.volumes {
            let source = volume.split(':').next().expect("a volume has a source");
            assert!(file.volumes.contains_key(source), "{name}: {volume}");
        }
        if service.image == OUR_IMAGE {
            let build = service.build.as_ref().expect("our image is built");
            assert!(workspace_root().join(&build.context).join(&build.dockerfile).is_file());
        } else {
            assert!(
                service.image.contains(':') && !service.image.ends_with(":latest"),
                "{name}: {}",
                service.image
            );
            assert!(!service.volumes.is_empty(), "{name} keeps its data");
        }
    }
    assert!(
        file.services["rabbitmq"].hostname.is_some(),
        "the broker's data directory is named after its host"
    );
}

/// The settings in the file, with the database and broker of this test.
fn settings(service: &compose::Service, servers: &Servers) -> Result<Vec<(String, String)>> {
    let mut settings = Vec::new();
    for (name, value) in &service.environment {
        let value = match name.as_str() {
            "FLOWMETER_LISTEN" => continue, // The test gives a free port as an argument.
            "FLOWMETER_DATABASE_URL" => {
                ensure!(
                    value.contains("@postgres:5432/"),
                    "expected the database of the file, found {value}"
                );
                servers.postgres.url().to_owned()
            }
            "FLOWMETER_AMQP_URL" => {
                ensure!(value.contains("@rabbitmq:5672/"), "expected the broker of the file, found {value}");
                servers.rabbit.url().to_owned()
            }
            _ => value.clone(),
        };
        settings.push((name.clone(), value));
    }
    Ok(settings)
}

/// The program of that name in the PATH of the image.
fn program(binaries: &Binaries, name: &str) -> Result<PathBuf> {
    let all = [&binaries.cli, &binaries.ingest, &binaries.worker, &binaries.query];
    let found = all.into_iter().find(|path| path.file_name().is_some_and(|file| file == name));
    found.cloned().with_context(|| format!("the image has no program {name}"))
}

/// Runs a command that terminates, such as `migrate`.
fn run_once(binaries: &Binaries, service: &compose::Service, servers: &Servers) -> Result<()> {
    let output = Command::new(program(binaries, &service.command[0])?)
        .args(&service.command[1..])
        .envs(settings(service, servers)?)
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "{:?}: {}", service.command, String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn start(binaries: &Binaries, name: &str, service: &compose::Service, servers: &Servers) -> Result<Service> {
    let binary = program(binaries, &service.command[0])?;
    let mut spec = ServiceSpec::new(name, binary, servers.dir().below("services")?);
    spec.args.extend(service.command[1..].iter().cloned());
    spec.env = settings(service, servers)?;
    Service::spawn(spec)
}

/// Repeats the health check in the file, on the port of this test, until it succeeds.
fn wait_until_healthy(binaries: &Binaries, service: &compose::Service, running: &mut Service) -> Result<()> {
    let listen = &service.environment["FLOWMETER_LISTEN"];
    let inside = listen.replace("0.0.0.0", "127.0.0.1");
    let test = &service.healthcheck.as_ref().context("the service has a health check")?.test;
    ensure!(
        test.iter().any(|word| word.contains(&inside)),
        "expected a health check of {listen}, found {test:?}"
    );
    let words = test[2..].iter().map(|word| word.replace(&inside, running.address()));
    let mut check = Command::new(program(binaries, &test[1])?);
    check.args(words).stdin(Stdio::null());
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let output = check.output()?;
        if output.status.success() {
            return Ok(());
        }
        if let Some(failure) = running.failure()? {
            anyhow::bail!(failure);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(Instant::now() < deadline, "{} is still unhealthy: {said}", running.name());
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn services_become_healthy() -> Result<()> {
    let file = read();
    let binaries = Binaries::for_tests()?;
    // Separate servers, because otherwise the services of other tests would use the same queues.
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compose-{}", std::process::id()));
    let mut servers = Servers::start(&path, true, &Progress::quiet())?;
    let mut running = Vec::new();
    run_once(&binaries, &file.services["migrate"], &servers)?;
    for name in ["ingest", "worker", "query"] {
        running.push((name, start(&binaries, name, &file.services[name], &servers)?));
    }
    for (name, service) in &mut running {
        wait_until_healthy(&binaries, &file.services[*name], service)?;
    }
    for (name, service) in &mut running {
        let ended = service.terminate(Duration::from_secs(30))?;
        ensure!(ended.is_clean(), "{name}: {ended:?}; see {}", service.log().display());
    }
    servers.stop()?;
    fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))
}
