//! `GetReceipt`: the state of a request to the ingest service.

use flowmeter_contract::time::to_proto;
use flowmeter_proto::v1::get_receipt_response::State;
use flowmeter_proto::v1::{GetReceiptRequest, GetReceiptResponse};
use flowmeter_service::error::ApiError;
use tonic::metadata::MetadataMap;

use super::{QueryApi, read_request_id};

pub(super) async fn handle(
    api: &QueryApi,
    metadata: &MetadataMap,
    request: &GetReceiptRequest,
) -> Result<GetReceiptResponse, ApiError> {
    let (tenant, deadline) = api.caller(metadata).await?;
    let id = read_request_id("request_id", &request.request_id)?;
    let receipt = if request.wait {
        api.receipts.wait(tenant, id, deadline).await?
    } else {
        api.receipts.get(tenant, id).await?
    };
    let fresh_through = api.fresh_through().await?;
    let request_id = id.to_string();
    let Some(receipt) = receipt else {
        let state = State::Pending.into();
        return Ok(GetReceiptResponse { request_id, state, fresh_through, ..GetReceiptResponse::default() });
    };
    let state = if receipt.dead_reason.is_some() { State::Dead } else { State::Applied };
    Ok(GetReceiptResponse {
        request_id,
        state: state.into(),
        accepted_count: receipt.accepted,
        duplicate_count: receipt.duplicates,
        conflict_count: receipt.conflicts,
        settle_time: Some(to_proto(receipt.settled_at)),
        dead_reason: receipt.dead_reason.unwrap_or_default(),
        fresh_through,
    })
}
