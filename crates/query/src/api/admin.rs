//! The methods of `AdminService`: tenants and tokens.

mod tenants;
mod tokens;

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
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tracing::Instrument;

use crate::api::traced;

/// The service.
pub struct Admin {
    pub store: Store,
    pub authenticator: Authenticator,
}

impl Admin {
    async fn caller(&self, metadata: &MetadataMap) -> Result<Caller, ApiError> {
        self.authenticator.authorize(metadata, Scope::Admin).await
    }
}

/// Whether a caller may manage a tenant: the operator all, others their own.
fn may_manage(caller: &Caller, tenant: TenantId) -> bool {
    caller.tenant == TenantId::OPERATOR || caller.tenant == tenant
}

macro_rules! methods {
    ($($method:ident $name:literal $handler:path, $request:ty => $response:ty;)*) => {
        #[tonic::async_trait]
        impl AdminService for Admin {
            $(async fn $method(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let (metadata, _, request) = request.into_parts();
                let handling = async {
                    let caller = self.caller(&metadata).await?;
                    $handler(&self.store, &caller, request).await
                };
                traced!($name, &metadata, handling)
            })*
        }
    };
}

methods! {
    create_tenant "CreateTenant" tenants::create, CreateTenantRequest => CreateTenantResponse;
    get_tenant "GetTenant" tenants::get, GetTenantRequest => GetTenantResponse;
    list_tenants "ListTenants" tenants::list, ListTenantsRequest => ListTenantsResponse;
    update_tenant "UpdateTenant" tenants::update, UpdateTenantRequest => UpdateTenantResponse;
    create_token "CreateToken" tokens::create, CreateTokenRequest => CreateTokenResponse;
    list_tokens "ListTokens" tokens::list, ListTokensRequest => ListTokensResponse;
    revoke_token "RevokeToken" tokens::revoke, RevokeTokenRequest => RevokeTokenResponse;
}
