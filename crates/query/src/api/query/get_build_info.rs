//! `GetBuildInfo`: the build of this service. The method needs no token.

use flowmeter_proto::v1::GetBuildInfoResponse;

/// What this server offers, for clients that support several versions.
const FEATURES: [&str; 5] = ["usage", "catalog", "flows", "executions", "assets"];

pub(super) fn answer() -> GetBuildInfoResponse {
    GetBuildInfoResponse {
        service: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        // The build of the image sets the variable.
        commit: option_env!("FLOWMETER_COMMIT").unwrap_or_default().to_owned(),
        features: FEATURES.map(str::to_owned).to_vec(),
    }
}
