//! `CreateTenant`: creates a tenant.

use flowmeter_contract::names::{TenantName, tenant_resource};
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::{CreateTenantRequest, CreateTenantResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::{Store, StoreError, tenants};

use crate::answer;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: CreateTenantRequest,
) -> Result<CreateTenantResponse, ApiError> {
    if caller.tenant != TenantId::OPERATOR {
        return Err(ApiError::new(Reason::ScopeMissing, "only a token of the operator can create tenants"));
    }
    let name = TenantName::parse("tenant_id", &request.tenant_id)?;
    match tenants::insert_tenant(store, name.id(), name.as_str()).await {
        Ok(tenant) => Ok(CreateTenantResponse { tenant: Some(answer::tenant::to_proto(&tenant)) }),
        Err(StoreError::Duplicate(_)) => {
            Err(ApiError::already_exists("tenant", &tenant_resource(name.as_str())))
        }
        Err(error) => Err(error.into()),
    }
}
