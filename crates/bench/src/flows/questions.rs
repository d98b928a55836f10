//! Reads every metric by day, by hour and for the lifetime of the flow.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flowmeter_core::flow::{FlowMetric, Granularity};
use flowmeter_proto::v1::GetFlowMetricRequest;

use super::{Bench, ZONES};
use crate::percentiles::Durations;

/// The target for reading 90 days by day and 30 days by hour.
const TARGET: Duration = Duration::from_millis(5);
/// Reads each granularity and time zone, with alternating metrics and flows.
pub async fn ask_all(bench: &Bench, queries: usize) -> Result<()> {
    println!(
        "  {:<10} {:<22} {:>7} {:>8} {:>8} {:>8}  {:<12} verdict",
        "ms", "zone", "target", "p50", "p99", "max", "points"
    );
    for granularity in Granularity::ALL {
        for (place, zone) in ZONES.iter().enumerate() {
            let flows: Vec<_> = bench.flows.iter().skip(place).step_by(ZONES.len()).collect();
            let (mut taken, mut points) = (Vec::new(), 0);
            // What is asked every day is in memory, so each flow is asked once before it counts.
            let warm_up = flows.len();
            for turn in 0..warm_up + queries {
                let request = GetFlowMetricRequest {
                    flow_id: flows[turn.wrapping_mul(7) % flows.len()].clone(),
                    name: FlowMetric::ALL[turn % FlowMetric::ALL.len()].name().to_owned(),
                    granularity: granularity.name().to_owned(),
                    ..GetFlowMetricRequest::default()
                };
                let begin = Instant::now();
                let answer = bench.ask(request).await?;
                if turn >= warm_up {
                    taken.push(begin.elapsed());
                }
                points = points.max(answer.metric.context("the answer has no metric")?.data_points.len());
            }
            let durations = Durations::new(taken);
            let millis = |percent| durations.percentile(percent).as_secs_f64() * 1_000.0;
            let verdict = if durations.percentile(99) <= TARGET { "holds" } else { "MISSES" };
            println!(
                "  {:<10} {zone:<22} {:>7} {:>8.1} {:>8.1} {:>8.1}  {points:<12} {verdict}",
                granularity.name(),
                TARGET.as_millis(),
                millis(50),
                millis(99),
                millis(100),
            );
        }
    }
    Ok(())
}
