//! Shows the progress of a replay on standard error: a bar on a terminal, and elsewhere a line every 10
//! seconds.

use std::{
    io::IsTerminal,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often a line is written if there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// A progress display that can be shared.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_terminal: bool,
    line: Arc<Mutex<Line>>,
}

struct Line {
    next: Instant,
    troubled: bool,
}

impl Progress {
    /// The progress of reading a log. `bytes` is its size, if it is known.
    pub(crate) fn new(bytes: Option<u64>) -> Self {
        let template = match bytes {
            Some(_) => "{bar:25} {percent:>3} %, {eta} left  {wide_msg}",
            None => "{spinner} {bytes} in {elapsed}  {wide_msg}",
        };
        Self::start(bytes, template)
    }

    /// The progress of waiting until this number of requests is applied.
    pub(crate) fn of_requests(requests: usize) -> Self {
        Self::start(u64::try_from(requests).ok(), "{bar:25} {pos} of {len} requests applied")
    }

    fn start(length: Option<u64>, template: &str) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let target = if is_terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template(template).expect("the template is valid");
        let bar = ProgressBar::with_draw_target(length, target).with_style(style.progress_chars("█▌ "));
        let line = Line { next: Instant::now() + EVERY, troubled: false };
        Self { bar, is_terminal, line: Arc::new(Mutex::new(line)) }
    }

    /// Shows the position in the log and the text from `done`.
    pub(crate) fn show(&self, position: u64, done: impl FnOnce() -> String) {
        self.bar.set_position(position);
        if self.is_terminal {
            self.bar.set_message(done());
            return;
        }
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if Instant::now() >= line.next {
            line.next = Instant::now() + EVERY;
            eprintln!("{}", done());
        }
    }

    /// Shows that one more request is applied.
    pub(crate) fn advance(&self) {
        let position = self.bar.position() + 1;
        let all = self.bar.length().unwrap_or(position);
        self.show(position, || format!("{position} of {all} requests applied"));
    }

    /// Writes a line above the bar.
    pub(crate) fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }

    /// Writes a line about a failure, once until [`Progress::well`] is called.
    pub(crate) fn trouble(&self, text: impl FnOnce() -> String) {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut line.troubled, true) {
            self.note(&text());
        }
    }

    /// Notes that calls succeed again.
    pub(crate) fn well(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).troubled = false;
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
