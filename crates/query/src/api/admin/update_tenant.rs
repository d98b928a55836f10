//! `UpdateTenant`: changes settings of a tenant.

use flowmeter_contract::names::TenantName;
use flowmeter_proto::v1::{UpdateTenantRequest, UpdateTenantResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::ApiError;
use flowmeter_store::{Store, tenants};

use super::may_manage;
use crate::answer;
use crate::spec::fields::given;
use crate::spec::update_mask::Mask;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: UpdateTenantRequest,
) -> Result<UpdateTenantResponse, ApiError> {
    let new = given("tenant", request.tenant)?;
    let mask = Mask::read(request.update_mask, &["allow_all_metric_types"])?;
    let name = TenantName::from_resource("tenant.name", &new.name)?;
    let not_found = || ApiError::not_found("tenant", &new.name);
    if !may_manage(caller, name.id()) {
        return Err(not_found());
    }
    let current = tenants::get_tenant(store, name.id()).await?.ok_or_else(not_found)?;
    let mut allow_all = current.allow_all_metric_types;
    mask.take("allow_all_metric_types", &mut allow_all, new.allow_all_metric_types);
    let updated = tenants::update_tenant(store, name.id(), allow_all).await?.ok_or_else(not_found)?;
    Ok(UpdateTenantResponse { tenant: Some(answer::tenant::to_proto(&updated)) })
}
