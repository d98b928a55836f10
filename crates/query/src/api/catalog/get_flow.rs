//! `GetFlow`: one flow.

use flowmeter_proto::v1::{GetFlowRequest, GetFlowResponse};
use flowmeter_service::error::ApiError;

use super::TenantCatalog;
use crate::{answer, resolve};

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: GetFlowRequest,
) -> Result<GetFlowResponse, ApiError> {
    let found = resolve::flow(catalog.store, catalog.tenant, "id", &request.id).await?;
    Ok(GetFlowResponse { flow: Some(answer::flow::to_proto(&found)) })
}
