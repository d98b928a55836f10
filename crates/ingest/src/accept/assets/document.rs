//! Reads documents: their values with types, or their violations.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use flowmeter_contract::wire::{AssetDocument, read_asset_metric, read_asset_value, read_timestamp};
use flowmeter_core::asset::{AssetMetric, Sent, Value, check_name, check_urn};
use flowmeter_core::ids::RequestId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::Limits;
use flowmeter_core::violation::Violation;
use flowmeter_proto::raw::EmitAssetMetricsRequest;
use foldhash::fast::RandomState;

/// A document with the type of each value.
#[derive(Debug, PartialEq, Eq)]
pub struct Document<'a> {
    pub asset_urn: &'a str,
    pub timestamp: Timestamp,
    /// The values with their names, in the order of the request.
    pub values: Vec<(&'a str, Value<'a>)>,
}

/// Reads the documents of a request.
pub(super) struct DocumentReader<'a> {
    /// The time of documents that have none.
    request_time: Timestamp,
    oldest: Timestamp,
    newest: Timestamp,
    /// The indexes of the metrics of one document by their names. It is a field so that documents share its
    /// memory.
    names: HashMap<&'a str, usize, RandomState>,
}

impl<'a> DocumentReader<'a> {
    pub(super) fn new(request_id: RequestId, limits: &Limits, now: Timestamp) -> Self {
        Self {
            request_time: request_id.timestamp(),
            oldest: now.minus(limits.max_event_age),
            newest: now.plus(limits.max_event_ahead),
            names: HashMap::default(),
        }
    }

    /// Reads the document that a request consists of. Values that are invalid are left out of the document
    /// and added to `violations`.
    pub(super) fn read_request(
        &mut self,
        request: &'a EmitAssetMetricsRequest,
        violations: &mut Vec<Violation>,
    ) -> Document<'a> {
        let timestamp = request.timestamp.as_deref().map(read_timestamp).transpose();
        let timestamp = timestamp.unwrap_or_else(|violation| {
            violations.push(Violation::new("timestamp", violation.description));
            None
        });
        let timestamp = self.check(&request.asset_urn, timestamp, violations);
        let has_value = match &request.value {
            // A response in the array form has a null there, and may be sent back.
            Some(bytes) if !request.metrics.is_empty() => {
                !matches!(read_asset_value(bytes), Ok(None | Some(Sent::Other("null"))))
            }
            value => value.is_some(),
        };
        let is_single = !request.name.is_empty() || has_value;
        let values = match (request.metrics.is_empty(), is_single) {
            (false, false) => self.read_metrics(request.metrics.iter().map(|bytes| &**bytes), violations),
            (true, true) => read_single(request, violations).into_iter().collect(),
            (is_empty, _) => {
                let found = if is_empty { "neither" } else { "both" };
                let text = format!("expected either metrics, or name and value, found {found}");
                violations.push(Violation::new("metrics", text));
                Vec::new()
            }
        };
        if request.value_type != 0 {
            let text = "expected none: each of metrics has its own type, and the single form infers it";
            violations.push(Violation::new("value_type", text));
        }
        Document { asset_urn: &request.asset_urn, timestamp, values }
    }

    /// Reads a document of a batch, whose decoding gave `violations`. Values that are invalid are left out of
    /// the document and added to these.
    pub(super) fn read_document(
        &mut self,
        document: &AssetDocument<'a>,
        violations: &mut Vec<Violation>,
    ) -> Document<'a> {
        let timestamp = self.check(document.asset_urn, document.timestamp, violations);
        if document.metrics.is_empty() && !is_wrong("metrics", violations) {
            violations.push(Violation::new("metrics", "expected at least one item"));
        }
        let values = self.read_metrics(document.metrics.iter().copied(), violations);
        Document { asset_urn: document.asset_urn, timestamp, values }
    }

    /// Checks the asset and the time of a document, and returns the time.
    fn check(&self, urn: &str, timestamp: Option<Timestamp>, violations: &mut Vec<Violation>) -> Timestamp {
        let timestamp = timestamp.unwrap_or(self.request_time);
        if !is_wrong("asset_urn", violations) {
            violations.extend(check_urn("asset_urn", urn).err());
        }
        if !is_wrong("timestamp", violations) {
            violations.extend(timestamp.check_between(self.oldest, self.newest).err());
        }
        timestamp
    }

    fn read_metrics(
        &mut self,
        metrics: impl ExactSizeIterator<Item = &'a [u8]>,
        violations: &mut Vec<Violation>,
    ) -> Vec<(&'a str, Value<'a>)> {
        self.names.clear();
        let mut values = Vec::with_capacity(metrics.len());
        let mut wrong = Vec::new();
        for (index, bytes) in metrics.enumerate() {
            let (name, value) = read_metric(bytes, &mut wrong);
            if !is_wrong("name", &wrong) {
                match self.names.entry(name) {
                    Entry::Vacant(free) => _ = free.insert(index),
                    Entry::Occupied(first) => {
                        let text =
                            format!("expected each name once, found it in metrics[{}] as well", first.get());
                        wrong.push(Violation::new("name", text));
                    }
                }
            }
            values.extend(value.map(|value| (name, value)));
            if !wrong.is_empty() {
                let parent = format!("metrics[{index}]");
                violations.extend(wrong.drain(..).map(|violation| violation.within(&parent)));
            }
        }
        values
    }
}

/// Reads a metric: its name, and its value if that is valid.
fn read_metric<'a>(bytes: &'a [u8], violations: &mut Vec<Violation>) -> (&'a str, Option<Value<'a>>) {
    let AssetMetric { name, value, value_type } = read_asset_metric(bytes, violations);
    if !is_wrong("name", violations) {
        violations.extend(check_name("name", name).err());
    }
    if value.is_none() && !is_wrong("value", violations) {
        violations.push(no_value());
    }
    let value =
        value.and_then(|sent| sent.settle(value_type).map_err(|violation| violations.push(violation)).ok());
    (name, value)
}

/// Reads the metric of the single form.
fn read_single<'a>(
    request: &'a EmitAssetMetricsRequest,
    violations: &mut Vec<Violation>,
) -> Option<(&'a str, Value<'a>)> {
    violations.extend(check_name("name", &request.name).err());
    let sent = match read_asset_value(request.value.as_deref().unwrap_or_default()) {
        Ok(sent) => sent.ok_or_else(no_value),
        Err(violation) => Err(Violation::new("value", violation.description)),
    };
    let value = sent.and_then(Sent::settle_single);
    let value = value.map_err(|violation| violations.push(violation)).ok()?;
    Some((&request.name, value))
}

fn no_value() -> Violation {
    Violation::new("value", "expected a string, a number or a boolean, found none")
}

/// Whether there already is a violation of a field, or of a field that contains it.
fn is_wrong(field: &str, violations: &[Violation]) -> bool {
    violations.iter().any(|violation| violation.field.is_empty() || violation.field == field)
}
