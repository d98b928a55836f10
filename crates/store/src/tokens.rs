//! API tokens. Only a hash of the secret is stored. The secret contains the ids of its tenant and token, so
//! it is found by a single look-up by key.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use sha2::{Digest, Sha256};
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::{Store, StoreError};

/// The prefix of every secret, by which scanners for leaked secrets can recognise it.
const PREFIX: &str = "fm_";
/// The number of random bytes in a secret.
const RANDOM_BYTES: usize = 24;

/// The secret of a token, as a client sends it. It is never logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret {
    text: String,
    tenant: TenantId,
    token: Uuid,
}

impl Secret {
    fn generate(tenant: TenantId, token: Uuid) -> Self {
        let random: [u8; RANDOM_BYTES] = rand::random();
        let bytes = [tenant.0.as_bytes(), token.as_bytes(), &random[..]].concat();
        Self { text: format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)), tenant, token }
    }

    /// Parses a secret. None if the text does not have the form of a secret.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
        let bytes: [u8; 32 + RANDOM_BYTES] = bytes.try_into().ok()?;
        let uuid = |from: usize| Uuid::from_slice(&bytes[from..from + 16]).expect("16 bytes");
        Some(Self { text: text.to_owned(), tenant: TenantId(uuid(0)), token: uuid(16) })
    }

    /// The text that a client sends.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    fn hash(&self) -> Vec<u8> {
        Sha256::digest(self.text.as_bytes()).to_vec()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret(token {})", self.token)
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// The tenant that it belongs to.
    pub tenant: TenantId,
    /// Its id.
    pub id: Uuid,
    /// The names of its scopes.
    pub scopes: Vec<String>,
    /// A description of its purpose.
    pub description: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

const COLUMNS: &str = "tenant_id, token_id, scopes, description, created_at, expires_at, revoked_at";

fn read(row: &tokio_postgres::Row) -> Token {
    let time = |index| row.get::<_, Option<SystemTime>>(index).map(Timestamp::from);
    Token {
        tenant: TenantId(row.get(0)),
        id: row.get(1),
        scopes: row.get(2),
        description: row.get(3),
        created_at: Timestamp::from(row.get::<_, SystemTime>(4)),
        expires_at: time(5),
        revoked_at: time(6),
    }
}

/// Creates a token for a tenant that exists.
pub async fn insert_token(
    store: &Store,
    tenant: TenantId,
    scopes: &[String],
    expires_at: Option<Timestamp>,
    description: &str,
) -> Result<(Token, Secret), StoreError> {
    let secret = Secret::generate(tenant, Uuid::now_v7());
    let client = store.client().await?;
    let row = client
        .query_one(
            &format!(
                "-- insert_token
                 INSERT INTO api_token (tenant_id, token_id, token_hash, scopes, description, expires_at)
                 VALUES ($1, $2, $3, $4, $5, $6) RETURNING {COLUMNS}"
            ),
            &[
                &tenant.0,
                &secret.token,
                &secret.hash(),
                &scopes,
                &description,
                &expires_at.map(SystemTime::from),
            ],
        )
        .await?;
    Ok((read(&row), secret))
}

/// A token that was found by its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundToken {
    /// The token, which may have expired or been revoked.
    pub token: Token,
    /// Whether executions of its tenant keep metric types other than the six standard ones.
    pub allow_all_metric_types: bool,
}

/// Finds the token with this secret, even if it has expired or been revoked.
pub async fn find_token(store: &Store, secret: &Secret) -> Result<Option<FoundToken>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            &format!(
                "-- find_token
                 SELECT {COLUMNS},
                        (SELECT allow_all_metric_types FROM tenant WHERE tenant.tenant_id = api_token.tenant_id)
                 FROM api_token WHERE tenant_id = $1 AND token_id = $2 AND token_hash = $3"
            ),
            &[(&secret.tenant.0, Type::UUID), (&secret.token, Type::UUID), (&secret.hash(), Type::BYTEA)],
        )
        .await?;
    Ok(rows.first().map(|row| FoundToken { token: read(row), allow_all_metric_types: row.get(7) }))
}

/// Lists the tokens of a tenant, oldest first, beginning after `after`.
pub async fn list_tokens(
    store: &Store,
    tenant: TenantId,
    after: Uuid,
    limit: i64,
) -> Result<Vec<Token>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query_typed(
            &format!(
                "-- list_tokens
                 SELECT {COLUMNS} FROM api_token
                 WHERE tenant_id = $1 AND token_id > $2 ORDER BY token_id LIMIT $3"
            ),
            &[(&tenant.0, Type::UUID), (&after, Type::UUID), (&limit, Type::INT8)],
        )
        .await?;
    Ok(rows.iter().map(read).collect())
}

/// Revokes a token. Revoking it again changes nothing. None if there is no such token.
pub async fn revoke_token(store: &Store, tenant: TenantId, id: Uuid) -> Result<Option<Token>, StoreError> {
    let client = store.client().await?;
    let rows = client
        .query(
            &format!(
                "-- revoke_token
                 UPDATE api_token SET revoked_at = coalesce(revoked_at, now())
                 WHERE tenant_id = $1 AND token_id = $2 RETURNING {COLUMNS}"
            ),
            &[&tenant.0, &id],
        )
        .await?;
    Ok(rows.first().map(read))
}

/// Creates a token of the operator, and the operator's tenant if it does not exist.
pub async fn bootstrap(store: &Store) -> Result<Secret, StoreError> {
    let client = store.client().await?;
    client
        .execute(
            "-- bootstrap\nINSERT INTO tenant VALUES ($1, '') ON CONFLICT DO NOTHING",
            &[&TenantId::OPERATOR.0],
        )
        .await?;
    drop(client);
    let (_, secret) =
        insert_token(store, TenantId::OPERATOR, &["admin".to_owned()], None, "operator").await?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_contains_its_key_and_is_not_printed() {
        let (tenant, token) = (TenantId(Uuid::from_u128(1)), Uuid::from_u128(2));
        let secret = Secret::generate(tenant, token);
        assert_eq!(Secret::parse(secret.reveal()), Some(secret.clone()));
        assert_eq!((secret.tenant, secret.token), (tenant, token));
        assert_eq!(format!("{secret:?}"), "Secret(token 00000000-0000-0000-0000-000000000002)");
        for text in ["", "fm_", "fm_abc", "bearer", &secret.reveal()[..70]] {
            assert_eq!(Secret::parse(text), None, "{text}");
        }
    }
}
