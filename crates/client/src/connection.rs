//! A connection to a service that carries the token.

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::error::SettingsError;
use crate::settings::ClientSettings;

/// A channel that adds the token to every call. It connects when the first call is made, and reconnects after the
/// connection broke.
pub type AuthorizedChannel = InterceptedService<Channel, Bearer>;

/// Adds the token to every call, if there is one.
#[derive(Debug, Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

impl ClientSettings {
    /// A channel to the service at the URL of these settings, for generated gRPC clients of any of Flowmeter's
    /// services. Timeouts and retries are up to the caller.
    ///
    /// # Panics
    /// Panics outside of a tokio runtime.
    pub fn authorized_channel(&self) -> Result<AuthorizedChannel, SettingsError> {
        let bearer = Bearer(self.authorization()?);
        Ok(InterceptedService::new(self.channel()?, bearer))
    }
}
