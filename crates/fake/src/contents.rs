//! The contents of the fake services, and the requests that they received.

use std::collections::{BTreeMap, HashMap};

use flowmeter_proto::v1 as api;

/// The definitions and measurements in answers, and the requests for tests to inspect.
#[derive(Debug, Default)]
pub struct Contents {
    /// The only metric, in its current version.
    pub metric: api::Metric,
    /// The only calendar.
    pub calendar: api::Calendar,
    /// The update masks of updates, in order.
    pub masks: Vec<Vec<String>>,
    /// How many of the next calls find the backfill of the metric running.
    pub backfill_calls: usize,
    /// The names of deleted metrics, in order.
    pub deleted: Vec<String>,
    /// The flows, by id.
    pub flows: BTreeMap<String, api::Flow>,
    /// The data points of every flow, by the name of the metric.
    pub flow_points: HashMap<&'static str, Vec<api::FlowDataPoint>>,
    /// How many requests each flow has had, if these are too few for metrics.
    pub too_few: Option<u32>,
    /// Whether the token lacks the scope to read the metrics of flows.
    pub is_denied: bool,
    /// The requests for metrics of flows, in order.
    pub flow_metric_requests: Vec<api::GetFlowMetricRequest>,
    /// The response to every query of executions.
    pub execution_calls: api::QueryExecutionsResponse,
    /// The queries of executions, in order.
    pub execution_queries: Vec<api::QueryExecutionsRequest>,
    /// The assets.
    pub assets: Assets,
    /// The only tenant.
    pub tenant: api::Tenant,
}

/// The assets and their metrics, and the requests for them.
#[derive(Debug, Default)]
pub struct Assets {
    /// The documents of every asset, by time.
    pub documents: Vec<api::AssetDocument>,
    /// The current values of every asset, by name.
    pub latest: Vec<api::LatestAssetMetric>,
    /// The asset metrics in the catalog, by name.
    pub metrics: Vec<api::Metric>,
    /// The assets, by URN.
    pub known: Vec<api::Asset>,
    /// The requests for documents, in order.
    pub document_requests: Vec<api::ListAssetMetricsRequest>,
    /// The page sizes of requests for documents and assets, in order.
    pub page_sizes: Vec<i32>,
}
