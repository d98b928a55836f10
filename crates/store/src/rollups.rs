//! Roll-ups: appending what batches add, folding it, and reading time series.
//!
//! A series has a row for each day, with all its buckets. A batch appends partial rows, each with what it adds to the
//! series of one metric and label set on a day. Folding removes partial rows and adds them to the days, in one
//! transaction. A reader reads days and partial rows in one snapshot, so it counts each event once.

mod append;
mod backfill;
mod encoding;
mod fold;
mod purge;
mod read;

use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;

pub(crate) use append::{KnownSeries, append_partials, insert_series};
pub use backfill::{BackfillError, BackfillStep, backfill_step};
pub use fold::{FoldOutcome, Folder, fold_partials};
pub use purge::purge_abandoned;
pub use read::{SeriesQuery, read_series};

/// The advisory lock that lets one worker fold at a time.
const FOLD_LOCK: i64 = 0x666c_6f77_666f_6c64;

/// The minute of the day (UTC) at which a bucket begins.
fn minute_of_day(bucket: Timestamp) -> u16 {
    let minutes = bucket.minutes() - bucket.floor_to(Resolution::Day.width()).minutes();
    u16::try_from(minutes).expect("a day has 1440 minutes")
}
