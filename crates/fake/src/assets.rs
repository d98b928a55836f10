//! Reading assets, in pages of at most two.

use flowmeter_proto::v1 as api;
use tonic::Status;

use crate::contents::Assets;
use crate::{NOW, not_found};

/// A page of at most two items from the position in the token, and the token of the next page.
fn page<T: Clone>(all: &[T], size: i32, token: &str) -> (Vec<T>, String) {
    let start: usize = if token.is_empty() { 0 } else { token.parse().unwrap() };
    let end = (start + usize::try_from(size).unwrap().min(2)).min(all.len());
    let next = if end < all.len() { end.to_string() } else { String::new() };
    (all[start..end].to_vec(), next)
}

/// How fresh a page is: later pages are fresher than the first.
fn fresh_through(token: &str) -> prost_types::Timestamp {
    let seconds: i64 = if token.is_empty() { 0 } else { token.parse().unwrap() };
    prost_types::Timestamp { seconds: NOW.seconds + seconds, ..NOW }
}

impl Assets {
    /// The metrics of the provider `asset`.
    pub(crate) fn list_metrics(&self, request: &api::ListMetricsRequest) -> api::ListMetricsResponse {
        let (metrics, next_page_token) = page(&self.metrics, 2, &request.page_token);
        api::ListMetricsResponse { metrics, next_page_token }
    }

    pub(crate) fn list_documents(
        &mut self,
        request: api::ListAssetMetricsRequest,
    ) -> Result<api::ListAssetMetricsResponse, Status> {
        self.check(&request.asset_urn)?;
        let (documents, next_page_token) = page(&self.documents, request.page_size, &request.page_token);
        let fresh_through = Some(fresh_through(&request.page_token));
        self.page_sizes.push(request.page_size);
        self.document_requests.push(request);
        Ok(api::ListAssetMetricsResponse { documents, next_page_token, fresh_through })
    }

    pub(crate) fn list_latest(
        &self,
        request: &api::GetLatestAssetMetricsRequest,
    ) -> Result<api::GetLatestAssetMetricsResponse, Status> {
        self.check(&request.asset_urn)?;
        let is_requested = |metric: &&api::LatestAssetMetric| {
            request.names.is_empty() || request.names.contains(&metric.name)
        };
        let requested: Vec<_> = self.latest.iter().filter(is_requested).cloned().collect();
        let (metrics, next_page_token) = page(&requested, request.page_size, &request.page_token);
        let fresh_through = Some(fresh_through(&request.page_token));
        Ok(api::GetLatestAssetMetricsResponse { metrics, next_page_token, fresh_through })
    }

    pub(crate) fn list(&mut self, request: &api::ListAssetsRequest) -> api::ListAssetsResponse {
        self.page_sizes.push(request.page_size);
        let has_prefix = |asset: &&api::Asset| asset.urn.starts_with(&request.prefix);
        let requested: Vec<_> = self.known.iter().filter(has_prefix).cloned().collect();
        let (assets, next_page_token) = page(&requested, request.page_size, &request.page_token);
        let fresh_through = Some(fresh_through(&request.page_token));
        api::ListAssetsResponse { assets, next_page_token, fresh_through }
    }

    fn check(&self, urn: &str) -> Result<(), Status> {
        let is_known = self.known.iter().any(|asset| asset.urn == urn);
        if is_known { Ok(()) } else { Err(not_found("asset", urn)) }
    }
}
