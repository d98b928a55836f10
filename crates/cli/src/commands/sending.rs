//! Sends requests to the ingest service with retries, and prints the rejections.

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

/// The maximum time for retries of a request. It is short, because a person is waiting.
const IN_ALL: Duration = Duration::from_secs(20);

/// Sends requests that have an id, so that retries are safe.
pub(super) struct Sender {
    client: IngestServiceClient<Authorized>,
    patience: Patience,
}

impl Sender {
    pub(super) fn new(remote: &Remote) -> Result<Self> {
        let patience = Patience { call: remote.timeout, in_all: IN_ALL };
        Ok(Self { client: connection::ingest(remote)?, patience })
    }

    /// Calls the method with this request, and retries if that can help. Prints each failure.
    pub(super) async fn send<M: Clone, T>(
        &self,
        request: &M,
        method: impl AsyncFn(IngestServiceClient<Authorized>, Request<M>) -> Result<Response<T>, Status>,
    ) -> Result<T, Status> {
        let report = |status: &_| eprintln!("trying again: {}", failure::name_status(status));
        let call = || {
            let request = request.clone();
            connection::within(self.patience.call, request, |request| method(self.client.clone(), request))
        };
        connection::repeat(self.patience.in_all, call, report).await
    }
}

/// Prints the rejections, and returns the exit code of the command.
pub(super) fn outcome(rejections: &[Rejection]) -> ExitCode {
    for rejection in rejections {
        eprintln!("rejected: {}", printable(&delivery::describe(rejection)));
    }
    if rejections.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) }
}
