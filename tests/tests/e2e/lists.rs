//! Lists: filters mean the same in SQL and in memory, and pages stay correct while
//! events arrive.

use std::collections::HashSet;

use flowmeter_core::filter::Filter;
use flowmeter_proto::v1::{ListUsageEventsRequest, StoredUsageEvent, UsageEvent};
use flowmeter_proto::wire::read_usage_event;
use flowmeter_tests::{Installation, Tenant, event, request_id};
use prost::Message;
use tonic::Status;

async fn list(
    tenant: &Tenant,
    request: ListUsageEventsRequest,
) -> Result<(Vec<StoredUsageEvent>, String), Status> {
    let answer = tenant.query.clone().list_usage_events(request).await?.into_inner();
    Ok((answer.usage_events, answer.next_page_token))
}

fn at(seconds: i64) -> prost_types::Timestamp {
    let now: prost_types::Timestamp = std::time::SystemTime::now().into();
    prost_types::Timestamp { seconds: now.seconds / 86_400 * 86_400 - 86_400 + seconds, nanos: 1_000 }
}

#[tokio::test]
async fn an_event_is_returned_as_it_was_recorded() {
    let installation = Installation::start("as-recorded").await;
    let tenant = installation.tenant("acme").await;
    let full = UsageEvent {
        timestamp: Some(at(1)),
        provider: "AzureServiceBus".into(),
        action: "Size".into(),
        application: "app \"quoted\" \\ ü".into(),
        detail: "d".into(),
        environment: "e".into(),
        httpstatus: Some(404),
        invocation_id: "i".into(),
        method: "GET".into(),
        service: "s".into(),
        r#type: "message".into(),
        user: "u".into(),
        duration: Some(0),
        response_size: Some(i64::MAX),
        decimal_value: "-12345678901234567.123456789".into(),
        attributes: [("queue".to_owned(), "q\n\"1\"".to_owned()), ("key".to_owned(), String::new())].into(),
        ..UsageEvent::default()
    };
    let plain = UsageEvent { value: Some(i64::MIN), ..UsageEvent::default() };
    let request = request_id();
    let ids = tenant.record(&request, vec![full.clone(), plain.clone()]).await.unwrap().event_ids;
    tenant.settled(&request).await;
    for (id, expected) in ids.into_iter().zip([full, plain]) {
        let get = flowmeter_proto::v1::GetUsageEventRequest { id: id.clone(), ..Default::default() };
        let answer = tenant.query.clone().get_usage_event(get).await.unwrap().into_inner();
        let found = answer.usage_event.unwrap();
        assert_eq!(found.id, id);
        let found = found.event.unwrap();
        let provider = if expected.provider.is_empty() { "ODSLRequest" } else { &expected.provider };
        let timestamp = expected.timestamp.or(found.timestamp);
        assert!(found.timestamp.is_some());
        assert_eq!(found, UsageEvent { provider: provider.into(), timestamp, ..expected });
    }
}

#[tokio::test]
async fn a_filter_means_the_same_in_sql_and_in_memory() {
    let installation = Installation::start("sql-and-memory").await;
    let tenant = installation.tenant("acme").await;
    let mut events = Vec::new();
    for number in 0..60_i64 {
        let mut event = event();
        event.timestamp = Some(at(number));
        event.service = ["object", "data", ""][usize::try_from(number % 3).unwrap()].into();
        event.httpstatus = (number % 4 != 0).then_some(200 + i32::try_from(number % 4).unwrap());
        event.duration = (number % 5 != 0).then_some(number % 7);
        if number % 2 == 0 {
            event.attributes.insert("queue".into(), format!("q'{}", number % 4));
        }
        if number % 6 == 0 {
            event.decimal_value = format!("{}.5", number % 4);
        }
        events.push(event);
    }
    let request = request_id();
    tenant.record(&request, events.clone()).await.unwrap();
    tenant.settled(&request).await;
    for text in [
        "",
        "service = object",
        "service = \"\"",
        "httpstatus = 201 AND service = data",
        "duration = 3",
        "duration = 3.0",
        "value = 0.5",
        "value = 2.50",
        "queue = \"q'0\"",
        "queue = \"q'2\" AND method = get",
        "queue = \"\"",
        "nothing = there",
        "provider = ODSLRequest",
        r#"{"service":"object","duration":{"$eq":1}}"#,
        "service = \"'; DROP TABLE usage_event; --\"",
    ] {
        let filter = Filter::parse(text).unwrap();
        let expected = events.iter().filter(|event| {
            let bytes = event.encode_to_vec();
            let mut read = read_usage_event(&bytes, &mut Vec::new());
            read.settle();
            filter.matches(&read)
        });
        let expected: Vec<_> = expected.map(|event| event.timestamp).collect();
        let request = ListUsageEventsRequest { filter: text.into(), page_size: 1_000, ..Default::default() };
        let (found, _) = list(&tenant, request).await.unwrap();
        let found: Vec<_> = found.into_iter().map(|stored| stored.event.unwrap().timestamp).collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[tokio::test]
async fn pages_stay_correct_while_events_arrive() {
    let installation = Installation::start("pages").await;
    let tenant = installation.tenant("acme").await;
    let request = request_id();
    let events: Vec<_> =
        (0..100).map(|number| UsageEvent { timestamp: Some(at(number * 10)), ..event() }).collect();
    let there: Vec<_> = tenant.record(&request, events).await.unwrap().event_ids;
    tenant.settled(&request).await;
    for order_by in ["timestamp", "timestamp desc"] {
        let mut seen = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = ListUsageEventsRequest {
                page_size: 7,
                page_token,
                order_by: order_by.into(),
                filter: "service = object".into(),
                ..Default::default()
            };
            let (page, next) = list(&tenant, request).await.unwrap();
            seen.extend(page.into_iter().map(|event| event.id));
            if next.is_empty() {
                break;
            }
            page_token = next;
            // Before and after the place where the list goes on.
            let late = request_id();
            let events = [5, 995].map(|seconds| UsageEvent { timestamp: Some(at(seconds)), ..event() });
            tenant.record(&late, events.to_vec()).await.unwrap();
            tenant.settled(&late).await;
        }
        let mut sorted = seen.clone();
        sorted.sort();
        if order_by.ends_with("desc") {
            sorted.reverse();
        }
        assert_eq!(seen, sorted, "in order");
        let unique: HashSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "none twice");
        assert!(there.iter().all(|id| unique.contains(id)), "none left out");
    }
    let first = ListUsageEventsRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&tenant, first).await.unwrap();
    let other = ListUsageEventsRequest { page_token, filter: "service = data".into(), ..Default::default() };
    assert!(list(&tenant, other).await.is_err(), "a token belongs to its list");
}
