//! The plans of the statements that the query service runs, from the log of the server.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The minimum duration of a statement whose plan is shown.
const SHOWN_MILLIS: f64 = 1.0;
/// The maximum length of a line. Lists of bucket starts and ids are much longer.
const SHOWN_CHARS: usize = 240;

/// The database URL of a service whose statements the server explains in its log, as they were executed.
/// Statements are slower than usual, because the server reads the clock for each row.
pub fn explaining(url: &str) -> String {
    let settings = [
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
        "auto_explain.log_buffers=on",
    ];
    let options = settings.map(|setting| format!("-c {setting}")).join(" ");
    format!("{url}?options={}", options.replace(' ', "%20").replace('=', "%3D"))
}

/// The part of the log of a server that is written from now on.
pub struct Log {
    path: PathBuf,
    from: u64,
}

impl Log {
    pub fn from_here(path: &Path) -> Result<Self> {
        let from = path.metadata().with_context(|| format!("look at {}", path.display()))?.len();
        Ok(Self { path: path.to_owned(), from })
    }

    /// The plans that were logged since the start of this part.
    pub fn plans(&self) -> Result<Vec<String>> {
        let mut text = Vec::new();
        File::open(&self.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(self.from))?;
                file.read_to_end(&mut text)
            })
            .with_context(|| format!("read {}", self.path.display()))?;
        Ok(slow_plans(&String::from_utf8_lossy(&text)))
    }
}

/// The entries of the log that are plans of slow statements, without the parts that were never
/// executed.
fn slow_plans(log: &str) -> Vec<String> {
    let mut entries: Vec<(f64, String)> = Vec::new();
    let (mut within, mut skipped) = (false, false);
    for line in log.lines() {
        if let Some((_, said)) = line.split_once("LOG:  duration: ") {
            let millis = said.split(' ').next().and_then(|millis| millis.parse().ok());
            within = said.ends_with("plan:");
            if within {
                skipped = false;
                entries.push((millis.unwrap_or(0.0), format!("duration: {said}\n")));
            }
        } else if let Some(further) = line.strip_prefix('\t').filter(|_| within) {
            if further.contains("->  ") {
                skipped = further.ends_with("(never executed)");
            }
            if skipped {
                continue;
            }
            let entry = &mut entries.last_mut().expect("its first line came before").1;
            let shown: String = further.chars().take(SHOWN_CHARS).collect();
            entry.push_str("  ");
            entry.push_str(&shown);
            entry.push_str(if shown.len() < further.len() { "…\n" } else { "\n" });
        } else {
            within = false;
        }
    }
    entries.into_iter().filter(|(millis, _)| *millis >= SHOWN_MILLIS).map(|(_, entry)| entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_of_slow_statements_are_found_among_other_lines() {
        let log = "2026 [1] a@b LOG:  duration: 0.100 ms  plan:\n\tQuery Text: -- quick\n\tResult\n\
                   2026 [1] a@b LOG:  duration: 12.5 ms  plan:\n\tQuery Text: -- slow\n\tLimit\n\
                   \t  ->  Seq Scan on a\n\t  ->  Seq Scan on b (never executed)\n\t        Filter: c\n\
                   2026 [2] LOG:  checkpoint starting: time\n\tnot a plan\n";
        assert_eq!(
            slow_plans(log),
            ["duration: 12.5 ms  plan:\n  Query Text: -- slow\n  Limit\n    ->  Seq Scan on a\n".to_owned()]
        );
    }

    #[test]
    fn the_options_are_part_of_the_url() {
        let url = explaining("postgres://u:p@127.0.0.1:1/d");
        assert!(url.starts_with(
            "postgres://u:p@127.0.0.1:1/d?options=-c%20session_preload_libraries%3Dauto_explain%20"
        ));
        assert!(!url.contains(' '));
    }
}
