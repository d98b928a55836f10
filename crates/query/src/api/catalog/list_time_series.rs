//! `ListTimeSeries`: the time series of one object or of all objects, page by page.

use flowmeter_contract::names::parse_object;
use flowmeter_proto::v1::{ListTimeSeriesRequest, ListTimeSeriesResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::catalog::time_series::{StoredTimeSeries, list_time_series};

use super::TenantCatalog;
use crate::answer;
use crate::page::Page;

pub async fn handle(
    catalog: &TenantCatalog<'_>,
    request: ListTimeSeriesRequest,
) -> Result<ListTimeSeriesResponse, ApiError> {
    let object = match request.parent.as_str() {
        "" | "objects/-" => None,
        parent => Some(parse_object("parent", parent)?),
    };
    let page = Page::read("ListTimeSeries", &[&request.parent], request.page_size, &request.page_token)?;
    let after = page.after_text(|name| name.contains('/') && !name.contains('\0'))?.unwrap_or_default();
    let after = after.split_once('/').unwrap_or_default();
    let mut found =
        list_time_series(catalog.store, catalog.tenant, object.as_deref(), after, page.limit()).await?;
    let position = |last: &StoredTimeSeries| format!("{}/{}", last.series.object, last.series.name);
    let next_page_token = page.cut(&mut found, position);
    let time_series = found.iter().map(answer::time_series::to_proto).collect();
    Ok(ListTimeSeriesResponse { time_series, next_page_token })
}
