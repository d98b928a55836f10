//! Queries assets, one query after the other over one connection.

use std::time::Instant;

use anyhow::{Result, ensure};
use flowmeter_proto::v1::{
    GetLatestAssetMetricsRequest, ListAssetMetricsRequest, ListAssetsRequest, QueryTimeSeriesRequest,
};

use super::load::{METRICS, urn};
use super::{Assets, Bench};
use crate::authorized;
use crate::figures::Target;
use crate::percentiles::Durations;
use crate::report::Report;

/// The target in milliseconds for reading the current values of an asset.
const TARGET: Target = Target::AtMost(5.0);

pub async fn ask_all(bench: &Bench, settings: &Assets, report: &mut Report) -> Result<()> {
    report
        .section(format_args!("each query {} times for random assets, over 1 connection", settings.queries));
    let asset = |turn: usize| urn(turn.wrapping_mul(7_919) % settings.number);

    let mut query = bench.query.clone();
    let latest = measure(settings.queries, async |turn| {
        let request = GetLatestAssetMetricsRequest { asset_urn: asset(turn), ..Default::default() };
        let answer = query.get_latest_asset_metrics(authorized(request, &bench.token)).await?.into_inner();
        ensure!(answer.metrics.len() == METRICS, "{} current values", answer.metrics.len());
        Ok(())
    });
    report.add_durations("current values of an asset", &latest.await?, Some(TARGET));

    let mut query = bench.query.clone();
    let listed = measure(settings.queries, async |turn| {
        let request = ListAssetMetricsRequest { asset_urn: asset(turn), ..Default::default() };
        let answer = query.list_asset_metrics(authorized(request, &bench.token)).await?.into_inner();
        ensure!(answer.documents.len() == settings.rounds.min(100), "{} documents", answer.documents.len());
        Ok(())
    });
    report.add_durations("all documents of an asset", &listed.await?, None);

    let mut query = bench.query.clone();
    let series = measure(settings.queries, async |turn| {
        let request = QueryTimeSeriesRequest {
            metric: "asset/qualityScore".into(),
            calendar: "#P1D".into(),
            range: "from(T-30D)".into(),
            key: asset(turn),
            ..Default::default()
        };
        let answer = query.query_time_series(authorized(request, &bench.token)).await?.into_inner();
        ensure!(!answer.series[0].points.is_empty(), "a series without points");
        Ok(())
    });
    report.add_durations("30 days of an asset's number", &series.await?, None);

    let mut query = bench.query.clone();
    let assets = measure(settings.queries, async |turn| {
        let prefix = format!("urn:bench:warehouse:schema-{:03}:", turn % 997);
        let request = ListAssetsRequest { prefix, ..Default::default() };
        let answer = query.list_assets(authorized(request, &bench.token)).await?.into_inner();
        ensure!(!answer.assets.is_empty(), "no assets");
        Ok(())
    });
    report.add_durations("first page of assets by prefix", &assets.await?, None);
    Ok(())
}

/// Runs a query this often, after a warm-up that does not count.
async fn measure(queries: usize, mut ask: impl AsyncFnMut(usize) -> Result<()>) -> Result<Durations> {
    const WARM_UP: usize = 100;
    let mut taken = Vec::with_capacity(queries);
    for turn in 0..WARM_UP + queries {
        let begin = Instant::now();
        ask(turn).await?;
        if turn >= WARM_UP {
            taken.push(begin.elapsed());
        }
    }
    Ok(Durations::new(taken))
}
