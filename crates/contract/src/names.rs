//! Resource names: of tenants and their tokens, metrics, objects and time series.

use flowmeter_core::asset;
use flowmeter_core::ids::TenantId;
use flowmeter_core::violation::Violation;
use uuid::Uuid;

const TENANT_ID: &str =
    "expected 1 to 63 of a-z, 0-9 and -, beginning with a letter and not ending with a dash";

/// The id of the operator's own tenant in resource names. Elsewhere its id is empty.
const OPERATOR: &str = "-";

/// The name of a tenant, such as `acme`. Empty for the operator's own tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantName(String);

impl TenantName {
    /// Parses the name of a tenant in `field`.
    pub fn parse(field: &str, id: &str) -> Result<Self, Violation> {
        let fits = (1..=63).contains(&id.len())
            && id.starts_with(|c: char| c.is_ascii_lowercase())
            && !id.ends_with('-')
            && id.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if fits { Ok(Self(id.to_owned())) } else { Err(Violation::new(field, TENANT_ID)) }
    }

    /// Parses `tenants/{tenant}`.
    pub fn from_resource(field: &str, name: &str) -> Result<Self, Violation> {
        let id = name
            .strip_prefix("tenants/")
            .ok_or_else(|| Violation::new(field, "expected a name such as tenants/acme"))?;
        if id == OPERATOR { Ok(Self(String::new())) } else { Self::parse(field, id) }
    }

    /// The id under which the tenant is stored.
    #[must_use]
    pub fn id(&self) -> TenantId {
        if self.0.is_empty() { TenantId::OPERATOR } else { TenantId::named(&self.0) }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `tenants/{tenant}`, for a tenant name that is empty for the operator's own tenant.
#[must_use]
pub fn tenant_resource(tenant: &str) -> String {
    format!("tenants/{}", if tenant.is_empty() { OPERATOR } else { tenant })
}

/// The name of a metric: its provider, and its name within the provider. Asset metrics, with the provider
/// [`asset::PROVIDER`], have the names that their senders chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricName {
    /// The provider.
    pub provider: String,
    /// The name within the provider.
    pub name: String,
}

impl MetricName {
    /// Parses `provider/name`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let fits = |provider: &str, name: &str| match provider {
            asset::PROVIDER => asset::check_name(field, name).is_ok(),
            _ => is_label(provider) && is_label(name),
        };
        let parts = text.split_once('/').filter(|(provider, name)| fits(provider, name));
        let (provider, name) = parts.ok_or_else(|| {
            let text = "expected provider/name, such as ODSLRequest/ReadRequests, each of 1 to 63 letters, \
                        digits, _, - and .; or asset/name with a name of 1 to 512 bytes without control \
                        characters";
            Violation::new(field, text)
        })?;
        Ok(Self { provider: provider.to_owned(), name: name.to_owned() })
    }

    /// Whether it is an asset metric.
    #[must_use]
    pub fn is_of_assets(&self) -> bool {
        self.provider == asset::PROVIDER
    }

    /// `provider/name`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("{}/{}", self.provider, self.name)
    }
}

/// Checks a name of 1 to 63 letters, digits, `_`, `-` and `.`.
pub fn check_label(field: &str, text: &str) -> Result<(), Violation> {
    if is_label(text) {
        return Ok(());
    }
    Err(Violation::new(field, "expected 1 to 63 letters, digits, _, - and ."))
}

fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

/// The name of a time series and of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSeriesName {
    /// The object.
    pub object: String,
    /// The name within the object.
    pub name: String,
}

impl TimeSeriesName {
    /// Parses `objects/{object}/timeSeries/{time_series}`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Violation> {
        let parts = text.rsplit_once("/timeSeries/");
        let (object, name) = parts.filter(|(_, name)| is_label(name)).ok_or_else(|| {
            Violation::new(field, "expected a name such as objects/AAA/timeSeries/PROCESS_RUNS_HOURLY")
        })?;
        Ok(Self { object: parse_object(field, object)?, name: name.to_owned() })
    }
}

impl std::fmt::Display for TimeSeriesName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "objects/{}/timeSeries/{}", self.object, self.name)
    }
}

/// Parses `objects/{object}`.
pub fn parse_object(field: &str, name: &str) -> Result<String, Violation> {
    let object = name.strip_prefix("objects/").filter(|object| {
        (1..=255).contains(&object.len())
            && *object != "-"
            && !object.contains(|c: char| c == '/' || c.is_control())
    });
    object.map(ToOwned::to_owned).ok_or_else(|| {
        let text =
            "expected objects/ and 1 to 255 bytes without / and control characters, such as objects/AAA";
        Violation::new(field, text)
    })
}

/// `tenants/{tenant}/tokens/{token}`.
#[must_use]
pub fn token_resource(tenant: &str, token: Uuid) -> String {
    format!("{}/tokens/{token}", tenant_resource(tenant))
}

/// Parses `tenants/{tenant}/tokens/{token}`.
pub fn parse_token_resource(field: &str, name: &str) -> Result<(TenantName, Uuid), Violation> {
    let expected = || Violation::new(field, "expected a name such as tenants/acme/tokens/018f…");
    let (tenant, token) = name.split_once("/tokens/").ok_or_else(expected)?;
    let token = Uuid::try_parse(token).map_err(|_| expected())?;
    Ok((TenantName::from_resource(field, tenant)?, token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_parsed_as_they_are_written() {
        let metric = MetricName::parse("metric", "ODSLRequest/ReadRequests").unwrap();
        assert_eq!((metric.provider.as_str(), metric.name.as_str()), ("ODSLRequest", "ReadRequests"));
        for wrong in ["", "a", "/a", "a/", "a/b/c", "a/b c", "ä/b", &format!("a/{}", "b".repeat(64))] {
            assert_eq!(MetricName::parse("metric", wrong).unwrap_err().field, "metric", "{wrong}");
        }
        let metric = MetricName::parse("metric", "asset/rows / größe").unwrap();
        assert!(metric.is_of_assets());
        assert_eq!((metric.name.as_str(), metric.full().as_str()), ("rows / größe", "asset/rows / größe"));
        for wrong in ["asset", "asset/", "asset/a\nb", "Asset/a b", &format!("asset/{}", "b".repeat(513))] {
            assert_eq!(MetricName::parse("metric", wrong).unwrap_err().field, "metric", "{wrong}");
        }
        let series = TimeSeriesName::parse("name", "objects/#HENG x/timeSeries/READS").unwrap();
        assert_eq!((series.object.as_str(), series.name.as_str()), ("#HENG x", "READS"));
        for wrong in ["objects/AAA", "AAA/timeSeries/B", "objects//timeSeries/B", "objects/A/timeSeries/"] {
            assert!(TimeSeriesName::parse("name", wrong).is_err(), "{wrong}");
        }
        assert!(parse_object("parent", "objects/a\nb").is_err());
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_keeps_the_name(text in "(objects/|asset/)?[a-zA-Z0-9_./#-]{0,20}(/timeSeries/)?\\PC{0,9}") {
            if let Ok(name) = MetricName::parse("metric", &text) {
                prop_assert_eq!(name.full(), text.clone());
            }
            if let Ok(name) = TimeSeriesName::parse("name", &text) {
                prop_assert_eq!(name.to_string(), text.clone());
            }
            let _ = TenantName::from_resource("name", &text);
            let _ = parse_token_resource("name", &text);
        }
    }
}
