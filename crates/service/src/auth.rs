//! Who calls, and what they may do.
//!
//! A token is looked up once and then believed for a while, so that a revoked one is
//! refused everywhere within 30 s, and the services go on for the tokens they know
//! while the database is away.

use std::sync::Arc;
use std::time::Duration;

use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_store::tokens::{Secret, find_token};
use flowmeter_store::{Store, StoreError};
use moka::future::Cache;
use tonic::metadata::MetadataMap;

use crate::error::{ApiError, Reason};

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Recording.
    Ingest,
    /// Reading.
    Query,
    /// Editing definitions.
    Catalog,
    /// Managing tokens.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Query, Self::Catalog, Self::Admin];

    /// The scope's name, as the store keeps it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Catalog => "catalog",
            Self::Admin => "admin",
        }
    }

    /// The scope of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For whom.
    pub tenant: TenantId,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// Whether the tenant keeps metric types of executions that are not among the permitted ones.
    pub allow_all_metric_types: bool,
}

/// A token as we remember it.
#[derive(Debug)]
pub(crate) struct Grant {
    caller: Caller,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

/// How long a token is believed: a third of the 30 s within which a revoked one must be
/// refused, so that a slow look-up does not break the promise.
const BELIEVED: Duration = Duration::from_secs(10);
/// How long a known token is good while the database cannot be asked.
const REMEMBERED: Duration = Duration::from_hours(24);
/// How long the database may take where there is something to fall back on.
const PATIENCE: Duration = Duration::from_secs(1);
/// Tokens remembered: a bound on memory, far above what an installation has.
const TOKENS: u64 = 10_000;

/// Decides who may call.
#[derive(Clone)]
pub struct Authenticator {
    store: Store,
    /// What the store said lately, also that there is no such token.
    believed: Cache<Secret, Option<Arc<Grant>>>,
    /// What it said at any time, for when it is away.
    remembered: Cache<Secret, Arc<Grant>>,
}

impl Authenticator {
    /// Decides by the tokens of that store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let believed = Cache::builder().max_capacity(TOKENS).time_to_live(BELIEVED).build();
        let remembered = Cache::builder().max_capacity(TOKENS).time_to_live(REMEMBERED).build();
        Self { store, believed, remembered }
    }

    /// The caller, if it may do what needs `scope`.
    pub async fn authorize(&self, metadata: &MetadataMap, scope: Scope) -> Result<Caller, ApiError> {
        self.authorize_any(metadata, &[scope]).await
    }

    /// The caller, if it may do what needs one of `scopes`.
    pub async fn authorize_any(&self, metadata: &MetadataMap, scopes: &[Scope]) -> Result<Caller, ApiError> {
        let grant = self.authenticate(metadata).await?;
        if !scopes.iter().any(|scope| grant.caller.scopes.contains(scope)) {
            let names = scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" or ");
            return Err(ApiError::new(Reason::ScopeMissing, format!("the token lacks the scope {names}")));
        }
        Ok(grant.caller.clone())
    }

    /// What the caller's token allows, if it is good.
    pub(crate) async fn authenticate(&self, metadata: &MetadataMap) -> Result<Arc<Grant>, ApiError> {
        let secret = secret(metadata)?;
        let looked_up = self.believed.try_get_with(secret.clone(), self.look_up(&secret)).await;
        let grant = looked_up
            .map_err(|error| {
                tracing::warn!(%error, "a token cannot be looked up");
                ApiError::new(Reason::StoreUnavailable, "tokens cannot be looked up now; repeat the call")
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
        let known = self.remembered.get(secret).await;
        let asking = find_token(&self.store, secret);
        let answer = match &known {
            None => asking.await,
            Some(_) => tokio::time::timeout(PATIENCE, asking)
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer about a token".into()))),
        };
        match (answer, known) {
            (Ok(Some((token, allow_all_metric_types))), _) => {
                let grant = Arc::new(Grant {
                    caller: Caller {
                        tenant: token.tenant,
                        scopes: token.scopes.iter().filter_map(|name| Scope::named(name)).collect(),
                        allow_all_metric_types,
                    },
                    expires_at: token.expires_at,
                    revoked: token.revoked_at.is_some(),
                });
                self.remembered.insert(secret.clone(), grant.clone()).await;
                Ok(Some(grant))
            }
            (Ok(None), _) => {
                self.remembered.invalidate(secret).await;
                Ok(None)
            }
            (Err(error), Some(known)) if error.is_transient() => {
                tracing::warn!(%error, "the store is away; a known token is believed");
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
    // RFC 9110: the scheme is read in any case.
    let (scheme, text) = header.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(ApiError::new(Reason::TokenMissing, "expected the header authorization: Bearer <token>"));
    }
    Secret::parse(text.trim())
        .ok_or_else(|| ApiError::new(Reason::TokenInvalid, "the token is unknown or revoked"))
}
