//! The layers of the workspace: the dependencies of each crate in its manifest, and the size of the client
//! library with its dependencies.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use flowmeter_stack::workspace_root;
use serde::Deserialize;

/// The crates of the workspace on which a crate may depend, apart from dev-dependencies. Crates that start
/// others (the benchmarks, `xtask` and the tests) may depend on all of them.
const LAYERS: [(&str, &[&str]); 14] = [
    ("proto", &[]),
    ("core", &[]),
    ("stack", &[]),
    ("segment", &["core"]),
    ("contract", &["core", "proto"]),
    ("store", &["core", "segment"]),
    ("queue", &["core", "proto"]),
    ("service", &["contract", "core", "proto", "queue", "store"]),
    ("ingest", &["contract", "core", "proto", "queue", "service", "store"]),
    ("worker", &["contract", "core", "proto", "queue", "service", "store"]),
    ("query", &["contract", "core", "proto", "service", "store"]),
    ("client", &["proto"]),
    ("fake", &["core", "proto"]),
    ("cli", &["client", "contract", "core", "proto", "store"]),
];

/// The maximum number of lines of `cargo tree` for the client library without TLS, including repeated crates.
const MAX_CLIENT_TREE: usize = 80;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`. None for a normal dependency.
    kind: Option<String>,
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(workspace_root()).output();
    let output = output.expect("cargo can be run");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// The crates of the workspace without their prefix, each with its dependencies in the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_str(&metadata).expect("metadata as documented");
    let short = |name: &str| name.strip_prefix("flowmeter-").map(ToOwned::to_owned);
    let of = |package: Package| {
        let normal = package.dependencies.into_iter().filter(|dependency| dependency.kind.is_none());
        Some((short(&package.name)?, normal.filter_map(|dependency| short(&dependency.name)).collect()))
    };
    metadata.packages.into_iter().filter_map(of).collect()
}

#[test]
fn crates_depend_only_on_lower_layers() {
    let mut found = dependencies();
    for (name, allowed) in LAYERS {
        let found = found.remove(name).unwrap_or_else(|| panic!("expected a crate {name}"));
        let other: Vec<_> = found.iter().filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(other.is_empty(), "{name}: expected only dependencies on {allowed:?}, found {other:?}");
    }
    let rest: Vec<_> = found.into_keys().collect();
    assert_eq!(rest, ["bench", "tests"], "every other crate has a layer");
}

#[test]
fn the_client_library_stays_small() {
    let arguments = ["tree", "--package", "flowmeter-client", "--no-default-features"];
    let tree = cargo(&[&arguments[..], &["--edges", "normal", "--prefix", "none"]].concat());
    let lines: BTreeSet<_> = tree.lines().filter(|line| !line.is_empty()).collect();
    assert!(
        lines.len() <= MAX_CLIENT_TREE,
        "{} lines, expected at most {MAX_CLIENT_TREE}:\n{tree}",
        lines.len()
    );
    for absent in ["axum", "regex", "jiff", "rustls", "flowmeter-core"] {
        assert!(
            !lines.iter().any(|line| line.starts_with(&format!("{absent} "))),
            "the client library depends on {absent}"
        );
    }
}
