//! `ListAssets`: the assets that metrics were emitted on.

use flowmeter_contract::time::to_proto;
use flowmeter_proto::v1::{Asset, ListAssetsRequest, ListAssetsResponse};
use flowmeter_service::error::ApiError;
use flowmeter_store::assets::{StoredAsset, Urns, list_assets};
use tonic::metadata::MetadataMap;

use super::Query;
use crate::page::{self, asset_place, page_size};
use crate::spec::asset_list;

pub(super) async fn handle(
    query: &Query,
    metadata: &MetadataMap,
    request: &ListAssetsRequest,
) -> Result<ListAssetsResponse, ApiError> {
    let (tenant, deadline) = query.caller(metadata).await?;
    let prefix = request.prefix.as_str();
    asset_list::prefix(prefix)?;
    let size = page_size(request.page_size)?;
    let tokens = page::List::new("ListAssets", &[prefix]);
    let after = match tokens.place(&request.page_token)? {
        None => String::new(),
        Some(place) => asset_place::read_urn(&place).ok_or_else(page::not_ours)?.to_owned(),
    };

    query.after(tenant, &request.after_request_id, deadline).await?;
    let fresh_through = query.fresh_through().await?.map(to_proto);
    let _turn = query.turns.take(tenant).await?;
    // One more than asked for tells whether there is a next page.
    let question = Urns { prefix: prefix.to_owned(), after, limit: size + 1 };
    let mut found = list_assets(&query.store, tenant, &question).await?;
    let size = usize::try_from(size).expect("at most 1000");
    let mut next_page_token = String::new();
    if found.len() > size {
        found.truncate(size);
        next_page_token = found.last().map(|last| tokens.token(last.urn.as_bytes())).unwrap_or_default();
    }
    let to_contract =
        |asset: StoredAsset| Asset { urn: asset.urn, create_time: Some(to_proto(asset.created_at)) };
    let assets = found.into_iter().map(to_contract).collect();
    Ok(ListAssetsResponse { assets, next_page_token, fresh_through })
}
