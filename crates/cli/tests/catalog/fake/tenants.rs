//! The one tenant, which can be seen and changed.

use flowmeter_proto::v1::{self as api, admin_service_server::AdminService};
use tonic::{Request, Response};

use super::{Answer, Fake, absent};

#[tonic::async_trait]
impl AdminService for Fake {
    async fn get_tenant(&self, _: Request<api::GetTenantRequest>) -> Answer<api::GetTenantResponse> {
        let tenant = Some(self.memory.lock().unwrap().tenant.clone());
        Ok(Response::new(api::GetTenantResponse { tenant }))
    }

    async fn list_tenants(&self, _: Request<api::ListTenantsRequest>) -> Answer<api::ListTenantsResponse> {
        let tenants = vec![self.memory.lock().unwrap().tenant.clone()];
        Ok(Response::new(api::ListTenantsResponse { tenants, next_page_token: String::new() }))
    }

    async fn update_tenant(
        &self,
        request: Request<api::UpdateTenantRequest>,
    ) -> Answer<api::UpdateTenantResponse> {
        let request = request.into_inner();
        let mut memory = self.memory.lock().unwrap();
        memory.masks.push(request.update_mask.unwrap().paths);
        memory.tenant = request.tenant.unwrap();
        Ok(Response::new(api::UpdateTenantResponse { tenant: Some(memory.tenant.clone()) }))
    }

    async fn create_tenant(&self, _: Request<api::CreateTenantRequest>) -> Answer<api::CreateTenantResponse> {
        absent()
    }

    async fn create_token(&self, _: Request<api::CreateTokenRequest>) -> Answer<api::CreateTokenResponse> {
        absent()
    }

    async fn list_tokens(&self, _: Request<api::ListTokensRequest>) -> Answer<api::ListTokensResponse> {
        absent()
    }

    async fn revoke_token(&self, _: Request<api::RevokeTokenRequest>) -> Answer<api::RevokeTokenResponse> {
        absent()
    }
}
