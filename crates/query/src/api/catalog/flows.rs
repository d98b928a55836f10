//! Flows.

use std::ops::RangeInclusive;
use std::time::Duration;

use flowmeter_contract::time::to_proto;
use flowmeter_core::flow::{DataApiVersion, check_flow_id};
use flowmeter_core::violation::Violation;
use flowmeter_core::zone::zone;
use flowmeter_proto::v1::{
    self, CreateFlowRequest, CreateFlowResponse, DeleteFlowRequest, DeleteFlowResponse, GetFlowRequest,
    GetFlowResponse, ListFlowsRequest, ListFlowsResponse, UpdateFlowRequest, UpdateFlowResponse,
};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::catalog::flows::{
    NewFlow, StoredFlow, delete_flow, get_flow, insert_flow, list_flows, update_flow,
};

use super::{Shelf, check_text, given, settled, version};
use crate::page::{self, page_size};
use crate::spec::{endpoint_url, update_mask::Mask};

const KIND: &str = "flow";

pub async fn list(shelf: &Shelf<'_>, request: ListFlowsRequest) -> Result<ListFlowsResponse, ApiError> {
    let size = page_size(request.page_size)?;
    let tokens = page::List::new("ListFlows", &[]);
    let place = tokens.place(&request.page_token)?;
    let after = match &place {
        None => "",
        Some(place) => std::str::from_utf8(place)
            .ok()
            .filter(|id| check_flow_id("page_token", id).is_ok())
            .ok_or_else(page::not_ours)?,
    };
    let mut found = list_flows(shelf.store, shelf.tenant, after, size + 1).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let mut next_page_token = String::new();
    if found.len() > size {
        found.truncate(size);
        if let Some(StoredFlow { flow, .. }) = found.last() {
            next_page_token = tokens.token(flow.flow_id.as_bytes());
        }
    }
    Ok(ListFlowsResponse { flows: found.iter().map(to_contract).collect(), next_page_token })
}

pub async fn get(shelf: &Shelf<'_>, request: GetFlowRequest) -> Result<GetFlowResponse, ApiError> {
    let found = current(shelf, "id", &request.id).await?;
    Ok(GetFlowResponse { flow: Some(to_contract(&found)) })
}

pub async fn create(shelf: &Shelf<'_>, request: CreateFlowRequest) -> Result<CreateFlowResponse, ApiError> {
    let new = read(given("flow", request.flow)?)?;
    let changed = insert_flow(shelf.store, shelf.tenant, &new).await?;
    let stored = settled(changed, KIND, &new.flow_id)?;
    Ok(CreateFlowResponse { flow: Some(to_contract(&stored)) })
}

pub async fn update(shelf: &Shelf<'_>, request: UpdateFlowRequest) -> Result<UpdateFlowResponse, ApiError> {
    const FIELDS: [&str; 5] = ["name", "endpoint_url", "data_api_version", "time_zone", "check_interval"];
    let new = given("flow", request.flow)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let current = current(shelf, "flow.id", &new.id).await?;
    let version = version("flow.version", new.version)?.unwrap_or(current.version);
    let mut merged = to_contract(&current);
    mask.take("name", &mut merged.name, new.name);
    mask.take("endpoint_url", &mut merged.endpoint_url, new.endpoint_url);
    mask.take("data_api_version", &mut merged.data_api_version, new.data_api_version);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    mask.take("check_interval", &mut merged.check_interval, new.check_interval);
    let new = read(merged)?;
    let changed = update_flow(shelf.store, shelf.tenant, &new, version).await?;
    let stored = settled(changed, KIND, &new.flow_id)?;
    Ok(UpdateFlowResponse { flow: Some(to_contract(&stored)) })
}

pub async fn delete(shelf: &Shelf<'_>, request: DeleteFlowRequest) -> Result<DeleteFlowResponse, ApiError> {
    check_flow_id("id", &request.id)?;
    let version = version("version", request.version)?;
    let changed = delete_flow(shelf.store, shelf.tenant, &request.id, version).await?;
    settled(changed, KIND, &request.id)?;
    Ok(DeleteFlowResponse {})
}

/// A flow that is registered; its id stands in `field`.
async fn current(shelf: &Shelf<'_>, field: &str, id: &str) -> Result<StoredFlow, ApiError> {
    check_flow_id(field, id)?;
    let found = get_flow(shelf.store, shelf.tenant, id).await?;
    found.ok_or_else(|| ApiError::not_found(KIND, id))
}

/// Reads a flow, or says what is wrong with it.
fn read(flow: v1::Flow) -> Result<NewFlow, ApiError> {
    let mut violations = Vec::new();
    violations.extend(check_flow_id("flow.id", &flow.id).err());
    check_text("flow.name", &flow.name, &mut violations);
    violations.extend(endpoint_url::check("flow.endpoint_url", &flow.endpoint_url).err());
    violations.extend(check_data_api_version("flow.data_api_version", &flow.data_api_version).err());
    let check_interval =
        check_interval("flow.check_interval", flow.check_interval).unwrap_or_else(|violation| {
            violations.push(violation);
            None
        });
    let time_zone = if flow.time_zone.is_empty() { "UTC".to_owned() } else { flow.time_zone };
    if let Err(error) = zone(&time_zone) {
        violations.push(Violation::new("flow.time_zone", error.to_string()));
    }
    if !violations.is_empty() {
        return Err(ApiError::violations(Reason::InvalidField, &violations));
    }
    Ok(NewFlow {
        flow_id: flow.id,
        name: flow.name,
        endpoint_url: flow.endpoint_url,
        data_api_version: flow.data_api_version,
        time_zone,
        check_interval,
    })
}

/// Checks a version of the data API, if there is one.
fn check_data_api_version(field: &str, version: &str) -> Result<(), Violation> {
    if version.is_empty() {
        return Ok(());
    }
    DataApiVersion::parse(version).map(drop).map_err(|error| Violation::new(field, error.to_string()))
}

/// Reads how often an endpoint is checked, if it is said.
fn check_interval(
    field: &str,
    interval: Option<prost_types::Duration>,
) -> Result<Option<Duration>, Violation> {
    const ALLOWED: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_hours(24);
    let Some(interval) = interval else { return Ok(None) };
    let seconds = u64::try_from(interval.seconds).ok();
    let nanos = u32::try_from(interval.nanos).ok().filter(|nanos| *nanos < 1_000_000_000);
    let read = seconds.zip(nanos).map(|(seconds, nanos)| Duration::new(seconds, nanos));
    let allowed = read.filter(|interval| ALLOWED.contains(interval));
    allowed.map(Some).ok_or_else(|| Violation::new(field, "expected 1 s to 1 day"))
}

fn to_contract(stored: &StoredFlow) -> v1::Flow {
    let flow = &stored.flow;
    v1::Flow {
        id: flow.flow_id.clone(),
        name: flow.name.clone(),
        endpoint_url: flow.endpoint_url.clone(),
        data_api_version: flow.data_api_version.clone(),
        time_zone: flow.time_zone.clone(),
        check_interval: flow
            .check_interval
            .map(|interval| interval.try_into().expect("at most a day is kept")),
        version: stored.version,
        create_time: Some(to_proto(stored.created_at)),
        update_time: Some(to_proto(stored.updated_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(change: impl FnOnce(&mut v1::Flow)) -> String {
        let mut flow = v1::Flow { id: "f".into(), ..v1::Flow::default() };
        change(&mut flow);
        read(flow).err().map(|error| tonic::Status::from(error).message().to_owned()).unwrap_or_default()
    }

    #[test]
    fn an_endpoint_is_checked_from_every_second_to_once_a_day() {
        let interval =
            |seconds, nanos| wrong(|it| it.check_interval = Some(prost_types::Duration { seconds, nanos }));
        for (seconds, nanos) in [(1, 0), (1, 500_000_000), (86_400, 0)] {
            assert_eq!(interval(seconds, nanos), "", "{seconds}.{nanos:09}");
        }
        for (seconds, nanos) in
            [(0, 0), (0, 999_999_999), (86_400, 1), (-1, 0), (2, -1), (1, 1_000_000_000), (i64::MAX, 0)]
        {
            let expected = "flow.check_interval: expected 1 s to 1 day";
            assert_eq!(interval(seconds, nanos), expected, "{seconds}.{nanos:09}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_named_at_once() {
        let all = wrong(|it| {
            it.id = "a\nb".into();
            it.name = "\0".into();
            it.endpoint_url = "ftp://host".into();
            it.data_api_version = "v3".into();
            it.time_zone = "Europe/Nowhere".into();
        });
        let fields: Vec<_> = all.split("; ").filter_map(|part| part.split(':').next()).collect();
        let expected =
            ["flow.id", "flow.name", "flow.endpoint_url", "flow.data_api_version", "flow.time_zone"];
        assert_eq!(fields, expected);
    }
}
