//! Roll-ups: appending what batches add, folding it, and reading time series.
//!
//! A batch appends partial rows. Folding removes partial rows and adds them to the roll-ups of every
//! resolution in one statement. A reader also uses a single statement, which sees an event either before or
//! after it is folded, so it counts each event once.

mod append;
mod backfill;
mod fold;
mod purge;
mod read;

pub(crate) use append::{append_partials, insert_series};
pub use backfill::{BackfillError, BackfillStep, backfill_step};
pub use fold::{FoldOutcome, fold_partials};
pub use purge::purge_abandoned;
pub use read::{SeriesQuery, read_series};

/// The advisory lock that lets one worker fold at a time.
const FOLD_LOCK: i64 = 0x666c_6f77_666f_6c64;
