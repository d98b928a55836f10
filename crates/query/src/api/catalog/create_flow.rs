//! `CreateFlow`: registers a flow.

use flowmeter_proto::v1::{CreateFlowRequest, CreateFlowResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::flows::insert_flow;

use super::{TenantCatalog, changed_or_error};
use crate::spec::fields::given;
use crate::{answer, spec};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: CreateFlowRequest,
) -> Result<CreateFlowResponse, ApiError> {
    let new = spec::flow::read(given("flow", request.flow)?)?;
    let changed = insert_flow(catalog.store, catalog.tenant, &new).await?;
    let stored = changed_or_error(changed, "flow", &new.flow_id)?;
    Ok(CreateFlowResponse { flow: Some(answer::flow::to_proto(&stored)) })
}
