//! Tokens.

use flowmeter_contract::names::{TenantName, parse_token_resource, token_resource};
use flowmeter_contract::time::{from_proto, to_proto};
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::violation::Violation;
use flowmeter_proto::v1;
use flowmeter_proto::v1::{
    CreateTokenRequest, CreateTokenResponse, ListTokensRequest, ListTokensResponse, RevokeTokenRequest,
    RevokeTokenResponse,
};
use flowmeter_service::auth::{Caller, Scope};
use flowmeter_service::error::{ApiError, Reason};
use flowmeter_store::tenants::{Tenant, get_tenant};
use flowmeter_store::{Store, tokens};
use uuid::Uuid;

use super::may_manage;
use crate::page::{List, page_size};

/// Bytes of a description.
const MAX_DESCRIPTION: usize = 1024;

fn to_contract(token: &tokens::Token, tenant: &str) -> v1::Token {
    let scopes = token.scopes.iter().filter_map(|name| Scope::named(name)).map(scope_to_contract);
    v1::Token {
        name: token_resource(tenant, token.id),
        scopes: scopes.map(i32::from).collect(),
        create_time: Some(to_proto(token.created_at)),
        expire_time: token.expires_at.map(to_proto),
        revoke_time: token.revoked_at.map(to_proto),
        description: token.description.clone(),
    }
}

fn scope_to_contract(scope: Scope) -> v1::Scope {
    match scope {
        Scope::Ingest => v1::Scope::Ingest,
        Scope::Query => v1::Scope::Query,
        Scope::Catalog => v1::Scope::Catalog,
        Scope::Admin => v1::Scope::Admin,
    }
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

/// The tenant that a parent names, if it is one that the caller may manage.
async fn tenant(store: &Store, caller: &Caller, parent: &str) -> Result<(TenantId, Tenant), ApiError> {
    let id =
        if parent.is_empty() { caller.tenant } else { TenantName::from_resource("parent", parent)?.id() };
    let found = if may_manage(caller, id) { get_tenant(store, id).await? } else { None };
    Ok((id, found.ok_or_else(|| ApiError::not_found("tenant", parent))?))
}

pub(super) async fn create(
    store: &Store,
    caller: &Caller,
    request: CreateTokenRequest,
) -> Result<CreateTokenResponse, ApiError> {
    let (id, tenant) = tenant(store, caller, &request.parent).await?;
    let scopes = request.scopes.iter().enumerate().map(|(index, number)| read_scope(index, *number));
    let mut scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    scopes.sort_by_key(|scope| scope.name());
    scopes.dedup();
    if scopes.is_empty() {
        return Err(Violation::new("scopes", "expected one scope at least").into());
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
    if request.description.len() > MAX_DESCRIPTION || request.description.contains('\0') {
        return Err(
            Violation::new("description", "expected at most 1024 bytes without NUL characters").into()
        );
    }
    let names: Vec<_> = scopes.iter().map(|scope| scope.name().to_owned()).collect();
    let (token, secret) = tokens::insert_token(store, id, &names, expires_at, &request.description).await?;
    Ok(CreateTokenResponse {
        token: Some(to_contract(&token, &tenant.name)),
        secret: secret.reveal().to_owned(),
    })
}

pub(super) async fn list(
    store: &Store,
    caller: &Caller,
    request: ListTokensRequest,
) -> Result<ListTokensResponse, ApiError> {
    let (id, tenant) = tenant(store, caller, &request.parent).await?;
    let size = page_size(request.page_size)?;
    let list = List::new("ListTokens", &[&request.parent]);
    let after = match list.place(&request.page_token)? {
        None => Uuid::nil(),
        Some(place) => Uuid::from_slice(&place).map_err(|_| {
            ApiError::field(
                Reason::InvalidPageToken,
                "page_token",
                "expected a next_page_token as it was returned",
            )
        })?,
    };
    let mut found = tokens::list_tokens(store, id, after, size + 1).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    let next_page_token = last.map(|token| list.token(token.id.as_bytes())).unwrap_or_default();
    let tokens = found.iter().map(|token| to_contract(token, &tenant.name)).collect();
    Ok(ListTokensResponse { tokens, next_page_token })
}

pub(super) async fn revoke(
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
    Ok(RevokeTokenResponse { token: Some(to_contract(&token, tenant.as_str())) })
}
