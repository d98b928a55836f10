//! Tenants.

use flowmeter_contract::names::{TenantName, tenant_resource};
use flowmeter_contract::time::to_proto;
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::{
    CreateTenantRequest, CreateTenantResponse, GetTenantRequest, GetTenantResponse, ListTenantsRequest,
    ListTenantsResponse, Tenant, UpdateTenantRequest, UpdateTenantResponse,
};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::{Store, StoreError, tenants};

use super::may_manage;
use crate::api::catalog::given;
use crate::page::{List, page_size};
use crate::spec::update_mask::Mask;

fn to_contract(tenant: &tenants::Tenant) -> Tenant {
    Tenant {
        name: tenant_resource(&tenant.name),
        create_time: Some(to_proto(tenant.created_at)),
        allow_all_metric_types: tenant.allow_all_metric_types,
    }
}

pub(super) async fn create(
    store: &Store,
    caller: &Caller,
    request: CreateTenantRequest,
) -> Result<CreateTenantResponse, ApiError> {
    if caller.tenant != TenantId::OPERATOR {
        return Err(ApiError::new(Reason::ScopeMissing, "only the operator's token creates tenants"));
    }
    let name = TenantName::parse("tenant_id", &request.tenant_id)?;
    match tenants::insert_tenant(store, name.id(), name.as_str()).await {
        Ok(tenant) => Ok(CreateTenantResponse { tenant: Some(to_contract(&tenant)) }),
        Err(StoreError::Duplicate) => {
            Err(ApiError::already_exists("tenant", &tenant_resource(name.as_str())))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn get(
    store: &Store,
    caller: &Caller,
    request: GetTenantRequest,
) -> Result<GetTenantResponse, ApiError> {
    let name = TenantName::from_resource("name", &request.name)?;
    let found =
        if may_manage(caller, name.id()) { tenants::get_tenant(store, name.id()).await? } else { None };
    let tenant = found.ok_or_else(|| ApiError::not_found("tenant", &request.name))?;
    Ok(GetTenantResponse { tenant: Some(to_contract(&tenant)) })
}

pub(super) async fn update(
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
    Ok(UpdateTenantResponse { tenant: Some(to_contract(&updated)) })
}

pub(super) async fn list(
    store: &Store,
    caller: &Caller,
    request: ListTenantsRequest,
) -> Result<ListTenantsResponse, ApiError> {
    let size = page_size(request.page_size)?;
    let list = List::new("ListTenants", &[]);
    let after = list.place(&request.page_token)?.unwrap_or_default();
    let after = String::from_utf8_lossy(&after);
    if caller.tenant != TenantId::OPERATOR {
        let own = tenants::get_tenant(store, caller.tenant).await?;
        return Ok(ListTenantsResponse {
            tenants: own.iter().map(to_contract).collect(),
            next_page_token: String::new(),
        });
    }
    let mut found = tenants::list_tenants(store, &after, size + 1).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    let next_page_token = last.map(|tenant| list.token(tenant.name.as_bytes())).unwrap_or_default();
    Ok(ListTenantsResponse { tenants: found.iter().map(to_contract).collect(), next_page_token })
}
