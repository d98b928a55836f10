//! Authentication and authorization of callers.
//!
//! A token is looked up in the database and then cached for a short time, so that a revoked token is rejected
//! everywhere within 30 s. While the database is unavailable, tokens that were looked up before are accepted.

use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::tokens::{FoundToken, Secret, find_token};
use flowmeter_store::{Store, StoreError};
use moka::future::Cache;
use tonic::metadata::MetadataMap;

use crate::error::{ApiError, Reason};

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Recording usage.
    Ingest,
    /// Reading data.
    Query,
    /// Editing definitions.
    Catalog,
    /// Managing tokens.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Query, Self::Catalog, Self::Admin];

    /// The name of the scope, as it is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Catalog => "catalog",
            Self::Admin => "admin",
        }
    }

    /// The scope with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant of its token.
    pub tenant: TenantId,
    /// The scopes of its token.
    pub scopes: Vec<Scope>,
    /// Whether the tenant keeps metric types of executions other than the six standard ones.
    pub allow_all_metric_types: bool,
}

/// A token that was looked up.
#[derive(Debug)]
pub(crate) struct Grant {
    caller: Caller,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

/// How long a token is accepted without another look-up: a third of the 30 s within which a revoked token
/// must be rejected, so that a slow look-up does not break the promise.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// How long a token is accepted while the database is unavailable.
const USABLE_FOR: Duration = Duration::from_hours(24);
/// How long to wait for the database if an earlier answer can be used instead.
const PATIENCE: Duration = Duration::from_secs(1);
/// The maximum number of cached tokens: a bound on memory, far more than an installation has.
const TOKENS: u64 = 10_000;

/// Decides whether a caller may call.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    /// The answers of the last seconds, including negative ones.
    fresh: Cache<Secret, Option<Arc<Grant>>>,
    /// The last answer about each token, for when the database is unavailable.
    usable: Cache<Secret, Arc<Grant>>,
}

impl Authenticator {
    /// An authenticator by the tokens in `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let fresh = Cache::builder().max_capacity(TOKENS).time_to_live(FRESH_FOR).build();
        let usable = Cache::builder().max_capacity(TOKENS).time_to_live(USABLE_FOR).build();
        Self { store, fresh, usable }
    }

    /// The caller, if its token has the scope.
    pub async fn authorize(&self, metadata: &MetadataMap, scope: Scope) -> Result<Caller, ApiError> {
        self.authorize_any(metadata, &[scope]).await
    }

    /// The caller, if its token has one of the scopes.
    pub async fn authorize_any(&self, metadata: &MetadataMap, scopes: &[Scope]) -> Result<Caller, ApiError> {
        let grant = self.authenticate(metadata).await?;
        if !scopes.iter().any(|scope| grant.caller.scopes.contains(scope)) {
            let names = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" or ");
            return Err(ApiError::new(Reason::ScopeMissing, format!("the token lacks the scope {names}")));
        }
        Ok(grant.caller.clone())
    }

    /// The caller's token, if it is valid.
    pub(crate) async fn authenticate(&self, metadata: &MetadataMap) -> Result<Arc<Grant>, ApiError> {
        let secret = secret(metadata)?;
        let looked_up = self.fresh.try_get_with(secret.clone(), self.look_up(&secret)).await;
        let grant = looked_up
            .map_err(|error| {
                tracing::warn!(%error, "cannot look up a token");
                ApiError::new(Reason::StoreUnavailable, "tokens cannot be looked up now; retry the call")
            })?
            .ok_or_else(|| ApiError::new(Reason::TokenInvalid, "the token is unknown or revoked"))?;
        if grant.revoked {
            return Err(ApiError::new(Reason::TokenInvalid, "the token is unknown or revoked"));
        }
        if grant.expires_at.is_some_and(|end| end <= Timestamp::now()) {
            return Err(ApiError::new(Reason::TokenExpired, "the token has expired"));
        }
        Ok(grant)
    }

    async fn look_up(&self, secret: &Secret) -> Result<Option<Arc<Grant>>, StoreError> {
        let known = self.usable.get(secret).await;
        let asking = find_token(&self.store, secret);
        let answer = match &known {
            None => asking.await,
            Some(_) => tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| {
                Err(StoreError::Unavailable(format!("no answer about a token within {PATIENCE:?}")))
            }),
        };
        match (answer, known) {
            (Ok(Some(FoundToken { token, allow_all_metric_types })), _) => {
                let grant = Arc::new(Grant {
                    caller: Caller {
                        tenant: token.tenant,
                        scopes: token.scopes.iter().filter_map(|name| Scope::named(name)).collect(),
                        allow_all_metric_types,
                    },
                    expires_at: token.expires_at,
                    revoked: token.revoked_at.is_some(),
                });
                self.usable.insert(secret.clone(), grant.clone()).await;
                Ok(Some(grant))
            }
            (Ok(None), _) => {
                self.usable.invalidate(secret).await;
                Ok(None)
            }
            (Err(error), Some(known)) if error.is_transient() => {
                tracing::warn!(%error, "the database is unavailable; a token that was looked up before is accepted");
                Ok(Some(known))
            }
            (Err(error), _) => Err(error),
        }
    }
}

fn secret(metadata: &MetadataMap) -> Result<Secret, ApiError> {
    let header = metadata.get("authorization").ok_or_else(|| {
        ApiError::new(Reason::TokenMissing, "expected the header authorization: Bearer <token>")
    })?;
    // RFC 9110: the case of the scheme does not matter.
    let (scheme, text) = header.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::new(Reason::TokenMissing, "expected the header authorization: Bearer <token>"));
    }
    Secret::parse(text.trim())
        .ok_or_else(|| ApiError::new(Reason::TokenInvalid, "the token is unknown or revoked"))
}
