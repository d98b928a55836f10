//! Flows: registering, changing, deleting and registering again.

use flowmeter_proto::v1::{
    CreateFlowRequest, DeleteFlowRequest, Flow, GetFlowRequest, ListFlowsRequest, UpdateFlowRequest,
};
use flowmeter_tests::{Installation, Tenant};
use prost_types::Duration;
use tonic::{Code, Status};

use super::{mask, shown};

async fn create(tenant: &Tenant, flow: Flow) -> Result<Flow, Status> {
    let request = CreateFlowRequest { flow: Some(flow) };
    Ok(tenant.catalog.clone().create_flow(request).await?.into_inner().flow.unwrap())
}

async fn get(tenant: &Tenant, id: &str) -> Result<Flow, Status> {
    let request = GetFlowRequest { id: id.into() };
    Ok(tenant.catalog.clone().get_flow(request).await?.into_inner().flow.unwrap())
}

/// Changes the fields of a mask, or all fields if the mask is empty.
async fn update(tenant: &Tenant, flow: Flow, paths: &[&str]) -> Result<Flow, Status> {
    let request = UpdateFlowRequest { flow: Some(flow), update_mask: Some(mask(paths)) };
    Ok(tenant.catalog.clone().update_flow(request).await?.into_inner().flow.unwrap())
}

async fn delete(tenant: &Tenant, id: &str, version: i32) -> Result<(), Status> {
    let request = DeleteFlowRequest { id: id.into(), version };
    tenant.catalog.clone().delete_flow(request).await.map(|_| ())
}

/// A flow with a value in every field.
fn flow(id: &str) -> Flow {
    Flow {
        id: id.into(),
        name: "Appointments".into(),
        endpoint_url: "https://example.com/flows/appointments?v=1".into(),
        data_api_version: "3.0".into(),
        time_zone: "America/Los_Angeles".into(),
        check_interval: Some(Duration { seconds: 90, nanos: 500_000_000 }),
        ..Flow::default()
    }
}

/// The fields of a flow that a client sets.
fn said(flow: &Flow) -> Flow {
    Flow { version: 0, create_time: None, update_time: None, ..flow.clone() }
}

#[tokio::test]
async fn a_flow_is_registered_changed_and_deleted() {
    let installation = Installation::start("flow-catalog").await;
    let tenant = installation.tenant("acme").await;
    let created = create(&tenant, flow("1 / ä")).await.unwrap();
    assert_eq!((said(&created), created.version), (flow("1 / ä"), 1));
    assert!(created.create_time.is_some() && created.create_time == created.update_time);
    assert_eq!(get(&tenant, "1 / ä").await.unwrap(), created);
    let taken = create(&tenant, flow("1 / ä")).await.unwrap_err();
    assert_eq!(shown(&taken), (Code::AlreadyExists, "ALREADY_EXISTS".to_owned(), vec![]));
    let bare = create(&tenant, Flow { id: "bare".into(), ..Flow::default() }).await.unwrap();
    let expected = Flow { id: "bare".into(), time_zone: "UTC".into(), ..Flow::default() };
    assert_eq!(said(&bare), expected);

    // An update changes the fields of the mask, or all fields without a mask.
    let change =
        Flow { id: "1 / ä".into(), name: "Bookings".into(), time_zone: "Asia/Kolkata".into(), ..flow("") };
    let change = Flow { id: "1 / ä".into(), endpoint_url: String::new(), version: 1, ..change };
    let updated = update(&tenant, change.clone(), &["name", "time_zone"]).await.unwrap();
    let expected = Flow { endpoint_url: flow("").endpoint_url, ..said(&change) };
    assert_eq!((said(&updated), updated.version), (expected, 2));
    assert_eq!(updated.create_time, created.create_time);
    let stale = update(&tenant, change.clone(), &[]).await.unwrap_err();
    assert_eq!(shown(&stale).1, "VERSION_MISMATCH");
    let all = Flow { check_interval: None, version: 0, ..change };
    let updated = update(&tenant, all.clone(), &[]).await.unwrap();
    assert_eq!((said(&updated), updated.version), (all.clone(), 3));
    for path in ["id", "version", "create_time", "check_interval.seconds", "x"] {
        let failure = update(&tenant, all.clone(), &[path]).await.unwrap_err();
        assert_eq!(shown(&failure).2, ["update_mask"], "{path}");
    }

    assert_eq!(shown(&delete(&tenant, "1 / ä", 2).await.unwrap_err()).1, "VERSION_MISMATCH");
    delete(&tenant, "1 / ä", 3).await.unwrap();
    let not_found = (Code::NotFound, "NOT_FOUND".to_owned(), vec![]);
    for failure in [
        get(&tenant, "1 / ä").await.map(|_| ()),
        update(&tenant, all, &[]).await.map(|_| ()),
        delete(&tenant, "1 / ä", 0).await,
    ] {
        assert_eq!(shown(&failure.unwrap_err()), not_found);
    }
}

#[tokio::test]
async fn a_deleted_flow_is_registered_again() {
    let installation = Installation::start("flow-revived").await;
    let tenant = installation.tenant("acme").await;
    let first = create(&tenant, flow("f")).await.unwrap();
    delete(&tenant, "f", 0).await.unwrap();
    let again = create(&tenant, Flow { id: "f".into(), name: "Again".into(), ..Flow::default() }).await;
    let again = again.unwrap();
    let expected = Flow { id: "f".into(), name: "Again".into(), time_zone: "UTC".into(), ..Flow::default() };
    assert_eq!(
        (said(&again), again.version),
        (expected, 2),
        "only the version continues from the deleted flow"
    );
    assert_eq!(again.create_time, first.create_time);
    assert_ne!(again.update_time, first.update_time);
    assert_eq!(create(&tenant, flow("f")).await.unwrap_err().code(), Code::AlreadyExists);
    assert_eq!(get(&tenant, "f").await.unwrap(), again);
}

#[tokio::test]
async fn flows_are_listed_by_id() {
    let installation = Installation::start("listed-flows").await;
    let tenant = installation.tenant("acme").await;
    for id in ["b", "B", "ä", "10", "9", "a b", "gone"] {
        create(&tenant, flow(id)).await.unwrap();
    }
    delete(&tenant, "gone", 0).await.unwrap();
    let mut ids = Vec::new();
    let mut list = ListFlowsRequest { page_size: 2, ..ListFlowsRequest::default() };
    loop {
        let page = tenant.catalog.clone().list_flows(list.clone()).await.unwrap().into_inner();
        assert!(page.flows.len() <= 2);
        ids.extend(page.flows.into_iter().map(|flow| flow.id));
        if page.next_page_token.is_empty() {
            break;
        }
        list.page_token = page.next_page_token;
    }
    assert_eq!(ids, ["10", "9", "B", "a b", "b", "ä"]);
    for (list, reason, field) in [
        (ListFlowsRequest { page_size: 1_001, ..Default::default() }, "INVALID_FIELD", "page_size"),
        (
            ListFlowsRequest { page_token: "abc".into(), ..Default::default() },
            "INVALID_PAGE_TOKEN",
            "page_token",
        ),
    ] {
        let failure = tenant.catalog.clone().list_flows(list).await.unwrap_err();
        let expected = (Code::InvalidArgument, reason.to_owned(), vec![field.to_owned()]);
        assert_eq!(shown(&failure), expected);
    }
}

#[tokio::test]
async fn another_tenants_flow_is_not_found() {
    let installation = Installation::start("others-flow").await;
    let (acme, other) = (installation.tenant("acme").await, installation.tenant("other").await);
    create(&acme, flow("f")).await.unwrap();
    for failure in [
        get(&other, "f").await.map(|_| ()),
        update(&other, flow("f"), &[]).await.map(|_| ()),
        delete(&other, "f", 0).await,
    ] {
        assert_eq!(failure.unwrap_err().code(), Code::NotFound);
    }
    let listed = other.catalog.clone().list_flows(ListFlowsRequest::default()).await.unwrap();
    assert_eq!(listed.into_inner().flows, []);
    assert_eq!(create(&other, flow("f")).await.unwrap().version, 1, "each tenant has its own ids");
}

#[tokio::test]
async fn errors_name_the_invalid_field_of_a_flow() {
    let installation = Installation::start("wrong-flows").await;
    let tenant = installation.tenant("acme").await;
    create(&tenant, flow("f")).await.unwrap();
    let invalid = |field: &str| (Code::InvalidArgument, "INVALID_FIELD".to_owned(), vec![field.to_owned()]);
    let interval = |seconds, nanos| Some(Duration { seconds, nanos });
    for (wrong, field) in [
        (Flow { id: String::new(), ..flow("") }, "flow.id"),
        (Flow { id: "a\nb".into(), ..flow("") }, "flow.id"),
        (Flow { id: "x".repeat(129), ..flow("") }, "flow.id"),
        (Flow { name: "x".repeat(1_025), ..flow("f") }, "flow.name"),
        (Flow { name: "a\0".into(), ..flow("f") }, "flow.name"),
        (Flow { endpoint_url: "example.com/flow".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: "ftp://example.com".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: "https://a:b@example.com".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: "https://example.com/#a".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: "https://example.com/a b".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: "https://example.com:0/".into(), ..flow("f") }, "flow.endpoint_url"),
        (Flow { endpoint_url: format!("https://a/{}", "x".repeat(2_048)), ..flow("f") }, "flow.endpoint_url"),
        (Flow { data_api_version: "v3.0".into(), ..flow("f") }, "flow.data_api_version"),
        (Flow { time_zone: "Europe/Nowhere".into(), ..flow("f") }, "flow.time_zone"),
        (Flow { check_interval: interval(0, 999_999_999), ..flow("f") }, "flow.check_interval"),
        (Flow { check_interval: interval(86_400, 1), ..flow("f") }, "flow.check_interval"),
        (Flow { check_interval: interval(-1, 0), ..flow("f") }, "flow.check_interval"),
    ] {
        let failure = create(&tenant, wrong.clone()).await.unwrap_err();
        assert_eq!(shown(&failure), invalid(field), "{wrong:?}");
        assert_eq!(shown(&update(&tenant, wrong, &[]).await.unwrap_err()), invalid(field));
    }
    let mut catalog = tenant.catalog.clone();
    let nothing = catalog.create_flow(CreateFlowRequest { flow: None }).await.unwrap_err();
    assert_eq!(shown(&nothing), invalid("flow"));
    assert_eq!(shown(&get(&tenant, "a\0").await.unwrap_err()), invalid("id"));
    assert_eq!(shown(&delete(&tenant, "", 0).await.unwrap_err()), invalid("id"));
    assert_eq!(shown(&delete(&tenant, "f", -1).await.unwrap_err()), invalid("version"));
    let negative = Flow { version: -1, ..flow("f") };
    assert_eq!(shown(&update(&tenant, negative, &[]).await.unwrap_err()), invalid("flow.version"));
    assert_eq!(get(&tenant, "f").await.unwrap().version, 1, "nothing was changed");
}
