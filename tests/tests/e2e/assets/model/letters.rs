//! Random requests with known answers and effects.

use std::collections::BTreeMap;

use flowmeter_proto::v1::asset_metric::ValueType;
use flowmeter_proto::v1::{
    AssetDocument, BatchEmitAssetMetricsRequest, EmitAssetMetricsRequest, EmitAssetMetricsResponse,
};
use flowmeter_tests::Tenant;
use tonic::Status;
use uuid::Uuid;

use super::super::{document, metric, timestamp, typed};
use super::values::{Settled, Written};
use super::{NAMES, Run, URNS};

/// A request as it is sent.
#[derive(Debug, Clone)]
pub enum Sent {
    /// By `EmitAssetMetrics`, with the expected answer.
    One(Box<(EmitAssetMetricsRequest, EmitAssetMetricsResponse)>),
    /// By `BatchEmitAssetMetrics`, with the number of valid metrics, and the invalid documents.
    Many(BatchEmitAssetMetricsRequest, usize, Vec<i32>),
}

impl Sent {
    pub fn request_id(&self) -> &str {
        match self {
            Self::One(one) => &one.0.request_id,
            Self::Many(request, ..) => &request.request_id,
        }
    }

    pub fn metrics(&self) -> usize {
        match self {
            Self::One(one) => one.0.metrics.len().max(1),
            Self::Many(_, accepted, _) => *accepted,
        }
    }

    pub async fn send(&self, tenant: &Tenant) -> Result<(), Status> {
        let mut ingest = tenant.ingest.clone();
        match self {
            Self::One(one) => {
                let (request, expected) = &**one;
                let answer = ingest.emit_asset_metrics(request.clone()).await?.into_inner();
                assert_eq!(&answer, expected, "{request:?}");
            }
            Self::Many(request, accepted, rejected) => {
                let answer = ingest.batch_emit_asset_metrics(request.clone()).await?.into_inner();
                let rejections: Vec<_> = answer.rejections.iter().map(|it| it.index).collect();
                let found = (usize::try_from(answer.accepted_count), &rejections);
                assert_eq!(found, (Ok(*accepted), rejected), "{request:?}");
            }
        }
        Ok(())
    }
}

impl Run {
    /// A request id with one of few times, so that some ids only differ in their last bits.
    fn request_id(&mut self) -> Uuid {
        let made = self.dice.of(&self.made).unsigned_abs();
        let low = u64::try_from(self.dice.between(0, (1 << 62) - 1)).unwrap();
        let fraction = u64::try_from(self.dice.between(0, 3)).unwrap();
        Uuid::from_u64_pair(made << 16 | 0x7000 | fraction, 1 << 63 | low)
    }

    pub fn one(&mut self, number: usize) -> Sent {
        let id = self.request_id();
        let document = self.document();
        let at = micros(document.timestamp.as_ref(), id);
        let mut request = EmitAssetMetricsRequest {
            asset_urn: document.asset_urn.clone(),
            timestamp: document.timestamp,
            request_id: id.to_string(),
            ..EmitAssetMetricsRequest::default()
        };
        let mut answer = EmitAssetMetricsResponse {
            timestamp: Some(timestamp(at)),
            request_id: id.to_string(),
            ..EmitAssetMetricsResponse::default()
        };
        let is_single = self.dice.once_in(4);
        let mut metrics = document.metrics.into_iter().map(|metric| metric.name);
        if is_single {
            let name = metrics.next().unwrap();
            let settled = Settled::random(&mut self.dice);
            let Written { value, settled, .. } = settled.written_alone(&mut self.dice);
            (request.name, request.value) = (name.clone(), Some(value.clone()));
            (answer.name, answer.value) = (name.clone(), Some(value));
            answer.value_type = settled.value_type().into();
            self.tenants[number].1.add((document.asset_urn, at, name), id, 0, settled);
            return Sent::One(Box::new((request, answer)));
        }
        for (place, name) in metrics.enumerate() {
            let written = Settled::random(&mut self.dice).written(&mut self.dice);
            let settled = &written.settled;
            answer.metrics.push(typed(&name, settled.answered(), settled.value_type()));
            request.metrics.push(typed(&name, written.value, written.declared));
            let key = (document.asset_urn.clone(), at, name);
            self.tenants[number].1.add(key, id, place, written.settled);
        }
        Sent::One(Box::new((request, answer)))
    }

    pub fn many(&mut self, number: usize) -> Sent {
        let id = self.request_id();
        let mut request = BatchEmitAssetMetricsRequest { documents: Vec::new(), request_id: id.to_string() };
        // The number of values of an asset and time so far: documents of the same asset and time continue the count.
        let mut places: BTreeMap<(String, i64), usize> = BTreeMap::new();
        let (mut accepted, mut rejected, mut taken) = (0, Vec::new(), Vec::new());
        for index in 0..self.dice.between(1, 8) {
            let mut document = self.document();
            let at = micros(document.timestamp.as_ref(), id);
            let key = |name: &str| (document.asset_urn.clone(), at, name.to_owned());
            let repeats = document.metrics.iter().any(|metric| taken.contains(&key(&metric.name)));
            let is_wrong = self.dice.once_in(10);
            let mut settled = Vec::new();
            for metric in &mut document.metrics {
                let written = Settled::random(&mut self.dice).written(&mut self.dice);
                metric.value = Some(written.value);
                metric.value_type = written.declared.into();
                settled.push((metric.name.clone(), written.settled));
            }
            if is_wrong {
                let wrong = typed("wrong", 18, ValueType::Boolean);
                let place = self.dice.below(document.metrics.len() + 1);
                document.metrics.insert(place, wrong);
            }
            if is_wrong || repeats {
                rejected.push(i32::try_from(index).unwrap());
            } else {
                accepted += settled.len();
                for (name, value) in settled {
                    let place = places.entry((document.asset_urn.clone(), at)).or_default();
                    let key = (document.asset_urn.clone(), at, name);
                    taken.push(key.clone());
                    self.tenants[number].1.add(key, id, *place, value);
                    *place += 1;
                }
            }
            request.documents.push(document);
        }
        Sent::Many(request, accepted, rejected)
    }

    /// A document whose metrics only have names.
    fn document(&mut self) -> AssetDocument {
        let dice = &mut self.dice;
        let urn = dice.of(&URNS[..URNS.len() - 1]);
        // Times are truncated to microseconds.
        let at = (!dice.once_in(12)).then(|| {
            let at = timestamp(dice.of(&self.times));
            let finer = i32::try_from(dice.below(1_000)).unwrap();
            prost_types::Timestamp { nanos: at.nanos + finer, ..at }
        });
        let mut names = NAMES;
        dice.shuffle(&mut names);
        let count = 1 + dice.below(5);
        document(urn, at, names[..count].iter().map(|name| metric(name, 0)).collect())
    }
}

/// The time of a document in microseconds: its own, or else that of the request.
fn micros(own: Option<&prost_types::Timestamp>, request: Uuid) -> i64 {
    let of_request = || i64::try_from(request.as_u64_pair().0 >> 16).unwrap() * 1_000;
    own.map_or_else(of_request, |at| at.seconds * 1_000_000 + i64::from(at.nanos) / 1_000)
}
