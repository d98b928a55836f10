//! Appends what a batch adds to the counters of flows.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use flowmeter_core::flow::Counters;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use foldhash::fast::RandomState;

use super::FlowCounts;
use super::encoding::encode_counters;
use crate::StoreError;
use crate::copy::BinaryCopy;

/// Appends partial rows: one for each flow and quarter-hour in `counts`.
pub(crate) async fn append_flow_counts<'a>(
    transaction: &Transaction<'_>,
    counts: impl Iterator<Item = &'a FlowCounts<'a>>,
) -> Result<(), StoreError> {
    let mut cells: HashMap<(TenantId, &str, Timestamp), Counters, RandomState> = HashMap::default();
    for FlowCounts { tenant, flow_id, bucket, counters } in counts {
        cells.entry((*tenant, flow_id, *bucket)).or_default().merge(counters);
    }
    if cells.is_empty() {
        return Ok(());
    }
    let statement = transaction
        .prepare_cached("-- append_flow_counts\nCOPY flow_partial FROM STDIN (FORMAT binary)")
        .await?;
    let mut copy = BinaryCopy::new(transaction.copy_in(&statement).await?);
    for ((tenant, flow_id, bucket), counters) in cells {
        let mut row = copy.row(COLUMNS);
        row.uuid(tenant.0);
        row.text(flow_id);
        row.timestamp(bucket);
        row.bytes(&encode_counters(&counters));
        copy.flush_full().await?;
    }
    copy.flush().await?;
    copy.finish().await
}

/// The tenant, the flow, the bucket, and the counters.
const COLUMNS: i16 = 4;
