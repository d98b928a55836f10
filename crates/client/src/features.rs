//! The features that the services support, from the build information of the query service.

use std::time::Duration;

use flowmeter_proto::v1::GetBuildInfoRequest;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::call::until_answered;
use crate::error::Error;
use crate::retry::Patience;

/// How long an answer is cached, so that an update of the service is noticed within this time.
const BELIEVED: Duration = Duration::from_mins(5);
/// How long no further request is sent after a request failed.
const UNANSWERED: Duration = Duration::from_secs(10);
/// The time limit of a request, without retries, so that reports do not wait for an unavailable query service.
const PATIENCE: Patience = Patience { call: Duration::from_secs(2), in_all: Duration::ZERO };

/// A client of the query service. The method requires no token.
pub(crate) struct Features {
    service: QueryServiceClient<Channel>,
    known: Mutex<Known>,
}

/// The last answer, and until when it is used. Without an answer, every feature is assumed to be supported; a service
/// that does not support it fails with `UNIMPLEMENTED`.
struct Known {
    until: Instant,
    features: Option<Vec<String>>,
}

impl Features {
    pub(crate) fn new(channel: Channel) -> Self {
        let known = Known { until: Instant::now(), features: None };
        Self { service: QueryServiceClient::new(channel), known: Mutex::new(known) }
    }

    /// Whether the service supports a feature.
    pub(crate) async fn has(&self, feature: &str) -> bool {
        let mut known = self.known.lock().await;
        if known.until <= Instant::now() {
            match self.ask().await {
                Ok(features) => {
                    *known = Known { until: Instant::now() + BELIEVED, features: Some(features) };
                }
                Err(error) => {
                    tracing::debug!(%error, "the query service did not return its features");
                    known.until = Instant::now() + UNANSWERED;
                }
            }
        }
        known.features.as_ref().is_none_or(|features| features.iter().any(|known| known == feature))
    }

    async fn ask(&self) -> Result<Vec<String>, Error> {
        let call = |request| {
            let mut service = self.service.clone();
            async move { service.get_build_info(request).await }
        };
        match until_answered(PATIENCE, Uuid::now_v7(), GetBuildInfoRequest {}, call).await {
            Ok(answer) => Ok(answer.features),
            // A service without this method supports no features.
            Err(error) if error.code() == Code::Unimplemented => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
