//! `ListTenants`: all tenants for the operator, and for others their own.

use flowmeter_contract::names::TenantName;
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::{ListTenantsRequest, ListTenantsResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::ApiError;
use flowmeter_store::{Store, tenants};

use crate::answer;
use crate::page::Page;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: ListTenantsRequest,
) -> Result<ListTenantsResponse, ApiError> {
    let page = Page::read("ListTenants", &[], request.page_size, &request.page_token)?;
    let after = page.after_text(|name| TenantName::parse("name", name).is_ok())?.unwrap_or_default();
    let mut found = match caller.tenant {
        TenantId::OPERATOR => tenants::list_tenants(store, &after, page.limit()).await?,
        own => tenants::get_tenant(store, own).await?.into_iter().collect(),
    };
    let next_page_token = page.cut(&mut found, |last| last.name.clone());
    let tenants = found.iter().map(answer::tenant::to_proto).collect();
    Ok(ListTenantsResponse { tenants, next_page_token })
}
