//! The planned behaviour of a fake, and the requests that it received.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use flowmeter_proto::v1::{AssetDocument, AssetMetric, ExecutionReport, FlowRequest, Rejection, UsageEvent};
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;

use crate::checks;
use crate::contents::Contents;

/// What to do with a request to ingest.
#[derive(Debug, Clone)]
pub enum Plan {
    /// Record it.
    Accept,
    /// Record it and reject these items.
    Reject(Vec<Rejection>),
    /// Do not record it, and answer with this status.
    Refuse(Status),
    /// Record it, and answer with this status.
    AcceptAndFail(Status),
    /// Record it, and never answer.
    AcceptAndHang,
}

/// A request to ingest as it arrived.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// Its id.
    pub request_id: String,
    /// The usage events in it.
    pub events: Vec<UsageEvent>,
    /// The requests to endpoints of flows in it.
    pub flow_requests: Vec<FlowRequest>,
    /// The reports of executions in it.
    pub executions: Vec<ExecutionReport>,
    /// The documents of assets in it.
    pub documents: Vec<AssetDocument>,
    /// The metric in it if it has the single form, whose document has no metrics.
    pub single: Option<AssetMetric>,
    /// The metadata of the call.
    pub metadata: HashMap<String, String>,
    /// The indexes of the items that were rejected.
    pub rejected: Vec<usize>,
}

/// The state that the services and the test share.
#[derive(Debug, Default)]
pub struct State {
    plans: Mutex<VecDeque<Plan>>,
    seen: watch::Sender<Vec<Seen>>,
    held: watch::Sender<bool>,
    /// The number of requests that are being served, and its maximum so far.
    active: Mutex<(usize, usize)>,
    /// The first request that was recorded under each request id.
    pub recorded: Mutex<HashMap<String, Seen>>,
    /// The features in the build information.
    pub features: Mutex<Vec<String>>,
    /// How often the build information was requested.
    pub build_info_calls: Mutex<usize>,
    contents: Mutex<Contents>,
    is_strict: bool,
}

impl State {
    /// The state of strict services with `contents`.
    pub(crate) fn strict(contents: Contents) -> Self {
        Self { contents: Mutex::new(contents), is_strict: true, ..Self::default() }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Rejects an unknown token, if the services are strict.
    pub(crate) fn authorize(&self, metadata: &MetadataMap) -> Result<(), Status> {
        if self.is_strict { checks::authorize(metadata) } else { Ok(()) }
    }

    /// The contents of the services.
    pub fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap()
    }

    /// The accepted events of each recorded request, in order of arrival.
    #[must_use]
    pub fn accepted_events(&self) -> Vec<(String, Vec<UsageEvent>)> {
        let recorded = self.recorded.lock().unwrap();
        let mut ids: Vec<String> = Vec::new();
        for seen in self.seen.borrow().iter() {
            if recorded.contains_key(&seen.request_id) && !ids.contains(&seen.request_id) {
                ids.push(seen.request_id.clone());
            }
        }
        let accepted = |id: String| {
            let seen = &recorded[&id];
            let events = seen.events.iter().enumerate();
            let is_accepted = |(index, _): &(usize, &UsageEvent)| !seen.rejected.contains(index);
            let events = events.filter(is_accepted).map(|(_, event)| event.clone()).collect();
            (id, events)
        };
        ids.into_iter().map(accepted).collect()
    }

    /// Plans what to do with the next requests to ingest. Later requests are accepted.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().unwrap().extend(plans);
    }

    /// Answers no request to ingest until [`State::release`].
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Answers again, including the requests that have arrived since [`State::hold`].
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits for this number of requests to ingest, and returns all.
    pub async fn seen(&self, count: usize) -> Vec<Seen> {
        self.seen.subscribe().wait_for(|seen| seen.len() >= count).await.unwrap().clone()
    }

    /// All requests to ingest so far.
    #[must_use]
    pub fn seen_now(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// The maximum number of requests that were served at the same time.
    #[must_use]
    pub fn most_active(&self) -> usize {
        self.active.lock().unwrap().1
    }

    /// Every event that is recorded.
    #[must_use]
    pub fn events(&self) -> Vec<UsageEvent> {
        self.recorded.lock().unwrap().values().flat_map(|seen| seen.events.clone()).collect()
    }

    /// Every report of an execution that is recorded.
    #[must_use]
    pub fn executions(&self) -> Vec<ExecutionReport> {
        self.recorded.lock().unwrap().values().flat_map(|seen| seen.executions.clone()).collect()
    }

    pub(crate) async fn serve(&self, mut seen: Seen, metadata: &MetadataMap) -> Result<Answer, Status> {
        self.authorize(metadata)?;
        seen.metadata = metadata
            .clone()
            .into_headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let _active = Active::new(self);
        self.seen.send_modify(|all| all.push(seen.clone()));
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let plan = self.plans.lock().unwrap().pop_front().unwrap_or(Plan::Accept);
        if let Plan::Refuse(status) = plan {
            return Err(status);
        }
        let rejections = match &plan {
            Plan::Reject(rejections) => rejections.clone(),
            _ if self.is_strict => checks::rejections(&seen, &self.contents())?,
            _ => Vec::new(),
        };
        seen.rejected = rejections.iter().map(|item| usize::try_from(item.index).unwrap()).collect();
        let items =
            seen.events.len() + seen.flow_requests.len() + seen.executions.len() + seen.documents.len();
        let answer = Answer {
            request_id: seen.request_id.clone(),
            accepted_count: i32::try_from(items - rejections.len()).unwrap(),
            rejections,
        };
        self.record(&seen)?;
        match plan {
            Plan::AcceptAndFail(status) => Err(status),
            Plan::AcceptAndHang => std::future::pending().await,
            _ => Ok(answer),
        }
    }

    /// Checks that a repeated request has the same items in the same order.
    fn record(&self, seen: &Seen) -> Result<(), Status> {
        let mut recorded = self.recorded.lock().unwrap();
        let first = recorded.entry(seen.request_id.clone()).or_insert_with(|| seen.clone());
        let items = |seen: &Seen| Seen { metadata: HashMap::new(), rejected: Vec::new(), ..seen.clone() };
        if items(first) == items(seen) {
            return Ok(());
        }
        Err(Status::data_loss("other items under the same id"))
    }
}

struct Active<'a>(&'a State);

impl<'a> Active<'a> {
    fn new(state: &'a State) -> Self {
        let mut active = state.active.lock().unwrap();
        active.0 += 1;
        active.1 = active.1.max(active.0);
        Self(state)
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.active.lock().unwrap().0 -= 1;
    }
}

pub(crate) struct Answer {
    pub request_id: String,
    pub accepted_count: i32,
    pub rejections: Vec<Rejection>,
}
