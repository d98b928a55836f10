//! `DeleteFlow`: deletes a flow.

use flowmeter_core::flow::check_flow_id;
use flowmeter_proto::v1::{DeleteFlowRequest, DeleteFlowResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::flows::delete_flow;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::version;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: DeleteFlowRequest,
) -> Result<DeleteFlowResponse, ApiError> {
    check_flow_id("id", &request.id)?;
    let version = version("version", request.version)?;
    let changed = delete_flow(catalog.store, catalog.tenant, &request.id, version).await?;
    changed_or_error(changed, "flow", &request.id)?;
    Ok(DeleteFlowResponse {})
}
