//! What a fake was told to do, and what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;

use flowmeter_proto::v1::{AssetDocument, ExecutionReport, FlowRequest, Rejection, UsageEvent};
use tokio::sync::watch;
use tonic::Status;
use tonic::metadata::MetadataMap;

/// What is done with a request.
#[derive(Debug, Clone)]
pub enum Plan {
    /// It is recorded.
    Accept,
    /// It is recorded without these items.
    Reject(Vec<Rejection>),
    /// It is not recorded.
    Refuse(Status),
    /// It is recorded, and its sender hears that it failed.
    AcceptAndFail(Status),
    /// It is recorded, and its sender hears nothing.
    AcceptAndHang,
}

/// A request as it came.
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
    /// The values of assets in it.
    pub documents: Vec<AssetDocument>,
    /// What came beside the message.
    pub metadata: HashMap<String, String>,
}

/// What the service and the test share.
#[derive(Debug, Default)]
pub struct State {
    plans: Mutex<VecDeque<Plan>>,
    seen: watch::Sender<Vec<Seen>>,
    held: watch::Sender<bool>,
    /// Requests that are being served, and the most that were at a time.
    active: Mutex<(usize, usize)>,
    /// What was recorded first under each request id.
    pub recorded: Mutex<HashMap<String, Seen>>,
    /// What the service says that it can do.
    pub features: Mutex<Vec<String>>,
    /// How often it was asked what it can do.
    pub asked: Mutex<usize>,
}

impl State {
    /// Does these with the next requests, and accepts all others.
    pub fn plan(&self, plans: impl IntoIterator<Item = Plan>) {
        self.plans.lock().unwrap().extend(plans);
    }

    /// Answers nothing until it is released.
    pub fn hold(&self) {
        self.held.send_replace(true);
    }

    /// Answers again, also what came meanwhile.
    pub fn release(&self) {
        self.held.send_replace(false);
    }

    /// Waits until so many requests came, and returns all.
    pub async fn seen(&self, count: usize) -> Vec<Seen> {
        self.seen.subscribe().wait_for(|seen| seen.len() >= count).await.unwrap().clone()
    }

    /// All requests that came until now.
    #[must_use]
    pub fn seen_now(&self) -> Vec<Seen> {
        self.seen.borrow().clone()
    }

    /// How many requests were being served at a time, at most.
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
        let rejections = if let Plan::Reject(rejections) = &plan { rejections.clone() } else { Vec::new() };
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

    /// The same id means the same items in the same order.
    fn record(&self, seen: &Seen) -> Result<(), Status> {
        let mut recorded = self.recorded.lock().unwrap();
        let first = recorded.entry(seen.request_id.clone()).or_insert_with(|| seen.clone());
        let items = |seen: &Seen| Seen { metadata: HashMap::new(), ..seen.clone() };
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
