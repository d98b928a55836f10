//! Lists: pages, rejected queries, and isolation between tenants.

use flowmeter_proto::v1::{
    EmitAssetMetricsRequest, GetLatestAssetMetricsRequest, ListAssetMetricsRequest, ListAssetsRequest,
    ListAssetsResponse, QueryTimeSeriesRequest,
};
use flowmeter_tests::Installation;
use prost_types::Timestamp;

use super::{
    batch, document, emit, everything, from_now, invalid, latest, list_assets, list_latest, list_metrics,
    metric, not_found, shown,
};

#[tokio::test]
async fn a_query_after_a_request_reads_its_values() {
    let installation = Installation::start("asset-own-writes").await;
    let tenant = installation.tenant("acme").await;
    for number in 0..20 {
        let urn = format!("urn:{number:02}");
        let documents = vec![document(&urn, None, vec![metric("number", number)])];
        let id = batch(&tenant, "", documents).await.unwrap().request_id;
        let value = match number % 4 {
            0 => {
                let request = ListAssetMetricsRequest { after_request_id: id, ..everything(&urn) };
                list_metrics(&tenant, request).await.unwrap()[0].metrics[0].value.clone()
            }
            1 => {
                let request = GetLatestAssetMetricsRequest { after_request_id: id, ..latest(&urn) };
                list_latest(&tenant, request).await.unwrap()[0].value.clone()
            }
            2 => {
                let request = ListAssetsRequest { after_request_id: id, ..ListAssetsRequest::default() };
                let last = list_assets(&tenant, request).await.unwrap().pop();
                assert_eq!(last.map(|asset| asset.urn), Some(urn));
                continue;
            }
            _ => {
                let request = QueryTimeSeriesRequest {
                    metric: "asset/number".into(),
                    range: "last(2)".into(),
                    calendar: "#P1D".into(),
                    key: urn,
                    after_request_id: id,
                    ..QueryTimeSeriesRequest::default()
                };
                let points = tenant.series(request).await.unwrap();
                Some(points[0].1.parse::<i32>().unwrap().into())
            }
        };
        assert_eq!(value, Some(number.into()));
    }
}

/// Pages are limited to 10,000 metrics and to 4 MiB, which gRPC clients accept by default. A larger document
/// continues on the next page.
#[tokio::test]
async fn pages_of_large_documents_are_short() {
    let installation = Installation::start("asset-large").await;
    let tenant = installation.tenant("acme").await;
    let mut ids = Vec::new();
    for minutes in 1..=5 {
        let metrics = (0..4_000).map(|number| metric(&format!("m{number:04}"), minutes * number)).collect();
        let documents = vec![document("urn:many", Some(from_now(i64::from(minutes) - 600)), metrics)];
        ids.push(batch(&tenant, "", documents).await.unwrap().request_id);
    }
    // A document of 8 MiB from three requests, and a small one after it.
    let at = from_now(-60);
    let mut names = Vec::new();
    for part in 0..3 {
        let some: Vec<_> = (0..42).map(|number| format!("t{}-{number:02}", 9 - part)).collect();
        let metrics = some.iter().map(|name| metric(name, "x".repeat(65_536))).collect();
        names.extend(some);
        let documents = vec![document("urn:large", Some(at), metrics)];
        ids.push(batch(&tenant, "", documents).await.unwrap().request_id);
    }
    let later = Timestamp { seconds: at.seconds + 1, ..at };
    let small = document("urn:large", Some(later), vec![metric("a", 1)]);
    ids.push(batch(&tenant, "", vec![small]).await.unwrap().request_id);
    for id in ids {
        tenant.settled(&id).await;
    }

    let mut request = everything("urn:many");
    for expected in [8_000, 8_000, 4_000] {
        let page = tenant.query.clone().list_asset_metrics(request.clone()).await.unwrap().into_inner();
        let sizes = page.documents.iter().map(|document| document.metrics.len());
        assert_eq!(sizes.sum::<usize>(), expected);
        request.page_token = page.next_page_token;
    }
    assert_eq!(request.page_token, "");

    // With the default limit of the client.
    let parts = list_metrics(&tenant, everything("urn:large")).await.unwrap();
    assert!(parts.len() > 2, "it is in {} parts", parts.len());
    let all = parts.iter().flat_map(|part| part.metrics.iter().map(|metric| (part.timestamp, &metric.name)));
    let expected = names.iter().map(|name| (Some(at), name)).collect::<Vec<_>>();
    let small = "a".to_owned();
    let expected = [expected, vec![(Some(later), &small)]].concat();
    assert_eq!(all.collect::<Vec<_>>(), expected);
    let current = GetLatestAssetMetricsRequest { page_size: 1_000, ..latest("urn:large") };
    let mut found: Vec<_> =
        list_latest(&tenant, current).await.unwrap().into_iter().map(|metric| metric.name).collect();
    assert!(found.is_sorted());
    names.push(small);
    names.sort();
    found.dedup();
    assert_eq!(found, names);
}

/// An asset with many names that are rarely emitted together has short pages, which are complete.
#[tokio::test]
async fn pages_of_many_names_are_short() {
    let installation = Installation::start("asset-many-names").await;
    let tenant = installation.tenant("acme").await;
    let names: Vec<_> = (0..1_000).map(|number| format!("m{number:03}")).collect();
    let documents = names.iter().zip(-2_000..);
    let documents =
        documents.map(|(name, seconds)| document("urn:a", Some(from_now(seconds)), vec![metric(name, 1)]));
    let answer = batch(&tenant, "", documents.collect()).await.unwrap();
    tenant.settled(&answer.request_id).await;
    let mut request = ListAssetMetricsRequest { page_size: 1_000, ..everything("urn:a") };
    let mut found = Vec::new();
    loop {
        let page = tenant.query.clone().list_asset_metrics(request.clone()).await.unwrap().into_inner();
        assert!((1..=20).contains(&page.documents.len()), "{} documents", page.documents.len());
        found.extend(page.documents.into_iter().flat_map(|document| document.metrics));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found.into_iter().map(|metric| metric.name).collect::<Vec<_>>(), names);
    // What counts is the number of names in the query.
    let named =
        ListAssetMetricsRequest { page_size: 1_000, names: names[..50].to_vec(), ..everything("urn:a") };
    let page = tenant.query.clone().list_asset_metrics(named).await.unwrap().into_inner();
    assert_eq!((page.documents.len(), page.next_page_token.as_str()), (50, ""));
}

type Change<T> = fn(&mut T);

#[tokio::test]
async fn invalid_queries_are_rejected() {
    let installation = Installation::start("asset-questions").await;
    let tenant = installation.tenant("acme").await;
    let mut documents = vec![];
    for seconds in 1..=3 {
        let metrics = vec![metric("a", 1), metric("b", 1), metric("c", 1)];
        documents.push(document("urn:a", Some(from_now(-seconds * 60)), metrics));
        documents.push(document(&format!("urn:b{seconds}"), None, vec![metric("a", 1)]));
    }
    let answer = batch(&tenant, "", documents).await.unwrap();
    tenant.settled(&answer.request_id).await;

    let cases: [(Change<ListAssetMetricsRequest>, &str, &str); 16] = [
        (|it| it.asset_urn = String::new(), "INVALID_FIELD", "asset_urn"),
        (|it| it.asset_urn = "u".repeat(513), "INVALID_FIELD", "asset_urn"),
        (|it| it.asset_urn = "a\0".into(), "INVALID_FIELD", "asset_urn"),
        (|it| it.page_size = -1, "INVALID_FIELD", "page_size"),
        (|it| it.page_size = 1_001, "INVALID_FIELD", "page_size"),
        (|it| it.page_token = "abc".into(), "INVALID_PAGE_TOKEN", "page_token"),
        (|it| it.names = vec!["a".into(); 101], "INVALID_FIELD", "names"),
        (|it| it.names = vec!["a".into(), String::new()], "INVALID_FIELD", "names[1]"),
        (|it| it.names = vec!["n".repeat(513)], "INVALID_FIELD", "names[0]"),
        (|it| it.names = vec!["a\0".into()], "INVALID_FIELD", "names[0]"),
        (|it| it.from = Some(Timestamp { seconds: 0, nanos: -1 }), "INVALID_FIELD", "from"),
        (|it| it.to = Some(Timestamp { seconds: i64::MAX, nanos: 0 }), "INVALID_FIELD", "to"),
        (|it| (it.from, it.to) = (Some(from_now(-59)), Some(from_now(-61))), "INVALID_FIELD", "from"),
        (|it| it.from = Some(from_now(60)), "INVALID_FIELD", "from"),
        (|it| it.to = Some(Timestamp { seconds: -1, nanos: 0 }), "INVALID_FIELD", "to"),
        (|it| it.after_request_id = "x".into(), "INVALID_FIELD", "after_request_id"),
    ];
    for (number, (change, reason, field)) in cases.into_iter().enumerate() {
        let mut request = everything("urn:a");
        change(&mut request);
        let status = list_metrics(&tenant, request).await.unwrap_err();
        assert_eq!(shown(&status), invalid(reason, field), "{number}: {}", status.message());
    }
    let cases: [(Change<GetLatestAssetMetricsRequest>, &str, &str); 9] = [
        (|it| it.asset_urn = String::new(), "INVALID_FIELD", "asset_urn"),
        (|it| it.asset_urn = "a\nb".into(), "INVALID_FIELD", "asset_urn"),
        (|it| it.page_size = -1, "INVALID_FIELD", "page_size"),
        (|it| it.page_size = 1_001, "INVALID_FIELD", "page_size"),
        (|it| it.page_token = "abc".into(), "INVALID_PAGE_TOKEN", "page_token"),
        (|it| it.names = vec!["a".into(); 101], "INVALID_FIELD", "names"),
        (|it| it.names = vec![String::new()], "INVALID_FIELD", "names[0]"),
        (|it| it.names = vec!["a\0".into()], "INVALID_FIELD", "names[0]"),
        (|it| it.after_request_id = "x".into(), "INVALID_FIELD", "after_request_id"),
    ];
    for (number, (change, reason, field)) in cases.into_iter().enumerate() {
        let mut request = latest("urn:a");
        change(&mut request);
        let status = list_latest(&tenant, request).await.unwrap_err();
        assert_eq!(shown(&status), invalid(reason, field), "{number}: {}", status.message());
    }
    let cases: [(Change<ListAssetsRequest>, &str, &str); 6] = [
        (|it| it.prefix = "p".repeat(513), "INVALID_FIELD", "prefix"),
        (|it| it.prefix = "a\0".into(), "INVALID_FIELD", "prefix"),
        (|it| it.page_size = -1, "INVALID_FIELD", "page_size"),
        (|it| it.page_size = 1_001, "INVALID_FIELD", "page_size"),
        (|it| it.page_token = "abc".into(), "INVALID_PAGE_TOKEN", "page_token"),
        (|it| it.after_request_id = "x".into(), "INVALID_FIELD", "after_request_id"),
    ];
    for (number, (change, reason, field)) in cases.into_iter().enumerate() {
        let mut request = ListAssetsRequest::default();
        change(&mut request);
        let status = list_assets(&tenant, request).await.unwrap_err();
        assert_eq!(shown(&status), invalid(reason, field), "{number}: {}", status.message());
    }
}

/// A page token is only valid with the query that returned it.
#[tokio::test]
async fn a_page_token_belongs_to_its_query() {
    let installation = Installation::start("asset-tokens").await;
    let tenant = installation.tenant("acme").await;
    let of =
        |urn: &str, seconds| document(urn, Some(from_now(seconds)), vec![metric("a", 1), metric("b", 1)]);
    let documents = vec![of("urn:a", -60), of("urn:a", -30), of("urn:b", -60), of("urn:b", -30)];
    let answer = batch(&tenant, "", documents).await.unwrap();
    tenant.settled(&answer.request_id).await;
    let mut query = tenant.query.clone();
    let wrong = invalid("INVALID_PAGE_TOKEN", "page_token");

    let first = ListAssetMetricsRequest { page_size: 1, ..everything("urn:a") };
    let page = query.list_asset_metrics(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.documents.len(), 1);
    let second = ListAssetMetricsRequest { page_token: page.next_page_token, ..first };
    let others: [Change<ListAssetMetricsRequest>; 4] = [
        |it| it.asset_urn = "urn:b".into(),
        |it| it.names = vec!["a".into()],
        |it| it.from = Some(from_now(-3_600)),
        |it| it.to = Some(from_now(0)),
    ];
    for (number, change) in others.into_iter().enumerate() {
        let mut other = second.clone();
        change(&mut other);
        assert_eq!(shown(&query.list_asset_metrics(other).await.unwrap_err()), wrong, "{number}");
    }
    let mut cut = second.clone();
    cut.page_token.pop();
    assert_eq!(shown(&query.list_asset_metrics(cut).await.unwrap_err()), wrong);
    // Values that arrive meanwhile do not extend a range up to now. The page size may change between pages.
    let now = document("urn:a", None, vec![metric("a", 1)]);
    let answer = batch(&tenant, "", vec![now]).await.unwrap();
    tenant.settled(&answer.request_id).await;
    let rest = ListAssetMetricsRequest { page_size: 9, ..second };
    let page = query.list_asset_metrics(rest).await.unwrap().into_inner();
    assert_eq!((page.documents.len(), page.next_page_token.as_str()), (1, ""));

    let first = GetLatestAssetMetricsRequest { page_size: 1, ..latest("urn:a") };
    let page = query.get_latest_asset_metrics(first.clone()).await.unwrap().into_inner();
    let second = GetLatestAssetMetricsRequest { page_token: page.next_page_token, ..first };
    let others: [Change<GetLatestAssetMetricsRequest>; 2] =
        [|it| it.asset_urn = "urn:b".into(), |it| it.names = vec!["a".into(), "b".into()]];
    for (number, change) in others.into_iter().enumerate() {
        let mut other = second.clone();
        change(&mut other);
        assert_eq!(shown(&query.get_latest_asset_metrics(other).await.unwrap_err()), wrong, "{number}");
    }
    let first = ListAssetsRequest { prefix: "urn:".into(), page_size: 1, ..ListAssetsRequest::default() };
    let ListAssetsResponse { next_page_token, .. } = query.list_assets(first).await.unwrap().into_inner();
    let other = ListAssetsRequest { page_token: next_page_token, ..ListAssetsRequest::default() };
    assert_eq!(shown(&query.list_assets(other).await.unwrap_err()), wrong);
}

#[tokio::test]
async fn an_asset_belongs_to_its_tenant() {
    let installation = Installation::start("asset-tenants").await;
    let (acme, other) = (installation.tenant("acme").await, installation.tenant("other").await);
    let request = EmitAssetMetricsRequest {
        asset_urn: "urn:crm".into(),
        metrics: vec![metric("score", 1)],
        ..EmitAssetMetricsRequest::default()
    };
    let answer = emit(&acme, request).await.unwrap();
    acme.settled(&answer.request_id).await;
    let absent = ["urn:crm", "urn:nothing"];
    let mut messages = Vec::new();
    for urn in absent {
        for status in [
            list_metrics(&other, everything(urn)).await.unwrap_err(),
            list_latest(&other, latest(urn)).await.unwrap_err(),
        ] {
            assert_eq!(shown(&status), not_found());
            messages.push(status.message().replace(urn, "URN"));
        }
    }
    assert_eq!(messages[..2], messages[2..], "another tenant's asset looks like one that does not exist");
    // An asset exists even if it has no values in the range or with these names.
    let before = ListAssetMetricsRequest { to: Some(from_now(-86_400)), ..everything("urn:crm") };
    assert_eq!(list_metrics(&acme, before).await.unwrap(), []);
    let named = ListAssetMetricsRequest { names: vec!["x".into()], ..everything("urn:crm") };
    assert_eq!(list_metrics(&acme, named).await.unwrap(), []);
    let named = GetLatestAssetMetricsRequest { names: vec!["x".into()], ..latest("urn:crm") };
    assert_eq!(list_latest(&acme, named).await.unwrap(), []);
}
