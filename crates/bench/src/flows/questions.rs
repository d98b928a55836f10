//! Reads every metric by day, by hour and for the lifetime of the flow.

use std::time::Instant;

use anyhow::{Context, Result};
use flowmeter_core::flow::{FlowMetric, Granularity};
use flowmeter_proto::v1::GetFlowMetricRequest;

use super::{Bench, ZONES};
use crate::figures::Target;
use crate::percentiles::Durations;
use crate::report::Report;

/// The target in milliseconds for each granularity.
const TARGET: Target = Target::AtMost(5.0);

/// Reads each granularity and time zone, with alternating metrics and flows.
pub async fn ask_all(bench: &Bench, queries: usize, report: &mut Report) -> Result<()> {
    for granularity in Granularity::ALL {
        for (place, zone) in ZONES.iter().enumerate() {
            let flows: Vec<_> = bench.flows.iter().skip(place).step_by(ZONES.len()).collect();
            let mut taken = Vec::new();
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
                answer.metric.context("the answer has no metric")?;
            }
            let name = format!("{} in {zone}", granularity.name());
            report.add_durations(&name, &Durations::new(taken), Some(TARGET));
        }
    }
    Ok(())
}
