//! Roll-ups: appending what batches add, folding it, and reading series.
//!
//! A batch appends partial rows. Folding takes partial rows away and adds them to the
//! roll-ups of every resolution in one statement, so a reader, whose one statement
//! sees either side of it, counts each event once.

mod append;
mod backfill;
mod fold;
mod purge;
mod read;

pub(crate) use append::{append_partials, insert_series};
pub use backfill::{BackfillError, BackfillStep, backfill_step};
pub use fold::{FoldOutcome, fold_partials};
pub use purge::purge_abandoned;
pub use read::{SeriesQuestion, read_series};

/// One fold at a time, whichever worker runs it.
const FOLD_LOCK: i64 = 0x666c_6f77_666f_6c64;
