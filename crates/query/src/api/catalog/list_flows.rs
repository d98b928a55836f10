//! `ListFlows`: the flows of the tenant, page by page.

use flowmeter_core::flow::check_flow_id;
use flowmeter_proto::v1::{ListFlowsRequest, ListFlowsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::flows::list_flows;

use super::TenantCatalog;
use crate::answer;
use crate::page::Page;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: ListFlowsRequest,
) -> Result<ListFlowsResponse, ApiError> {
    let page = Page::read("ListFlows", &[], request.page_size, &request.page_token)?;
    let after = page.after_text(|id| check_flow_id("id", id).is_ok())?.unwrap_or_default();
    let mut found = list_flows(catalog.store, catalog.tenant, &after, page.limit()).await?;
    let next_page_token = page.cut(&mut found, |last| last.flow.flow_id.clone());
    Ok(ListFlowsResponse { flows: found.iter().map(answer::flow::to_proto).collect(), next_page_token })
}
