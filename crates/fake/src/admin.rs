//! The admin service: one tenant, which can be read and changed.

use flowmeter_proto::v1::{self as api, admin_service_server::AdminService};
use tonic::{Request, Response};

use crate::{Answer, Service, unimplemented};

#[tonic::async_trait]
impl AdminService for Service {
    async fn get_tenant(&self, _: Request<api::GetTenantRequest>) -> Answer<api::GetTenantResponse> {
        let tenant = Some(self.0.contents().tenant.clone());
        Ok(Response::new(api::GetTenantResponse { tenant }))
    }

    async fn list_tenants(&self, _: Request<api::ListTenantsRequest>) -> Answer<api::ListTenantsResponse> {
        let tenants = vec![self.0.contents().tenant.clone()];
        Ok(Response::new(api::ListTenantsResponse { tenants, next_page_token: String::new() }))
    }

    async fn update_tenant(
        &self,
        request: Request<api::UpdateTenantRequest>,
    ) -> Answer<api::UpdateTenantResponse> {
        let request = request.into_inner();
        let mut contents = self.0.contents();
        contents.masks.push(request.update_mask.unwrap().paths);
        contents.tenant = request.tenant.unwrap();
        Ok(Response::new(api::UpdateTenantResponse { tenant: Some(contents.tenant.clone()) }))
    }

    async fn create_tenant(&self, _: Request<api::CreateTenantRequest>) -> Answer<api::CreateTenantResponse> {
        unimplemented()
    }

    async fn create_token(&self, _: Request<api::CreateTokenRequest>) -> Answer<api::CreateTokenResponse> {
        unimplemented()
    }

    async fn list_tokens(&self, _: Request<api::ListTokensRequest>) -> Answer<api::ListTokensResponse> {
        unimplemented()
    }

    async fn revoke_token(&self, _: Request<api::RevokeTokenRequest>) -> Answer<api::RevokeTokenResponse> {
        unimplemented()
    }
}
