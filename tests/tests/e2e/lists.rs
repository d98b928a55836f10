//! Lists: filters select the same events in SQL and in memory, and pages stay correct while events arrive.

mod page_tokens;

use std::collections::HashSet;

use flowmeter_contract::wire::read_usage_event;
use flowmeter_core::filter::Filter;
use flowmeter_proto::v1::{ListUsageEventsRequest, StoredUsageEvent, UsageEvent};
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
async fn a_filter_selects_the_same_events_in_sql_and_in_memory() {
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
        "service = \"'; DROP TABLE event_segment; --\"",
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
            // Events before and after the position of the next page.
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
        assert_eq!(seen, sorted, "the events are in order");
        let unique: HashSet<_> = seen.iter().collect();
        assert_eq!(unique.len(), seen.len(), "no event occurs twice");
        assert!(there.iter().all(|id| unique.contains(id)), "no event is missing");
    }
    let first = ListUsageEventsRequest { page_size: 1, ..Default::default() };
    let (_, page_token) = list(&tenant, first).await.unwrap();
    let other = ListUsageEventsRequest { page_token, filter: "service = data".into(), ..Default::default() };
    assert!(list(&tenant, other).await.is_err(), "a page token belongs to one list");
}

#[tokio::test]
async fn lists_support_order_search_masks_and_total_sizes() {
    let installation = Installation::start("lists").await;
    let tenant = installation.tenant("acme").await;
    let make = |seconds: i64, user: &str, duration: Option<i64>, detail: &str| UsageEvent {
        timestamp: Some(at(seconds)),
        user: user.into(),
        duration,
        detail: detail.into(),
        ..event()
    };
    let mut named = make(6, "zoe", Some(7), "Order of ICE futures");
    named.attributes.insert("queue".into(), "Orders".into());
    let request = request_id();
    let events = vec![
        make(1, "ann", Some(30), "read ORDER 66"),
        make(2, "bob", None, "read order book"),
        make(3, "ann", Some(200), "100% of_it"),
        make(4, "", Some(30), "order 66 again"),
        make(5, "bob", Some(30), "nothing"),
        named,
    ];
    tenant.record(&request, events).await.unwrap();
    tenant.settled(&request).await;

    // The seconds of the events, read in pages of two.
    let read = async |order_by: &str, search: &str| {
        let mut seconds = Vec::new();
        let mut request = ListUsageEventsRequest {
            order_by: order_by.into(),
            search: search.into(),
            page_size: 2,
            include_total_size: true,
            read_mask: Some(prost_types::FieldMask { paths: vec!["timestamp".into()] }),
            ..Default::default()
        };
        loop {
            let page = tenant.query.clone().list_usage_events(request.clone()).await.unwrap().into_inner();
            for stored in &page.usage_events {
                let event = stored.event.as_ref().unwrap();
                seconds.push(event.timestamp.unwrap().seconds - at(0).seconds);
                assert_eq!((stored.id.as_str(), event.user.as_str()), ("", ""), "only masked fields");
            }
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                assert_eq!(page.total_size, Some(i64::try_from(seconds.len()).unwrap()));
                return seconds;
            }
        }
    };
    for (order_by, expected) in [
        ("", vec![1, 2, 3, 4, 5, 6]),
        ("timestamp desc", vec![6, 5, 4, 3, 2, 1]),
        ("duration", vec![2, 6, 1, 4, 5, 3]),
        ("duration desc, timestamp desc", vec![3, 5, 4, 1, 6, 2]),
        ("user, duration desc", vec![4, 3, 1, 5, 2, 6]),
        ("queue desc, user desc, timestamp", vec![6, 2, 5, 1, 3, 4]),
    ] {
        assert_eq!(read(order_by, "").await, expected, "{order_by}");
    }
    for (search, expected) in [
        ("order", vec![1, 2, 4, 6]),
        ("ORDER 66", vec![1, 4]),
        ("66 order", vec![1, 4]),
        ("\"order 66\"", vec![1, 4]),
        ("\"66 order\"", vec![]),
        ("orders", vec![6]),
        ("100%", vec![3]),
        ("f_i", vec![3]),
        ("object get", vec![1, 2, 3, 4, 5, 6]),
    ] {
        assert_eq!(read("", search).await, expected, "{search}");
    }

    let fields = |paths: &[&str]| ListUsageEventsRequest {
        read_mask: Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        order_by: "timestamp desc".into(),
        page_size: 1,
        ..Default::default()
    };
    let (found, _) =
        list(&tenant, fields(&["id", "event.attributes.queue", "event.duration"])).await.unwrap();
    let stored = &found[0];
    let expected = UsageEvent {
        duration: Some(7),
        attributes: [("queue".to_owned(), "Orders".to_owned())].into(),
        ..UsageEvent::default()
    };
    assert_eq!(stored.event, Some(expected));
    assert!(!stored.id.is_empty());
}

#[tokio::test]
async fn all_pages_have_the_relative_range_of_the_first_page() {
    let installation = Installation::start("relative-pages").await;
    let tenant = installation.tenant("acme").await;
    let now = || prost_types::Timestamp::from(std::time::SystemTime::now());
    let mut last = String::new();
    for _ in 0..3 {
        last = request_id();
        tenant.record(&last, vec![UsageEvent { timestamp: Some(now()), ..event() }]).await.unwrap();
    }
    tenant.settled(&last).await;
    // The three events are at most a few seconds old.
    let mut request = ListUsageEventsRequest {
        range: "from(T-5s)".into(),
        page_size: 1,
        include_total_size: true,
        ..Default::default()
    };
    let first = tenant.query.clone().list_usage_events(request.clone()).await.unwrap().into_inner();
    assert_eq!(first.total_size, Some(3));
    // After 7 s, a range relative to now would no longer contain the events.
    tokio::time::sleep(std::time::Duration::from_secs(7)).await;
    request.page_token = first.next_page_token;
    let second = tenant.query.clone().list_usage_events(request).await.unwrap().into_inner();
    assert_eq!((second.total_size, second.usage_events.len()), (Some(3), 1));
}

#[tokio::test]
async fn the_values_of_a_field_are_listed_and_counted() {
    let installation = Installation::start("values").await;
    let tenant = installation.tenant("acme").await;
    let make = |user: &str, status: Option<i32>, queue: Option<&str>| UsageEvent {
        user: user.into(),
        httpstatus: status,
        attributes: queue.map(|queue| ("queue".to_owned(), queue.to_owned())).into_iter().collect(),
        decimal_value: status.map(|status| format!("{status}.50")).unwrap_or_default(),
        ..event()
    };
    let request = request_id();
    let events = vec![
        make("ann", Some(200), Some("Z")),
        make("ann", Some(404), Some("é")),
        make("bob", Some(200), None),
        make("", None, Some("")),
        make("Bob", Some(1_00), Some("a")),
    ];
    tenant.record(&request, events).await.unwrap();
    tenant.settled(&request).await;
    let values = async |field: &str, prefix: &str, filter: &str| {
        let mut all = Vec::new();
        let mut request = flowmeter_proto::v1::ListFieldValuesRequest {
            field: field.into(),
            prefix: prefix.into(),
            filter: filter.into(),
            page_size: 1,
            ..Default::default()
        };
        loop {
            let page = tenant.query.clone().list_field_values(request.clone()).await.unwrap().into_inner();
            all.extend(page.values.into_iter().map(|value| format!("{} {}", value.value, value.count)));
            request.page_token = page.next_page_token;
            if request.page_token.is_empty() {
                return all;
            }
        }
    };
    assert_eq!(values("user", "", "").await, ["Bob 1", "ann 2", "bob 1"]);
    assert_eq!(values("user", "b", "").await, ["bob 1"]);
    assert_eq!(values("user", "", "httpstatus = 200").await, ["ann 1", "bob 1"]);
    assert_eq!(values("httpstatus", "", "").await, ["100 1", "200 2", "404 1"]);
    assert_eq!(values("value", "", "").await, ["100.5 1", "200.5 2", "404.5 1"]);
    assert_eq!(values("queue", "", "").await, ["Z 1", "a 1", "é 1"]);
    assert_eq!(values("nothing", "", "").await, Vec::<String>::new());
}
