//! The queries, and the targets for their answers.

use std::time::Duration;

use flowmeter_proto::v1::{ListUsageEventsRequest, QueryTimeSeriesRequest};

use crate::days::{DAYS, Days};
use crate::events::{APPLICATIONS, LABEL_SETS, Labels, OBJECTS_OF_SERVICE, invocation_id};

/// A kind of query.
pub struct Question {
    pub name: &'static str,
    /// The maximum p99.
    pub target: Option<Duration>,
    /// The maximum factor by which the median can grow if there are five times as many events.
    pub growth: Option<f64>,
    /// The number of turns after which the requests repeat.
    pub repeats: usize,
    /// The request at a turn. Each turn asks for something else, as users do.
    pub ask: fn(&Days, usize) -> Request,
}

/// A request of a query.
pub enum Request {
    Series(QueryTimeSeriesRequest),
    List(ListUsageEventsRequest),
}

impl Days {
    pub fn series(&self, calendar: &str) -> QueryTimeSeriesRequest {
        QueryTimeSeriesRequest {
            metric: "ODSLRequest/ReadRequests".into(),
            calendar: calendar.into(),
            range: self.range(),
            ..QueryTimeSeriesRequest::default()
        }
    }

    /// The queries whose answers together count every event once.
    pub fn counts(&self) -> [QueryTimeSeriesRequest; 3] {
        ["ReadRequests", "WriteRequests", "DeleteRequests"].map(|metric| {
            let metric = format!("ODSLRequest/{metric}");
            QueryTimeSeriesRequest { metric, ..self.series("#P1D") }
        })
    }

    fn list(&self, filter: String) -> Request {
        Request::List(self.page(filter, ""))
    }

    fn page(&self, filter: String, order_by: &str) -> ListUsageEventsRequest {
        ListUsageEventsRequest {
            range: self.range(),
            filter,
            order_by: order_by.into(),
            ..ListUsageEventsRequest::default()
        }
    }
}

/// A filter for the reads of one application.
pub fn reads(turn: usize) -> String {
    format!("application = 'application-{}' AND method = 'get'", turn % APPLICATIONS)
}

/// A combination of labels, which is different at each turn.
fn labels(turn: usize) -> Labels {
    // The step shares no factor with their number.
    Labels::numbered(turn * 1_237 % LABEL_SETS)
}

/// All kinds of queries.
pub const QUESTIONS: [Question; 12] = [
    Question {
        name: "30 days by hour",
        target: Some(Duration::from_millis(10)),
        growth: Some(1.5),
        repeats: 1,
        ask: |days, _| Request::Series(days.series("#PT1H")),
    },
    Question {
        name: "30 days by hour, application and method",
        target: Some(Duration::from_millis(30)),
        growth: Some(1.5),
        repeats: APPLICATIONS,
        ask: |days, turn| {
            Request::Series(QueryTimeSeriesRequest { filter: reads(turn), ..days.series("#PT1H") })
        },
    },
    Question {
        name: "30 days by hour, average duration",
        target: None,
        growth: None,
        repeats: 1,
        ask: |days, _| {
            let metric = "ODSLRequest/ReadRequestDuration".into();
            Request::Series(QueryTimeSeriesRequest { metric, ..days.series("#PT1H") })
        },
    },
    Question {
        name: "30 days by day, grouped by application",
        target: None,
        growth: None,
        repeats: 1,
        ask: |days, _| {
            let group_by = vec!["application".into()];
            Request::Series(QueryTimeSeriesRequest { group_by, ..days.series("#P1D") })
        },
    },
    Question {
        name: "1 day by minute",
        target: Some(Duration::from_millis(50)),
        growth: None,
        repeats: DAYS as usize,
        ask: |days, turn| {
            let range = days.day(turn % DAYS as usize);
            Request::Series(QueryTimeSeriesRequest { range, ..days.series("#PT1M") })
        },
    },
    Question {
        name: "1 day by minute, application and method",
        target: None,
        growth: None,
        // The least common multiple of both.
        repeats: 2 * DAYS as usize,
        ask: |days, turn| {
            let (range, filter) = (days.day(turn % DAYS as usize), reads(turn));
            Request::Series(QueryTimeSeriesRequest { range, filter, ..days.series("#PT1M") })
        },
    },
    Question {
        name: "30 days by hour, service and key",
        target: None,
        growth: None,
        repeats: OBJECTS_OF_SERVICE * LABEL_SETS,
        ask: |days, turn| {
            let service = labels(turn).service;
            let object = service * OBJECTS_OF_SERVICE + turn % OBJECTS_OF_SERVICE;
            let (service, key) = (format!("service-{service}"), format!("object-{object}"));
            Request::Series(QueryTimeSeriesRequest { service, key, ..days.series("#PT1H") })
        },
    },
    Question {
        name: "first page, application and method",
        target: Some(Duration::from_millis(20)),
        growth: None,
        repeats: LABEL_SETS,
        ask: |days, turn| {
            let labels = labels(turn);
            days.list(format!(
                "application = 'application-{}' AND method = '{}'",
                labels.application, labels.method
            ))
        },
    },
    Question {
        name: "first page, about 1 in 2,000",
        target: Some(Duration::from_millis(20)),
        growth: None,
        repeats: LABEL_SETS,
        ask: |days, turn| days.list(rare(turn)),
    },
    Question {
        name: "newest first, about 1 in 2,000",
        target: None,
        growth: None,
        repeats: LABEL_SETS,
        ask: |days, turn| Request::List(days.page(rare(turn), "timestamp desc")),
    },
    Question {
        name: "needle: an invocation that occurs once",
        target: None,
        growth: None,
        repeats: usize::MAX,
        ask: |days, turn| {
            let number = (turn as u64 * 7_919 + 1) * 104_729 % days.events;
            days.list(format!("invocation_id = '{}'", invocation_id(number)))
        },
    },
    Question {
        name: "needle: an invocation that does not occur",
        target: None,
        growth: None,
        repeats: usize::MAX,
        ask: |days, turn| days.list(format!("invocation_id = '{}'", invocation_id(u64::MAX - turn as u64))),
    },
];

/// A filter for the events of one combination of labels.
fn rare(turn: usize) -> String {
    let Labels { application, method, service } = labels(turn);
    format!(
        "application = 'application-{application}' AND method = '{method}' AND service = 'service-{service}'"
    )
}
