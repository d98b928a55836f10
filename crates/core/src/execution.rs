//! Executions of integrations: the types of results of their API calls. The types are those of the API execution
//! metrics of Cortex XSOAR.

/// The provider of the events that record the calls of executions.
pub const PROVIDER: &str = "Executions";
/// The metric that counts the calls.
pub const METRIC: &str = "ApiCalls";
/// The labels of a call. `type` is the field of events with this name.
pub const LABELS: [&str; 4] = ["integration", "instance", "command", "type"];

/// The type that replaces all types other than the standard ones.
const OTHER: &str = "GeneralError";
/// The six standard types, which every tenant keeps.
const PERMITTED: [&str; 6] = [OTHER, "OutOfQuota", "AuthError", "ServiceError", "RetryTimeout", "Successful"];
/// Other names under which standard types are reported.
const ALIASES: [(&str, &str); 2] = [("QuotaError", "OutOfQuota"), ("TimeoutError", "RetryTimeout")];

/// The type under which calls of a reported type are counted.
#[must_use]
pub fn settled_type(reported: &str, allow_all: bool) -> &str {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == reported);
    match alias {
        Some((_, name)) => name,
        None if allow_all || PERMITTED.contains(&reported) => reported,
        None => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reported_types_are_mapped_to_counted_types() {
        let both = |reported| (settled_type(reported, false), settled_type(reported, true));
        for permitted in PERMITTED {
            assert_eq!(both(permitted), (permitted, permitted));
        }
        assert_eq!(both("QuotaError"), ("OutOfQuota", "OutOfQuota"));
        assert_eq!(both("TimeoutError"), ("RetryTimeout", "RetryTimeout"));
        for other in ["ConnectionError", "ProxyError", "SSLError", "RetryError", "successful", "x"] {
            assert_eq!(both(other), ("GeneralError", other));
        }
    }
}
