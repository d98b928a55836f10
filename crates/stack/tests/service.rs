//! A service process is awaited, stopped, killed and started again; shell scripts stand in for the services.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flowmeter_stack::{Service, ServiceSpec};

const LISTENING: &str = r#"echo '{"fields":{"message":"listening","address":"127.0.0.1:41234"}}' >&2"#;

/// A program that runs these shell commands.
fn program(name: &str, commands: &str) -> ServiceSpec {
    let dir: PathBuf =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("service-{name}-{}", std::process::id()));
    let binary = dir.join("program");
    fs::create_dir_all(&dir)
        .and_then(|()| fs::write(&binary, format!("#!/bin/sh\n{commands}\n")))
        .and_then(|()| fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)))
        .expect("a script can be written");
    ServiceSpec::new(name, binary, dir)
}

#[test]
fn a_service_is_awaited_and_stopped_in_order() {
    let spec = program(
        "orderly",
        &format!(
            "trap 'exit 0' TERM\necho \"got $* and $FLOWMETER_X\" >&2\n{LISTENING}\nwhile :; do sleep 0.05; done"
        ),
    );
    let dir = spec.dir.clone();
    let mut service = Service::spawn(spec.env("FLOWMETER_X", "a setting").args(["--more"])).unwrap();
    assert_eq!(service.address(), "127.0.0.1:41234");
    let log = fs::read_to_string(service.log()).unwrap();
    assert!(log.contains("got --listen 127.0.0.1:0 --log-format json --more and a setting"), "{log}");
    assert_eq!(service.failure().unwrap(), None);
    assert!(service.terminate(Duration::from_secs(10)).unwrap().is_clean());
    assert!(!Path::new(&format!("/proc/{}", service.pid())).exists());
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_service_that_does_not_stop_is_killed() {
    let spec = program("stubborn", &format!("trap '' TERM\n{LISTENING}\nwhile :; do sleep 0.05; done"));
    let dir = spec.dir.clone();
    let mut service = Service::spawn(spec).unwrap();
    assert!(!service.terminate(Duration::from_millis(200)).unwrap().is_clean());
    assert!(service.failure().unwrap().unwrap().contains("signal 9"));
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_service_that_does_not_start_says_why() {
    let spec = program("broken", "echo 'FLOWMETER_DATABASE_URL is missing' >&2; exit 2");
    let dir = spec.dir.clone();
    let error = Service::spawn(spec).unwrap_err().to_string();
    assert!(error.contains("exit code 2") && error.contains("FLOWMETER_DATABASE_URL is missing"), "{error}");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn a_killed_service_starts_again_on_its_address() {
    let spec = program("killed", &format!("echo \"on $2\" >&2\n{LISTENING}\nexec sleep 60"));
    let dir = spec.dir.clone();
    let mut service = Service::spawn(spec).unwrap();
    let first = service.pid();
    service.freeze().unwrap();
    service.kill9().unwrap();
    service.start_again().unwrap();
    assert_ne!(service.pid(), first);
    assert!(fs::read_to_string(service.log()).unwrap().contains("on 127.0.0.1:41234"));
    drop(service);
    fs::remove_dir_all(dir).unwrap();
}
