//! Prints a line for each step, with its duration, and checks for interrupts between steps.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Result, bail};

/// Reports steps on stdout, or nowhere.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    quiet: bool,
    interrupted: Arc<AtomicBool>,
}

impl Progress {
    /// Reports on stdout. Once `interrupted` is set, the next step fails.
    #[must_use]
    pub fn visible(interrupted: Arc<AtomicBool>) -> Self {
        Self { quiet: false, interrupted }
    }

    /// Reports nothing.
    #[must_use]
    pub fn quiet() -> Self {
        Self { quiet: true, interrupted: Arc::default() }
    }

    /// Announces something that takes long, so that the terminal is not silent.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            println!("  …        {text}");
        }
    }

    /// Runs one step and reports how it ended and how long it took.
    pub fn step<T>(&self, what: impl Display, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.step_with(|_| what.to_string(), &what, work)
    }

    /// Like [`Progress::step`], for a step whose line describes its result.
    pub fn step_with<T>(
        &self,
        done: impl FnOnce(&T) -> String,
        failed: impl Display,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if self.is_interrupted() {
            bail!("interrupted before this step: {failed}");
        }
        let started = Instant::now();
        let result = work();
        let seconds = started.elapsed().as_secs_f64();
        if !self.quiet {
            match &result {
                Ok(value) => println!("  ✓ {seconds:5.1} s  {}", done(value)),
                Err(_) => println!("  ✗ {seconds:5.1} s  {failed}"),
            }
        }
        result
    }

    /// Whether the user asked to stop.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}
