//! The programs of the workspace, built by cargo.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cargo::build_executables;

/// How to compile the programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Fast to build, for tests.
    Dev,
    /// Fast to run, for use and for measurements.
    Release,
}

/// The paths of the programs.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The command line, `flowmeter`.
    pub cli: PathBuf,
    /// `flowmeter-ingest`.
    pub ingest: PathBuf,
    /// `flowmeter-worker`.
    pub worker: PathBuf,
    /// `flowmeter-query`.
    pub query: PathBuf,
}

impl Binaries {
    /// The programs for tests: from the directory in `FLOWMETER_TEST_BIN_DIR`, which `cargo xtask test` sets,
    /// or built now.
    pub fn for_tests() -> Result<Self> {
        let Some(dir) = std::env::var_os("FLOWMETER_TEST_BIN_DIR") else {
            return Self::build_with_tests();
        };
        let program = |name: &str| {
            let path = Path::new(&dir).join(name);
            anyhow::ensure!(path.is_file(), "{} does not exist; build the programs first", path.display());
            Ok(path)
        };
        Ok(Self {
            cli: program("flowmeter")?,
            ingest: program("flowmeter-ingest")?,
            worker: program("flowmeter-worker")?,
            query: program("flowmeter-query")?,
        })
    }

    /// Builds the four programs. The progress of cargo goes to stderr.
    pub fn build(profile: Profile) -> Result<Self> {
        let packages = ["flowmeter-cli", "flowmeter-ingest", "flowmeter-worker", "flowmeter-query"];
        Self::build_selected(profile, &packages.map(|package| ["-p", package]).concat())
    }

    /// Builds the programs for use, as `cargo build --release` does, so that nothing is compiled twice.
    pub fn build_with_workspace(profile: Profile) -> Result<Self> {
        Self::build_selected(profile, &["--workspace", "--bins"])
    }

    /// Builds the programs together with all test programs. The tests need more features of some
    /// dependencies, so a separate build of the programs would compile most dependencies a second time.
    pub fn build_with_tests() -> Result<Self> {
        Self::build_selected(Profile::Dev, &["--workspace", "--bins", "--tests", "--examples"])
    }

    fn build_selected(profile: Profile, selection: &[&str]) -> Result<Self> {
        let built = build_executables(profile, selection)?;
        let find = |name: &str| {
            built.get(name).cloned().with_context(|| format!("cargo built no program named {name}"))
        };
        Ok(Self {
            cli: find("flowmeter")?,
            ingest: find("flowmeter-ingest")?,
            worker: find("flowmeter-worker")?,
            query: find("flowmeter-query")?,
        })
    }

    /// The directory that contains all four programs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.cli.parent().unwrap_or(Path::new("/"))
    }
}

/// The root of the source tree that this crate was compiled from.
#[must_use]
pub fn workspace_root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
