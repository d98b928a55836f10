//! How many items of a list to show, and which pages to read.

use clap::Args;

use crate::arguments::Remote;

/// The maximum size of a page.
const PAGE: u32 = 1000;

/// How many items of a list to show.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Extent {
    /// Maximum number to show.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,

    /// Show all.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

/// The size and the token of a page.
type Page = (i32, String);

impl Extent {
    /// Everything.
    pub(super) const ALL: Self = Self { limit: 0, all: true };

    /// The first page.
    pub(super) fn start(self) -> Option<Page> {
        self.next_after(0, String::new())
    }

    /// The page after `shown` items, if there is one and the limit is not reached.
    pub(super) fn next(self, shown: usize, token: &str) -> Option<Page> {
        if token.is_empty() { None } else { self.next_after(shown, token.to_owned()) }
    }

    fn next_after(self, shown: usize, token: String) -> Option<Page> {
        let left = if self.all { PAGE } else { self.limit.saturating_sub(u32::try_from(shown).ok()?) };
        let size = i32::try_from(left.min(PAGE)).ok()?;
        (size > 0).then_some((size, token))
    }

    /// Prints that there are more items, and how to see them. JSON output contains the page token instead.
    pub(super) fn note_rest(self, token: &str, narrower: &str, remote: &Remote) {
        if !token.is_empty() && !remote.json() {
            eprintln!("There is more: use --all, a --limit above {}, or {narrower}", self.limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_end_with_the_limit() {
        let extent = Extent { limit: 2_100, all: false };
        assert_eq!(extent.start(), Some((1_000, String::new())));
        assert_eq!(extent.next(1_000, "a"), Some((1_000, "a".into())));
        // A page can contain fewer items than requested.
        assert_eq!(extent.next(1_990, "b"), Some((110, "b".into())));
        assert_eq!(extent.next(2_100, "c"), None);
        assert_eq!(extent.next(1_990, ""), None);
        assert_eq!(Extent::ALL.next(10_000_000, "d"), Some((1_000, "d".into())));
    }
}
