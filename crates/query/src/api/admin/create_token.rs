//! `CreateToken`: creates a token of a tenant. Its secret is shown once.

use flowmeter_contract::time::from_proto;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1::{self, CreateTokenRequest, CreateTokenResponse};
use flowmeter_service::auth::{Caller, Scope};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::{Store, tokens};

use super::parent_tenant;
use crate::answer;

/// Bytes of a description.
const MAX_DESCRIPTION_BYTES: usize = 1024;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: CreateTokenRequest,
) -> Result<CreateTokenResponse, ApiError> {
    let (id, tenant) = parent_tenant(store, caller, &request.parent).await?;
    let scopes = request.scopes.iter().enumerate().map(|(index, number)| read_scope(index, *number));
    let mut scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    scopes.sort_by_key(|scope| scope.name());
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Violation::new("scopes", "expected at least one scope").into());
    }
    if caller.tenant != TenantId::OPERATOR
        && let Some(scope) = scopes.iter().find(|scope| !caller.scopes.contains(scope))
    {
        let text = format!("the caller's token lacks the scope {} and cannot give it", scope.name());
        return Err(ApiError::new(Reason::ScopeMissing, text));
    }
    let expires_at = match &request.expire_time {
        None => None,
        Some(time) => Some(
            from_proto(time)
                .filter(|time| *time > Timestamp::now())
                .ok_or_else(|| Violation::new("expire_time", "expected a time in the future"))?,
        ),
    };
    if request.description.len() > MAX_DESCRIPTION_BYTES || request.description.contains('\0') {
        return Err(
            Violation::new("description", "expected at most 1024 bytes without NUL characters").into()
        );
    }
    let names: Vec<_> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    let (token, secret) = tokens::insert_token(store, id, &names, expires_at, &request.description).await?;
    Ok(CreateTokenResponse {
        token: Some(answer::token::to_proto(&token, &tenant.name)),
        secret: secret.reveal().to_owned(),
    })
}

fn read_scope(index: usize, number: i32) -> Result<Scope, Violation> {
    match v1::Scope::try_from(number) {
        Ok(v1::Scope::Ingest) => Ok(Scope::Ingest),
        Ok(v1::Scope::Query) => Ok(Scope::Query),
        Ok(v1::Scope::Catalog) => Ok(Scope::Catalog),
        Ok(v1::Scope::Admin) => Ok(Scope::Admin),
        Ok(v1::Scope::Unspecified) | Err(_) => Err(Violation::new(
            format!("scopes[{index}]"),
            format!("expected SCOPE_INGEST, _QUERY, _CATALOG or _ADMIN, found {number}"),
        )),
    }
}
