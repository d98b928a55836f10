//! Random queries about assets, for the real services and for the model.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::{SystemTime, UNIX_EPOCH};

use flowmeter_proto::v1::{
    AssetDocument, AssetMetric, GetLatestAssetMetricsRequest, LatestAssetMetric, ListAssetMetricsRequest,
    ListAssetsRequest,
};
use flowmeter_tests::Tenant;
use tonic::{Code, Status};

use super::super::{document, list_assets, list_latest, list_metrics, timestamp};
use super::{Known, Model, NAMES, URNS};
use crate::dice::Dice;

#[derive(Debug)]
pub enum Question {
    Documents(ListAssetMetricsRequest),
    Latest(GetLatestAssetMetricsRequest),
    Assets(ListAssetsRequest),
}

impl Question {
    pub fn random(dice: &mut Dice, times: &[i64]) -> Self {
        let page_size = if dice.once_in(3) { 0 } else { i32::try_from(dice.between(1, 7)).unwrap() };
        let names = if dice.once_in(2) {
            let known = dice.some_of(&NAMES, 4);
            known.into_iter().chain(dice.once_in(6).then_some("unknown")).map(str::to_owned).collect()
        } else {
            Vec::new()
        };
        match dice.below(5) {
            0 => Self::Assets(ListAssetsRequest {
                prefix: dice
                    .of(&["", "urn:", "urn:a", "urn:a:1", "urn:%", "urn:_", "ü", "u", "x", "URN"])
                    .into(),
                page_size,
                ..ListAssetsRequest::default()
            }),
            1 => Self::Latest(GetLatestAssetMetricsRequest {
                asset_urn: dice.of(&URNS).into(),
                names,
                page_size,
                ..GetLatestAssetMetricsRequest::default()
            }),
            _ => {
                let mut bound = || {
                    let at = dice.of(times) + dice.between(-1, 1);
                    (!dice.once_in(3)).then_some(at)
                };
                let (from, to) = (bound(), bound());
                // A range that ends before it begins is rejected.
                let (from, to) = match (from, to) {
                    (Some(from), Some(to)) => (Some(from.min(to)), Some(from.max(to))),
                    (Some(from), None) if from > now() => (None, None),
                    bounds => bounds,
                };
                Self::Documents(ListAssetMetricsRequest {
                    asset_urn: dice.of(&URNS).into(),
                    from: from.map(timestamp),
                    to: to.map(timestamp),
                    names,
                    page_size,
                    ..ListAssetMetricsRequest::default()
                })
            }
        }
    }

    /// Runs the query, and returns what is wrong with the answer.
    pub async fn check(&self, tenant: &Tenant, model: &Model) -> Result<(), String> {
        match self {
            Self::Documents(request) => {
                let found = list_metrics(tenant, request.clone()).await;
                compare(request, documents(request, model), found)
            }
            Self::Latest(request) => {
                let found = list_latest(tenant, request.clone()).await;
                compare(request, latest(request, model), found)
            }
            Self::Assets(request) => {
                let found = list_assets(tenant, request.clone()).await;
                let found = found.map(|assets| assets.into_iter().map(|asset| asset.urn).collect());
                let all: BTreeSet<_> = model.0.keys().map(|(urn, _, _)| urn.clone()).collect();
                let expected = all.into_iter().filter(|urn| urn.starts_with(&request.prefix)).collect();
                compare(request, Some(expected), found)
            }
        }
    }
}

/// An asset for which nothing was emitted must not be found.
fn compare<T: Debug + PartialEq>(
    question: &impl Debug,
    expected: Option<Vec<T>>,
    found: Result<Vec<T>, Status>,
) -> Result<(), String> {
    match (expected, found) {
        (Some(expected), Ok(found)) if expected == found => Ok(()),
        (None, Err(status)) if status.code() == Code::NotFound => Ok(()),
        (Some(expected), Ok(found)) => {
            let same = expected.iter().zip(&found).take_while(|(one, other)| one == other).count();
            let (one, other) = (expected.get(same), found.get(same));
            let of = (expected.len(), found.len());
            Err(format!("{question:?}\n  at {same} of {of:?} expected {one:?}\n  found {other:?}"))
        }
        (expected, found) => Err(format!("{question:?}\n  expected {expected:?}\n  found {found:?}")),
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

fn micros(at: &prost_types::Timestamp) -> i64 {
    at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000
}

fn is_asked_for(names: &[String], name: &str) -> bool {
    names.is_empty() || names.iter().any(|asked| asked == name)
}

fn documents(request: &ListAssetMetricsRequest, model: &Model) -> Option<Vec<AssetDocument>> {
    model.of(&request.asset_urn).next()?;
    let from = request.from.as_ref().map_or(0, micros);
    let to = request.to.as_ref().map_or_else(now, micros);
    let mut by_time: BTreeMap<i64, Vec<(&str, &Known)>> = BTreeMap::new();
    for (at, name, known) in model.of(&request.asset_urn) {
        if (from..=to).contains(&at) && is_asked_for(&request.names, name) {
            by_time.entry(at).or_default().push((name, known));
        }
    }
    let documents = by_time.into_iter().map(|(at, mut metrics)| {
        metrics.sort_by_key(|(_, known)| known.oldest);
        let metrics = metrics.into_iter().map(|(name, known)| AssetMetric {
            name: name.into(),
            value: Some(known.newest.1.answered()),
            value_type: known.newest.1.value_type().into(),
        });
        document("", Some(timestamp(at)), metrics.collect())
    });
    Some(documents.collect())
}

fn latest(request: &GetLatestAssetMetricsRequest, model: &Model) -> Option<Vec<LatestAssetMetric>> {
    model.of(&request.asset_urn).next()?;
    let mut by_name = BTreeMap::new();
    for (at, name, known) in model.of(&request.asset_urn) {
        if is_asked_for(&request.names, name) {
            // Values are in ascending order of time.
            by_name.insert(name, (at, known));
        }
    }
    let metrics = by_name.into_iter().map(|(name, (at, known))| LatestAssetMetric {
        name: name.into(),
        value: Some(known.newest.1.answered()),
        value_type: known.newest.1.value_type().into(),
        timestamp: Some(timestamp(at)),
    });
    Some(metrics.collect())
}
