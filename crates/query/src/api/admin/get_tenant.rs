//! `GetTenant`: one tenant.

use flowmeter_contract::names::TenantName;
use flowmeter_proto::v1::{GetTenantRequest, GetTenantResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::ApiError;
use flowmeter_store::{Store, tenants};

use super::may_manage;
use crate::answer;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: GetTenantRequest,
) -> Result<GetTenantResponse, ApiError> {
    let name = TenantName::from_resource("name", &request.name)?;
    let found =
        if may_manage(caller, name.id()) { tenants::get_tenant(store, name.id()).await? } else { None };
    let tenant = found.ok_or_else(|| ApiError::not_found("tenant", &request.name))?;
    Ok(GetTenantResponse { tenant: Some(answer::tenant::to_proto(&tenant)) })
}
