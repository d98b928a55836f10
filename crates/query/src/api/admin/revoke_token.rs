//! `RevokeToken`: makes a token invalid.

use flowmeter_contract::names::parse_token_resource;
use flowmeter_proto::v1::{RevokeTokenRequest, RevokeTokenResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::ApiError;
use flowmeter_store::{Store, tokens};

use super::may_manage;
use crate::answer;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: RevokeTokenRequest,
) -> Result<RevokeTokenResponse, ApiError> {
    let (tenant, token) = parse_token_resource("name", &request.name)?;
    let revoked = if may_manage(caller, tenant.id()) {
        tokens::revoke_token(store, tenant.id(), token).await?
    } else {
        None
    };
    let token = revoked.ok_or_else(|| ApiError::not_found("token", &request.name))?;
    Ok(RevokeTokenResponse { token: Some(answer::token::to_proto(&token, tenant.as_str())) })
}
