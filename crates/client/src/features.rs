//! What the service can do, as it says itself.

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

/// How long an answer is believed: an update of the service is noticed soon enough.
const BELIEVED: Duration = Duration::from_mins(5);
/// How long nobody asks again after there was no answer.
const UNANSWERED: Duration = Duration::from_secs(10);
/// How long an answer may take. It is asked once: reports do not wait for a query service that is away.
const PATIENCE: Patience = Patience { call: Duration::from_secs(2), in_all: Duration::ZERO };

/// Asks the query service, which needs no token for it.
pub(crate) struct Features {
    service: QueryServiceClient<Channel>,
    known: Mutex<Known>,
}

/// What was answered last, and until when that is believed. None: nothing was, and then every feature is
/// taken to be there; a service without it says so itself.
struct Known {
    until: Instant,
    features: Option<Vec<String>>,
}

impl Features {
    pub(crate) fn new(channel: Channel) -> Self {
        let known = Known { until: Instant::now(), features: None };
        Self { service: QueryServiceClient::new(channel), known: Mutex::new(known) }
    }

    /// Whether the service has a feature.
    pub(crate) async fn has(&self, feature: &str) -> bool {
        let mut known = self.known.lock().await;
        if known.until <= Instant::now() {
            match self.ask().await {
                Ok(features) => {
                    *known = Known { until: Instant::now() + BELIEVED, features: Some(features) };
                }
                Err(error) => {
                    tracing::debug!(%error, "the service does not say what it can do");
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
            // One that does not even tell has none.
            Err(error) if error.code() == Code::Unimplemented => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}
