//! Requests from the command line to the ingest service: each is sent until the service has it, and
//! what was not accepted is told.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use flowmeter_proto::v1::{Rejection, ingest_service_client::IngestServiceClient};
use tonic::{Request, Response, Status};

use super::INCOMPLETE;
use crate::{
    arguments::Remote,
    connection::{self, Authorized, Patience},
    failure,
    render::text::printable,
    replay::delivery,
};

/// How long one request is tried: someone is waiting for the prompt.
const IN_ALL: Duration = Duration::from_secs(20);

/// Sends requests that carry an id each, so that a repetition does no harm.
pub(super) struct Sender {
    client: IngestServiceClient<Authorized>,
    patience: Patience,
}

impl Sender {
    pub(super) fn new(remote: &Remote) -> Result<Self> {
        let patience = Patience { call: remote.timeout, in_all: IN_ALL };
        Ok(Self { client: connection::ingest(remote)?, patience })
    }

    /// Calls the method with this request, and again where that can help. Tells each time what failed.
    pub(super) async fn send<M: Clone, T>(
        &self,
        request: &M,
        method: impl AsyncFn(IngestServiceClient<Authorized>, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let told = |status: &_| eprintln!("trying again: {}", failure::name_status(status));
        let call = || {
            let request = request.clone();
            connection::within(self.patience.call, request, |request| method(self.client.clone(), request))
        };
        connection::repeat(self.patience.in_all, call, told).await
    }
}

/// Says why each of these was not accepted. Returns the exit code of the command.
pub(super) fn outcome(rejections: &[Rejection]) -> ExitCode {
    for rejection in rejections {
        eprintln!("rejected: {}", printable(&delivery::describe(rejection)));
    }
    if rejections.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) }
}
