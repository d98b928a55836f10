//! Resource names: `tenants/{tenant}` and what is below it.

use flowmeter_core::ids::TenantId;
use flowmeter_core::violation::Violation;
use uuid::Uuid;

const TENANT_ID: &str =
    "expected 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending with a dash";

/// How the operator's own tenant, whose name is empty, stands in a resource name.
const OPERATOR: &str = "-";

/// The id of a tenant as its users know it, such as `acme`; empty for the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantName(String);

impl TenantName {
    /// Reads the plain id, which stands in `field`.
    pub fn parse(field: &str, id: &str) -> Result<Self, Violation> {
        let fits = (1..=63).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-')
            && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(id.to_owned())) } else { Err(Violation::new(field, TENANT_ID)) }
    }

    /// Reads `tenants/{tenant}`.
    pub fn from_resource(field: &str, name: &str) -> Result<Self, Violation> {
        let id = name
            .strip_prefix("tenants/")
            .ok_or_else(|| Violation::new(field, "expected a name such as tenants/acme"))?;
        if id == OPERATOR { Ok(Self(String::new())) } else { Self::parse(field, id) }
    }

    /// The id by which the tenant is kept.
    #[must_use]
    pub fn id(&self) -> TenantId {
        if self.0.is_empty() { TenantId::OPERATOR } else { TenantId::named(&self.0) }
    }

    /// The plain id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `tenants/{tenant}`; the operator's own tenant has an empty id.
#[must_use]
pub fn tenant_resource(tenant: &str) -> String {
    format!("tenants/{}", if tenant.is_empty() { OPERATOR } else { tenant })
}

/// `tenants/{tenant}/tokens/{token}`.
#[must_use]
pub fn token_resource(tenant: &str, token: Uuid) -> String {
    format!("{}/tokens/{token}", tenant_resource(tenant))
}

/// Reads `tenants/{tenant}/tokens/{token}`.
pub fn parse_token_resource(field: &str, name: &str) -> Result<(TenantName, Uuid), Violation> {
    let expected = || Violation::new(field, "expected a name such as tenants/acme/tokens/018f…");
    let (tenant, token) = name.split_once("/tokens/").ok_or_else(expected)?;
    let token = Uuid::try_parse(token).map_err(|_| expected())?;
    Ok((TenantName::from_resource(field, tenant)?, token))
}
