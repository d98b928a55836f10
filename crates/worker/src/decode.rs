//! Decodes requests into a batch for the database. Ingest has checked them; they are checked again, because
//! other programs can write to the queue, and because one request that the database rejects would fail the
//! whole batch.

use std::collections::HashSet;

use flowmeter_contract::wire::read_usage_event;
use flowmeter_core::asset::{Sent, Value, ValueType, check_name, check_urn};
use flowmeter_core::flow::{Counters, check_flow_id};
use flowmeter_core::ids::{EventId, RequestId, TenantId};
use flowmeter_core::resolution::Resolution;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::queue::{FlowCounts, Request, asset_value};
use flowmeter_store::assets::AssetValue;
use flowmeter_store::batch::{Batch, FromRequest, NewEvent, NewRequest};
use flowmeter_store::{flows, schedules};
use uuid::Uuid;

use crate::apply::BatchRequest;
use crate::dead_letters::DeadLetter;

/// The ids of a request. None if they cannot be read.
pub fn ids(request: &Request) -> Option<(TenantId, RequestId)> {
    let tenant = Uuid::from_slice(&request.tenant_id).ok()?;
    let id = RequestId(Uuid::from_slice(&request.request_id).ok()?);
    // The ledger has the same end of time as the events.
    (id.timestamp() < Timestamp::END).then_some((TenantId(tenant), id))
}

/// The maximum number of items of a request. They are counted with 32 bits, and no setting of ingest allows
/// as many.
const MAX_ITEMS: usize = 100_000_000;

/// Decodes requests into a batch. Those that cannot be decoded are dead letters.
pub fn decode<'a>(requests: &[BatchRequest<'a>]) -> (Batch<'a>, Vec<DeadLetter>) {
    let mut batch = Batch::default();
    let mut dead = Vec::new();
    let mut seen = HashSet::new();
    batch.events.reserve(requests.iter().map(|of_one| of_one.request.usage.len()).sum());
    for BatchRequest { message, request } in requests {
        let dead_letter = |reason| DeadLetter::of_request(*message, request, reason);
        let Some((tenant, id)) = ids(request) else {
            let reason =
                "expected UUIDs of version 7 before the year 10000 as the ids of the tenant and the request";
            dead.push(dead_letter(reason.to_owned()));
            continue;
        };
        // A redelivered copy can be in one batch with its original.
        if !seen.insert((tenant, id)) {
            continue;
        }
        let (index, events) = (batch.requests.len(), batch.events.len());
        let (counts, schedules) = (batch.flow_counts.len(), batch.schedules.len());
        let values = batch.asset_values.len();
        let decoded = read_events(request, index, &mut batch.events)
            .and_then(|()| read_schedules(request, (tenant, index), &mut batch.schedules))
            .and_then(|()| read_asset_values(request, (tenant, id, index), &mut batch.asset_values))
            .and_then(|()| read_flow_counts(request, (tenant, index), &mut batch.flow_counts));
        let items = decoded.and_then(|flow_requests| {
            let items = request.usage.len() + flow_requests + batch.asset_values.len() - values;
            if items > MAX_ITEMS {
                Err(format!("expected at most {MAX_ITEMS} items, found {items}"))
            } else {
                Ok(items)
            }
        });
        match items {
            Ok(items) => batch.requests.push(NewRequest { tenant, id, items }),
            Err(reason) => {
                batch.events.truncate(events);
                batch.flow_counts.truncate(counts);
                batch.schedules.truncate(schedules);
                batch.asset_values.truncate(values);
                dead.push(dead_letter(reason));
            }
        }
    }
    (batch, dead)
}

fn read_events<'a>(request: &'a Request, index: usize, events: &mut Vec<NewEvent<'a>>) -> Result<(), String> {
    let mut violations = Vec::new();
    for usage in &request.usage {
        let id = Uuid::from_slice(&usage.id).ok().map(EventId);
        let id = id.filter(|id| id.timestamp() < Timestamp::END);
        let id = id.ok_or_else(|| {
            "expected a UUID of version 7 before the year 10000 as the id of an event".to_owned()
        })?;
        let mut event = read_usage_event(&usage.event, &mut violations);
        if let Some(violation) = violations.first() {
            return Err(format!("an event cannot be read: {violation}"));
        }
        if event.http_status.is_some_and(|status| i16::try_from(status).is_err()) {
            return Err("expected at most 32767 as the httpstatus of an event".to_owned());
        }
        event.settle();
        events.push(NewEvent { request: index, id, keyed: usage.keyed, event });
    }
    Ok(())
}

/// Reads what a request adds to the counters of flows. Returns the number of requests that they count.
fn read_flow_counts<'a>(
    request: &'a Request,
    (tenant, index): (TenantId, usize),
    counts: &mut Vec<FromRequest<flows::FlowCounts<'a>>>,
) -> Result<usize, String> {
    for FlowCounts { flow_id, minute, counts: values } in &request.flow_counts {
        let bucket = Timestamp::from_minutes(*minute).filter(|bucket| {
            (Timestamp::EPOCH..Timestamp::END).contains(bucket)
                && bucket.floor_to(Resolution::QuarterHour.width()) == *bucket
        });
        let bucket = bucket.ok_or_else(|| {
            format!("expected the start of a quarter-hour before the year 10000, found minute {minute}")
        })?;
        let counters = Counters::from_values(values)
            .ok_or_else(|| format!("expected the counters of a flow, found {} values", values.len()))?;
        check_flow_id("flow_id", flow_id).map_err(|violation| violation.to_string())?;
        let item = flows::FlowCounts { tenant, flow_id, bucket, counters };
        counts.push(FromRequest { request: index, item });
    }
    usize::try_from(request.flow_requests).map_err(|_| "the number of flow requests is negative".to_owned())
}

/// Reads the schedules that a request opens, updates or closes.
fn read_schedules<'a>(
    request: &'a Request,
    (tenant, index): (TenantId, usize),
    schedules: &mut Vec<FromRequest<schedules::Schedule<'a>>>,
) -> Result<(), String> {
    for schedule in &request.schedules {
        let update = Uuid::from_slice(&schedule.update_id).map(EventId);
        let update = update.map_err(|_| "expected a UUID as the id of a schedule's update".to_owned())?;
        let deadline = Timestamp::from_micros(schedule.deadline_micros);
        if schedule.schedule_id.is_empty() {
            return Err("a schedule has no id".to_owned());
        }
        if schedule.items_remaining < 0 {
            return Err("the number of remaining items of a schedule is negative".to_owned());
        }
        if !(Timestamp::EPOCH..Timestamp::END).contains(&deadline) {
            return Err("expected a deadline of a schedule between the years 1970 and 9999".to_owned());
        }
        let labels = [&*schedule.integration, &schedule.instance, &schedule.command];
        let (id, items_remaining) = (schedule.schedule_id.as_str(), schedule.items_remaining);
        let item = schedules::Schedule { tenant, id, labels, items_remaining, deadline, update };
        schedules.push(FromRequest { request: index, item });
    }
    Ok(())
}

/// Reads the values of assets in a request.
fn read_asset_values<'a>(
    request: &'a Request,
    (tenant, request_id, index): (TenantId, RequestId, usize),
    values: &mut Vec<FromRequest<AssetValue<'a>>>,
) -> Result<(), String> {
    let wrong = |violation: Violation| format!("a value of an asset cannot be read: {violation}");
    for of_one in &request.asset_values {
        let urn = of_one.asset_urn.as_str();
        check_urn("asset_urn", urn).map_err(wrong)?;
        let timestamp = Timestamp::from_micros(of_one.timestamp_micros);
        if !(Timestamp::EPOCH..Timestamp::END).contains(&timestamp) {
            return Err("expected a time of an asset's values between the years 1970 and 9999".to_owned());
        }
        for (place, value) in of_one.values.iter().enumerate() {
            let name = value.name.as_str();
            check_name("name", name).map_err(wrong)?;
            let value = read_asset_value(value.value.as_ref()).map_err(wrong)?;
            // Names beyond this number for one asset and time have the same place.
            let place = i16::try_from(place).unwrap_or(i16::MAX);
            let item = AssetValue { tenant, request_id, urn, name, timestamp, place, value };
            values.push(FromRequest { request: index, item });
        }
    }
    Ok(())
}

fn read_asset_value(value: Option<&asset_value::Value>) -> Result<Value<'_>, Violation> {
    match value {
        Some(asset_value::Value::Text(text)) => Sent::Text(text).settle(None),
        Some(asset_value::Value::Number(number)) => Sent::Text(number).settle(Some(ValueType::Number)),
        Some(asset_value::Value::Boolean(boolean)) => Ok(Value::Boolean(*boolean)),
        None => Err(Violation::new("value", "expected a value")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use flowmeter_proto::queue::{self, AssetValues};

    /// A request with these values of an asset.
    fn request(
        asset_urn: &str,
        timestamp_micros: i64,
        values: &[(&str, Option<asset_value::Value>)],
    ) -> Request {
        let to_queue = |(name, value): &(&str, Option<asset_value::Value>)| queue::AssetValue {
            name: (*name).to_owned(),
            value: value.clone(),
        };
        let values = values.iter().map(to_queue).collect();
        Request {
            tenant_id: Bytes::copy_from_slice(&[1; 16]),
            request_id: Bytes::copy_from_slice(RequestId::generate().0.as_bytes()),
            asset_values: vec![AssetValues { asset_urn: asset_urn.to_owned(), timestamp_micros, values }],
            ..Request::default()
        }
    }

    fn number(text: &str) -> asset_value::Value {
        asset_value::Value::Number(text.to_owned())
    }

    fn text(text: &str) -> asset_value::Value {
        asset_value::Value::Text(text.to_owned())
    }

    #[test]
    fn values_of_assets_keep_their_order() {
        let boolean = asset_value::Value::Boolean(false);
        let values = [("a", Some(number("-12.5"))), ("b", Some(text(""))), ("c", Some(boolean))];
        let request = request("urn:a", 1, &values);
        let (batch, dead) = decode(&[BatchRequest { message: 0, request: &request }]);
        assert!(dead.is_empty());
        assert_eq!(batch.requests[0].items, 3);
        let number = Value::Number("-12.5".parse().unwrap());
        let expected = [(0, number), (1, Value::Text("")), (2, Value::Boolean(false))];
        let read: Vec<_> = batch.asset_values.iter().map(|part| (part.item.place, part.item.value)).collect();
        assert_eq!(read, expected);
        let FromRequest { request, item } = batch.asset_values[2];
        let AssetValue { request_id, urn, name, timestamp, .. } = item;
        assert_eq!((request, request_id, urn, name), (0, batch.requests[0].id, "urn:a", "c"));
        assert_eq!(timestamp, Timestamp::from_micros(1));
    }

    #[test]
    fn a_request_with_invalid_values_is_dead_and_the_others_are_kept() {
        let good = request("urn:a", 1, &[("a", Some(number("1")))]);
        for (urn, micros, values, reason) in [
            ("", 1, vec![], "a value of an asset cannot be read: asset_urn: expected 1 to 512 bytes"),
            ("urn:a", -1, vec![], "expected a time of an asset's values between the years 1970 and 9999"),
            (
                "urn:a",
                Timestamp::END.micros(),
                vec![],
                "expected a time of an asset's values between the years 1970 and 9999",
            ),
            (
                "urn:a",
                1,
                vec![("a\0", Some(number("1")))],
                "a value of an asset cannot be read: name: expected",
            ),
            (
                "urn:a",
                1,
                vec![("a", Some(number("NaN")))],
                "a value of an asset cannot be read: value: expected a number",
            ),
            (
                "urn:a",
                1,
                vec![("a", Some(text("\0")))],
                "a value of an asset cannot be read: value: expected text without",
            ),
            (
                "urn:a",
                1,
                vec![("a", Some(text(""))), ("b", None)],
                "a value of an asset cannot be read: value: expected a value",
            ),
        ] {
            let bad = request(urn, micros, &values);
            let requests =
                [(0, &bad), (1, &good)].map(|(message, request)| BatchRequest { message, request });
            let (batch, dead) = decode(&requests);
            let [DeadLetter { message: 0, reason: found, .. }] = &dead[..] else {
                panic!("expected one dead letter")
            };
            assert!(found.starts_with(reason), "{found}");
            let kept: Vec<_> = batch.asset_values.iter().map(|part| (part.request, part.item.name)).collect();
            assert_eq!((batch.requests.len(), kept), (1, vec![(0, "a")]));
        }
    }
}
