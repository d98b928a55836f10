//! What the service can do, as it says itself.

use std::time::Duration;

use flowmeter_proto::v1::GetBuildInfoRequest;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::error::Error;
use crate::retry::{Patience, repeat};

/// How long an answer is believed: an update of the service is noticed soon enough.
const BELIEVED: Duration = Duration::from_mins(5);

/// Asks the query service, which needs no token for it.
pub(crate) struct Features {
    service: QueryServiceClient<Channel>,
    known: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Features {
    pub(crate) fn new(channel: Channel) -> Self {
        Self { service: QueryServiceClient::new(channel), known: Mutex::default() }
    }

    /// Whether the service has a feature.
    pub(crate) async fn has(&self, feature: &str, patience: Patience) -> Result<bool, Error> {
        let mut known = self.known.lock().await;
        let features = match known.take() {
            Some((since, features)) if since.elapsed() < BELIEVED => (since, features),
            _ => {
                let call = |request| {
                    let mut service = self.service.clone();
                    async move { service.get_build_info(request).await }
                };
                let answer = repeat(patience, Uuid::now_v7(), GetBuildInfoRequest {}, call).await?;
                (Instant::now(), answer.features)
            }
        };
        let has = features.1.iter().any(|known| known == feature);
        *known = Some(features);
        Ok(has)
    }
}
