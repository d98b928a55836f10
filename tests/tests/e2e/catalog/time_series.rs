//! Stored time series.

use flowmeter_proto::v1::{
    CreateTimeSeriesRequest, DeleteTimeSeriesRequest, GetTimeSeriesRequest, ListTimeSeriesRequest, Observed,
    QueryTimeSeriesRequest, TimeSeries, UpdateTimeSeriesRequest,
};
use flowmeter_tests::{Installation, event, request_id};
use tonic::{Code, Status};

use super::{mask, shown};

#[tokio::test]
async fn a_stored_time_series_is_read_like_a_virtual_one() {
    let installation = Installation::start("stored-series").await;
    let tenant = installation.tenant("acme").await;
    let mut run = event();
    (run.provider, run.method) = ("ODSLProcess".into(), String::new());
    run.attributes.insert("name".into(), "import".into());
    let mut other = run.clone();
    other.attributes.insert("name".into(), "export".into());
    let request = request_id();
    tenant.record(&request, vec![run.clone(), run, other]).await.unwrap();
    tenant.settled(&request).await;

    let mut catalog = tenant.catalog.clone();
    // The example in the documentation of the metric service, with a filter.
    let series = TimeSeries {
        provider: "ODSLProcess".into(),
        metric: "RunRequests".into(),
        calendar: "#PT1H".into(),
        observed: Observed::Summed.into(),
        filter: r#"{"name":"import"}"#.into(),
        ..TimeSeries::default()
    };
    let create = CreateTimeSeriesRequest {
        parent: "objects/AAA".into(),
        time_series_id: "PROCESS_RUNS_HOURLY".into(),
        time_series: Some(series.clone()),
    };
    let created = catalog.create_time_series(create.clone()).await.unwrap().into_inner().time_series.unwrap();
    assert_eq!(created.name, "objects/AAA/timeSeries/PROCESS_RUNS_HOURLY");
    assert_eq!(created.r#type, "VarMetricTimeSeries");
    assert_eq!(catalog.create_time_series(create.clone()).await.unwrap_err().code(), Code::AlreadyExists);
    let wrong = |change: fn(&mut TimeSeries)| {
        let mut request = create.clone();
        request.time_series_id = "OTHER".into();
        change(request.time_series.as_mut().unwrap());
        request
    };
    let everywhere = CreateTimeSeriesRequest { parent: "objects/-".into(), ..create.clone() };
    assert_eq!(catalog.create_time_series(everywhere).await.unwrap_err().code(), Code::InvalidArgument);
    for (change, code) in [
        ((|it| it.metric = "Runs".into()) as fn(&mut TimeSeries), Code::NotFound),
        (|it| it.calendar = "GAS".into(), Code::NotFound),
        (|it| it.calendar = "#P".into(), Code::InvalidArgument),
        (|it| it.filter = "a".into(), Code::InvalidArgument),
        (|it| it.time_zone = "x".into(), Code::InvalidArgument),
    ] {
        assert_eq!(catalog.create_time_series(wrong(change)).await.unwrap_err().code(), code);
    }

    let read = async |change: fn(&mut QueryTimeSeriesRequest)| {
        let mut request = QueryTimeSeriesRequest {
            time_series: "objects/AAA/timeSeries/PROCESS_RUNS_HOURLY".into(),
            range: "T".into(),
            ..QueryTimeSeriesRequest::default()
        };
        change(&mut request);
        let points = tenant.series(request).await?;
        Ok::<_, Status>(points.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
    };
    assert_eq!(read(|_| {}).await.unwrap(), ["2"]);
    assert_eq!(read(|it| it.filter = "name = export".into()).await.unwrap(), Vec::<String>::new());
    assert_eq!(read(|it| it.observed = Observed::High.into()).await.unwrap(), ["1"]);
    assert_eq!(read(|it| it.calendar = "#P1Y".into()).await.unwrap(), ["2"]);

    let change = TimeSeries { name: created.name.clone(), filter: String::new(), ..TimeSeries::default() };
    let update = UpdateTimeSeriesRequest { time_series: Some(change), update_mask: Some(mask(&["filter"])) };
    let updated = catalog.update_time_series(update).await.unwrap().into_inner().time_series.unwrap();
    assert_eq!((updated.version, updated.metric.as_str()), (2, "RunRequests"));
    assert_eq!(read(|_| {}).await.unwrap(), ["3"]);

    let delete = DeleteTimeSeriesRequest { name: created.name.clone(), version: 1 };
    assert_eq!(shown(&catalog.delete_time_series(delete.clone()).await.unwrap_err()).1, "VERSION_MISMATCH");
    catalog.delete_time_series(DeleteTimeSeriesRequest { version: 2, ..delete }).await.unwrap();
    assert_eq!(read(|_| {}).await.unwrap_err().code(), Code::NotFound);
    let get = GetTimeSeriesRequest { name: created.name };
    assert_eq!(catalog.get_time_series(get).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn series_are_listed_by_object_and_name() {
    let installation = Installation::start("listed-series").await;
    let tenant = installation.tenant("acme").await;
    let mut catalog = tenant.catalog.clone();
    let series =
        TimeSeries { provider: "ODSLProcess".into(), metric: "RunRequests".into(), ..TimeSeries::default() };
    for object in ["AAA", "BBB", "#HENG"] {
        for id in ["ONE", "TWO"] {
            let request = CreateTimeSeriesRequest {
                parent: format!("objects/{object}"),
                time_series_id: id.into(),
                time_series: Some(series.clone()),
            };
            catalog.create_time_series(request).await.unwrap();
        }
    }
    let mut names = Vec::new();
    let mut list = ListTimeSeriesRequest { page_size: 2, ..ListTimeSeriesRequest::default() };
    loop {
        let page = catalog.list_time_series(list.clone()).await.unwrap().into_inner();
        names.extend(page.time_series.into_iter().map(|series| series.name));
        if page.next_page_token.is_empty() {
            break;
        }
        list.page_token = page.next_page_token;
    }
    let ends: Vec<_> = names.iter().map(|name| name.trim_start_matches("objects/")).collect();
    assert_eq!(
        ends,
        [
            "#HENG/timeSeries/ONE",
            "#HENG/timeSeries/TWO",
            "AAA/timeSeries/ONE",
            "AAA/timeSeries/TWO",
            "BBB/timeSeries/ONE",
            "BBB/timeSeries/TWO",
        ]
    );
    let of_one = ListTimeSeriesRequest { parent: "objects/#HENG".into(), ..ListTimeSeriesRequest::default() };
    assert_eq!(catalog.list_time_series(of_one).await.unwrap().into_inner().time_series.len(), 2);
}
