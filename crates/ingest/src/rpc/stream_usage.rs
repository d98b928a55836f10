//! `StreamUsage`: batches over one stream, one answer each, in order.

use std::pin::Pin;
use std::sync::Arc;

use flowmeter_proto::raw::{StreamUsageRequest, StreamUsageResponse};
use flowmeter_service::{error, telemetry};
use futures::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::accept::usage::UsageBatch;
use crate::recorder::{Recorded, Recorder};

/// The answers, in the order of the requests.
pub type Answers = Pin<Box<dyn Stream<Item = Result<StreamUsageResponse, Status>> + Send>>;

/// Batches of one stream that may wait for the broker at the same time. The next is not
/// read before one of them is answered, so a fast sender is held back.
const WINDOW: usize = 16;

pub(super) fn handle(
    recorder: Arc<Recorder>,
    request: Request<Streaming<StreamUsageRequest>>,
) -> Response<Answers> {
    let (mut metadata, _, requests) = request.into_parts();
    // The deadline of a stream is for all of it; each batch has our own.
    metadata.remove("grpc-timeout");
    let metadata = Arc::new(metadata);
    let answers =
        requests.map(move |request| record(recorder.clone(), metadata.clone(), request)).buffered(WINDOW);
    Response::new(Box::pin(answers))
}

/// Records one batch. The token is looked at again for each, because a stream can
/// outlive it.
async fn record(
    recorder: Arc<Recorder>,
    metadata: Arc<MetadataMap>,
    request: Result<StreamUsageRequest, Status>,
) -> Result<StreamUsageResponse, Status> {
    let request = request.map_err(|status| error::unreadable(&status).map_or(status, Status::from));
    let StreamUsageRequest { events, request_id, return_ids } = request?;
    let span = tracing::info_span!("StreamUsage", events = events.len());
    telemetry::continue_trace(&span, &metadata);
    let batch = UsageBatch { events, request_id, return_ids };
    let (recorded, event_ids) = recorder.record_usage(&metadata, batch).instrument(span).await?;
    let Recorded { request_id, accepted_count, rejections } = recorded;
    Ok(StreamUsageResponse { request_id, accepted_count, rejections, event_ids })
}
