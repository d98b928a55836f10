//! The processor time and memory that a process has used, read from `/proc`. None on systems other than
//! Linux.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// Processor time and memory of a process, or of a process with all its descendants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// The processor time since the start, user and system.
    pub cpu: Duration,
    /// The current resident memory in bytes. For a process tree, that of its largest process, because the
    /// processes of PostgreSQL share most of their memory.
    pub rss_bytes: u64,
    /// The highest resident memory so far in bytes. For a process tree, that of its largest process.
    pub peak_rss_bytes: u64,
}

/// The usage of one process, without its children.
#[must_use]
pub fn of(pid: u32) -> Option<Usage> {
    let stat = Stat::read(pid)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu: ticks(stat.own_ticks),
        rss_bytes: kib_field(&status, "VmRSS:")? * 1024,
        peak_rss_bytes: kib_field(&status, "VmHWM:")? * 1024,
    })
}

/// The usage of a process and all its descendants, including the processor time of those that have ended.
#[must_use]
pub fn of_tree(root: u32) -> Option<Usage> {
    let mut total = Usage::default();
    for pid in tree(root) {
        // A session may end between being listed and being read.
        let (Some(usage), Some(stat)) = (of(pid), Stat::read(pid)) else { continue };
        total.cpu += usage.cpu + ticks(stat.ended_children_ticks);
        total.rss_bytes = total.rss_bytes.max(usage.rss_bytes);
        total.peak_rss_bytes = total.peak_rss_bytes.max(usage.peak_rss_bytes);
    }
    (total != Usage::default()).then_some(total)
}

/// A process and all its descendants.
#[must_use]
pub fn tree(root: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if let Some(stat) = Stat::read(pid) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

struct Stat {
    parent: u32,
    own_ticks: u64,
    ended_children_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// See `proc_pid_stat(5)`. The name in field 2 may contain anything, so count from its closing bracket.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |field: usize| -> Option<u64> { fields.get(field - 3)?.parse().ok() };
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            own_ticks: number(14)? + number(15)?,
            ended_children_ticks: number(16)? + number(17)?,
        })
    }
}

fn ticks(count: u64) -> Duration {
    let rate = rustix::param::clock_ticks_per_second();
    Duration::from_millis(count * 1000 / rate)
}

fn kib_field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_does_not_shift_the_fields() {
        let stat = Stat::parse("7 (a ) b) S 3 7 7 0 -1 0 0 0 0 0 11 12 13 14 20 0").unwrap();
        assert_eq!((stat.parent, stat.own_ticks, stat.ended_children_ticks), (3, 23, 27));
    }

    #[test]
    fn this_process_uses_memory_and_is_in_its_own_tree() {
        let me = std::process::id();
        let usage = of(me).unwrap();
        assert!(usage.peak_rss_bytes >= usage.rss_bytes && usage.rss_bytes > 0);
        assert!(tree(me).contains(&me));
        assert!(of_tree(me).is_some());
        assert_eq!(of(u32::MAX), None);
    }
}
