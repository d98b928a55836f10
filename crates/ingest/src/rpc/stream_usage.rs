//! `StreamUsage`: batches of usage events over one stream, one answer each, in order.

use std::pin::Pin;
use std::sync::Arc;

use flowmeter_proto::raw::{
    RecordUsageRequest, RecordUsageResponse, StreamUsageRequest, StreamUsageResponse,
};
use flowmeter_service::{error, telemetry};
use futures::{Stream, StreamExt};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};
use tracing::Instrument;

use super::{Ingest, record_usage};

/// The answers, in the order of the requests.
pub type Responses = Pin<Box<dyn Stream<Item = Result<StreamUsageResponse, Status>> + Send>>;

/// Batches of one stream that may wait for the broker at the same time. The next batch is not read before one of
/// them is answered, which slows down a sender that is faster than the broker.
const WINDOW: usize = 16;

pub(super) fn handle(ingest: Ingest, request: Request<Streaming<StreamUsageRequest>>) -> Response<Responses> {
    let (mut metadata, _, requests) = request.into_parts();
    // The caller's deadline is that of the whole stream; each batch has our own.
    metadata.remove("grpc-timeout");
    let metadata = Arc::new(metadata);
    let responses =
        requests.map(move |request| record(ingest.clone(), metadata.clone(), request)).buffered(WINDOW);
    Response::new(Box::pin(responses))
}

/// Records one batch. This checks the token again for each batch, because a stream can outlive its token.
async fn record(
    ingest: Ingest,
    metadata: Arc<MetadataMap>,
    request: Result<StreamUsageRequest, Status>,
) -> Result<StreamUsageResponse, Status> {
    let request = request.map_err(|status| error::unreadable(&status).map_or(status, Status::from));
    let StreamUsageRequest { events, request_id, return_ids } = request?;
    let span = tracing::info_span!("StreamUsage", events = events.len());
    telemetry::continue_trace(&span, &metadata);
    let request = RecordUsageRequest { events, request_id, return_ids };
    let RecordUsageResponse { request_id, accepted_count, rejections, event_ids } =
        record_usage::record(&ingest, &metadata, request).instrument(span).await?;
    Ok(StreamUsageResponse { request_id, accepted_count, rejections, event_ids })
}
