//! `UpdateFlow`: changes fields of a flow.

use flowmeter_proto::v1::{UpdateFlowRequest, UpdateFlowResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::flows::update_flow;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::{given, version};
use crate::spec::update_mask::Mask;
use crate::{answer, resolve, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: UpdateFlowRequest,
) -> Result<UpdateFlowResponse, ApiError> {
    const FIELDS: [&str; 5] = ["name", "endpoint_url", "data_api_version", "time_zone", "check_interval"];
    let new = given("flow", request.flow)?;
    let mask = Mask::read(request.update_mask, &FIELDS)?;
    let current = resolve::flow(catalog.store, catalog.tenant, "flow.id", &new.id).await?;
    let version = version("flow.version", new.version)?.unwrap_or(current.version);
    let mut merged = answer::flow::to_proto(&current);
    mask.take("name", &mut merged.name, new.name);
    mask.take("endpoint_url", &mut merged.endpoint_url, new.endpoint_url);
    mask.take("data_api_version", &mut merged.data_api_version, new.data_api_version);
    mask.take("time_zone", &mut merged.time_zone, new.time_zone);
    mask.take("check_interval", &mut merged.check_interval, new.check_interval);
    let new = spec::flow::read(merged)?;
    let changed = update_flow(catalog.store, catalog.tenant, &new, version).await?;
    let stored = changed_or_error(changed, "flow", &new.flow_id)?;
    Ok(UpdateFlowResponse { flow: Some(answer::flow::to_proto(&stored)) })
}
