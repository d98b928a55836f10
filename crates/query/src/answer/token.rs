//! Encodes tokens, without their secrets.

use flowmeter_contract::names::token_resource;
use flowmeter_contract::time::to_proto as time_to_proto;
use flowmeter_proto::v1;
use flowmeter_service::auth::Scope;
use flowmeter_store::tokens::Token;

/// A token of a tenant.
pub fn to_proto(token: &Token, tenant: &str) -> v1::Token {
    let scopes = token.scopes.iter().filter_map(|name| Scope::named(name)).map(scope);
    v1::Token {
        name: token_resource(tenant, token.id),
        scopes: scopes.map(i32::from).collect(),
        create_time: Some(time_to_proto(token.created_at)),
        expire_time: token.expires_at.map(time_to_proto),
        revoke_time: token.revoked_at.map(time_to_proto),
        description: token.description.clone(),
    }
}

fn scope(scope: Scope) -> v1::Scope {
    match scope {
        Scope::Ingest => v1::Scope::Ingest,
        Scope::Query => v1::Scope::Query,
        Scope::Catalog => v1::Scope::Catalog,
        Scope::Admin => v1::Scope::Admin,
    }
}
