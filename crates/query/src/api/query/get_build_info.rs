//! `GetBuildInfo`: what this service was built from. Needs no token.

use flowmeter_proto::v1::GetBuildInfoResponse;

/// What this server can do, for clients that adapt to it.
const FEATURES: [&str; 5] = ["usage", "catalog", "flows", "executions", "assets"];

pub(super) fn answer() -> GetBuildInfoResponse {
    GetBuildInfoResponse {
        service: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // Set by the build that makes the image.
        commit: option_env!("FLOWMETER_COMMIT").unwrap_or_default().to_owned(),
        features: FEATURES.map(str::to_owned).to_vec(),
    }
}
