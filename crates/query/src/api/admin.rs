//! `AdminService`: tenants and tokens. One file for each method.

mod create_tenant;
mod create_token;
mod get_tenant;
mod list_tenants;
mod list_tokens;
mod revoke_token;
mod update_tenant;

use flowmeter_contract::names::TenantName;
use flowmeter_core::ids::TenantId;
use flowmeter_proto::v1::admin_service_server::AdminService;
use flowmeter_proto::v1::{
    CreateTenantRequest, CreateTenantResponse, CreateTokenRequest, CreateTokenResponse, GetTenantRequest,
    GetTenantResponse, ListTenantsRequest, ListTenantsResponse, ListTokensRequest, ListTokensResponse,
    RevokeTokenRequest, RevokeTokenResponse, UpdateTenantRequest, UpdateTenantResponse,
};
use flowmeter_service::auth::{Authenticator, Caller, Scope};
use flowmeter_service::error::ApiError;
use flowmeter_service::telemetry;
use flowmeter_store::Store;
use flowmeter_store::tenants::{Tenant, get_tenant};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::traced;

/// The service.
pub struct AdminApi {
    pub store: Store,
    pub authenticator: Authenticator,
}

impl AdminApi {
    async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, ApiError> {
        self.authenticator.authorize(metadata, Scope::Admin).await
    }
}

/// Whether a caller may manage a tenant. The operator manages all tenants, and others manage their own.
fn may_manage(caller: &Caller, tenant: TenantId) -> bool {
    caller.tenant == TenantId::OPERATOR || caller.tenant == tenant
}

macro_rules! methods {
    ($($method:ident $name:literal, $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl AdminService for AdminApi {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, request) = request.into_parts();
                let handling = async {
                    let caller = self.caller(&metadata).await?;
                    $method::handle(&self.store, &caller, request).await
                };
                traced!($name, &metadata, handling)
            })*
        }
    };
}

methods! {
    create_tenant "CreateTenant", CreateTenantRequest => CreateTenantResponse;
    get_tenant "GetTenant", GetTenantRequest => GetTenantResponse;
    list_tenants "ListTenants", ListTenantsRequest => ListTenantsResponse;
    update_tenant "UpdateTenant", UpdateTenantRequest => UpdateTenantResponse;
    create_token "CreateToken", CreateTokenRequest => CreateTokenResponse;
    list_tokens "ListTokens", ListTokensRequest => ListTokensResponse;
    revoke_token "RevokeToken", RevokeTokenRequest => RevokeTokenResponse;
}

/// The tenant that `parent` names, which the caller must be allowed to manage. An empty text names the tenant of the
/// caller.
async fn parent_tenant(store: &Store, caller: &Caller, parent: &str) -> Result<(TenantId, Tenant), ApiError> {
    let id =
        if parent.is_empty() { caller.tenant } else { TenantName::from_resource("parent", parent)?.id() };
    let found = if may_manage(caller, id) { get_tenant(store, id).await? } else { None };
    Ok((id, found.ok_or_else(|| ApiError::not_found("tenant", parent))?))
}
