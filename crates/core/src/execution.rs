//! Executions of integrations: how their API calls can end. The types are those of the API execution
//! metrics of Cortex XSOAR.

/// The provider under which the calls of executions are events.
pub const PROVIDER: &str = "Executions";
/// Its metric: the calls.
pub const METRIC: &str = "ApiCalls";
/// By what calls are told apart. The type is the event's own field of that name.
pub const LABELS: [&str; 4] = ["integration", "instance", "command", "type"];

/// What any other type becomes.
const OTHER: &str = "GeneralError";
/// The types that are permitted by default.
const PERMITTED: [&str; 6] = [OTHER, "OutOfQuota", "AuthError", "ServiceError", "RetryTimeout", "Successful"];
/// Names of permitted types under which code reports them.
const ALIASES: [(&str, &str); 2] = [("QuotaError", "OutOfQuota"), ("TimeoutError", "RetryTimeout")];

/// The type under which calls of a reported type count.
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
    fn types_are_settled() {
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
