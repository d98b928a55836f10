//! `ListTokens`: the tokens of a tenant, page by page.

use flowmeter_proto::v1::{ListTokensRequest, ListTokensResponse};
use flowmeter_service::auth::Caller;
use flowmeter_service::error::ApiError;
use flowmeter_store::{Store, tokens};
use uuid::Uuid;

use super::parent_tenant;
use crate::answer;
use crate::page::Page;

pub async fn handle(
    store: &Store,
    caller: &Caller,
    request: ListTokensRequest,
) -> Result<ListTokensResponse, ApiError> {
    let (id, tenant) = parent_tenant(store, caller, &request.parent).await?;
    let page = Page::read("ListTokens", &[&request.parent], request.page_size, &request.page_token)?;
    let after = page.after(|bytes| Uuid::from_slice(bytes).ok())?.unwrap_or_default();
    let mut found = tokens::list_tokens(store, id, after, page.limit()).await?;
    let next_page_token = page.cut(&mut found, |last| *last.id.as_bytes());
    let tokens = found.iter().map(|token| answer::token::to_proto(token, &tenant.name)).collect();
    Ok(ListTokensResponse { tokens, next_page_token })
}
