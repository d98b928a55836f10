//! Metrics of assets by the buckets of a calendar: from the values as they are stored.

use flowmeter_contract::time::to_proto;
use flowmeter_proto::v1::QueryTimeSeriesResponse;
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{AssetSeriesQuestion, read_asset_series};

use super::{Call, refer};
use crate::answer::series::{self as answer, Answered};
use crate::plan::bucket_grid::Frame;
use crate::resolve;
use crate::spec::asset_series;
use flowmeter_contract::enums::reading_to_proto;

pub(super) async fn answer(call: &Call<'_>) -> Result<QueryTimeSeriesResponse, ApiError> {
    let &Call { query, tenant, asked, .. } = call;
    let mut wording = asset_series::read(call.request)?;
    if let Some(series) = &call.stored {
        refer(&mut wording, series, asset_series::filter(&series.filter)?, series.observed)?;
    }
    let calendar = call.calendar().await?;
    let frame = tokio::task::block_in_place(|| Frame::cut(&wording, calendar, asked, query.max_points))?;
    call.wait().await?;
    // Only now: the request that was waited for may have brought the metric.
    let metric = resolve::metric_of_assets(&query.store, tenant, &call.metric).await?;
    let reading = asset_series::reading(wording.observed, metric.readable)?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let question = AssetSeriesQuestion {
        tenant,
        name: &metric.name,
        reading,
        filter: &wording.filter,
        by_asset: !frame.group_by.is_empty(),
        range: frame.range,
        bucket_starts: &frame.bucket_starts,
        max_points: query.max_points,
    };
    let turn = query.turns.take(tenant).await?;
    let found = read_asset_series(&query.store, &question).await;
    drop(turn);
    let answered = Answered {
        metric: call.metric.full(),
        observed: reading_to_proto(reading),
        unit: reading.unit().to_owned(),
        series: answer::series(found, &frame, query.max_points)?,
        fresh_through,
    };
    Ok(answered.within(&frame))
}
