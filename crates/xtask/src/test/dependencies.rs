//! Checks the licences and sources of all dependencies against `deny.toml`. cargo-deny checks more; this
//! check needs only cargo.

use std::fs;

use anyhow::{Context, Result, ensure};
use flowmeter_stack::{cargo, workspace_root};
use serde_json::Value;

/// The allowed source of dependencies.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Checks all dependencies. The error lists those that are not allowed.
pub(super) fn check() -> Result<()> {
    let rules = fs::read_to_string(workspace_root().join("deny.toml")).context("read deny.toml")?;
    let allowed = allowed_licences(&rules);
    ensure!(!allowed.is_empty(), "deny.toml allows no licence");
    let platform = host()?;
    let output = cargo(["metadata", "--format-version", "1", "--locked", "--filter-platform", &platform])
        .output()
        .context("run cargo metadata")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim_end());
    let metadata: Value =
        serde_json::from_slice(&output.stdout).context("read what cargo metadata prints")?;
    let packages =
        metadata.get("packages").and_then(Value::as_array).context("cargo metadata has no packages")?;
    let refused: Vec<String> = packages.iter().filter_map(|package| refusal(package, &allowed)).collect();
    ensure!(refused.is_empty(), "{}", refused.join("; "));
    Ok(())
}

/// The platform to compile for, as `rustc -vV` names it. Packages for other platforms are not always
/// downloaded.
fn host() -> Result<String> {
    let output = cargo(["--version", "--verbose"]).output().context("run cargo --version")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("cargo does not name its host")
}

/// The licences between the brackets of `allow = […]`.
fn allowed_licences(rules: &str) -> Vec<&str> {
    let list = rules.split_once("\nallow = [").and_then(|(_, rest)| rest.split_once(']'));
    list.map_or("", |(list, _)| list).split('"').skip(1).step_by(2).collect()
}

/// Why a package is not allowed. None if it is allowed.
fn refusal(package: &Value, allowed: &[&str]) -> Option<String> {
    let text = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
    let source = text("source");
    if !source.is_empty() && source != CRATES_IO {
        return Some(format!("{} is from {source}, which is not allowed", text("name")));
    }
    let licence = text("license");
    (!is_allowed(licence, allowed))
        .then(|| format!("{} has the licence `{licence}`, which is not allowed", text("name")))
}

/// Whether an SPDX expression leaves a choice among allowed licences. `/` is an old way to write OR.
fn is_allowed(licence: &str, allowed: &[&str]) -> bool {
    let licence = licence.replace('/', " OR ");
    let plain = licence.replace(['(', ')'], "");
    if !licence.contains('(') {
        // AND binds more tightly than OR.
        return plain
            .split(" OR ")
            .any(|choice| choice.split(" AND ").all(|one| allowed.contains(&one.trim())));
    }
    // With brackets, all that is joined by AND has to leave a choice.
    plain.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.contains(&one.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOWED: [&str; 3] = ["MIT", "Apache-2.0", "Unicode-3.0"];

    #[test]
    fn one_of_the_choices_has_to_be_allowed() {
        for licence in ["MIT", "MIT OR GPL-3.0", "MIT/BSL-1.0", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
            assert!(is_allowed(licence, &ALLOWED), "{licence}");
        }
        for licence in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0"] {
            assert!(!is_allowed(licence, &ALLOWED), "{licence}");
        }
    }

    #[test]
    fn the_rules_are_read_and_the_source_is_looked_at() {
        let rules = "[licenses]\nversion = 2\nallow = [\n    \"MIT\",\n    \"ISC\",\n]\n";
        assert_eq!(allowed_licences(rules), ["MIT", "ISC"]);
        let package =
            serde_json::json!({ "name": "a", "license": "MIT", "source": "git+https://example.com/a" });
        assert!(refusal(&package, &ALLOWED).unwrap().contains("example.com"));
        let package = serde_json::json!({ "name": "a", "license": "MIT", "source": null });
        assert_eq!(refusal(&package, &ALLOWED), None);
    }
}
