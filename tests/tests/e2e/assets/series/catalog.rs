//! Asset metrics in the catalog, and time series of objects that read them.

use flowmeter_proto::v1::{
    CreateMetricRequest, CreateTimeSeriesRequest, GetMetricRequest, ListMetricsRequest, ListProvidersRequest,
    Metric, Observed, QueryTimeSeriesRequest, TimeSeries,
};
use prost_types::Value;
use tonic::{Code, Status};

use super::super::{invalid, not_found, of_any_age, shown};
use super::{ask, only_point, put};

#[tokio::test]
async fn metrics_of_assets_are_in_the_catalog() {
    let installation = of_any_age("asset-catalog").await;
    let tenant = installation.tenant("acme").await;
    let mut catalog = tenant.catalog.clone();
    let names = async |provider: &str| -> Result<Vec<String>, Status> {
        let request = ListMetricsRequest { provider: provider.into(), ..ListMetricsRequest::default() };
        let metrics = tenant.catalog.clone().list_metrics(request).await?.into_inner().metrics;
        Ok(metrics.into_iter().map(|metric| metric.name).collect())
    };
    let count = async || {
        let providers = tenant.catalog.clone().list_providers(ListProvidersRequest {}).await.unwrap();
        let providers = providers.into_inner().providers;
        assert!(providers.is_sorted_by_key(|provider| provider.name.clone()));
        let provider = providers.into_iter().find(|provider| provider.name == "asset");
        provider.map(|provider| (provider.built_in, provider.metric_count, provider.filter_fields))
    };
    let fields = vec!["asset_urn".to_owned()];
    assert_eq!(count().await, Some((true, 0, fields.clone())));
    assert_eq!(names("asset").await.unwrap(), Vec::<String>::new());

    let long = "n".repeat(512);
    let values = [
        ("urn:a", 0, "quality", Value::from(0.5)),
        ("urn:b", 60, "quality", Value::from(1)),
        ("urn:a", 0, "isActive", Value::from(true)),
        ("urn:a", 60, "isActive", Value::from(false)),
        ("urn:a", 120, "isActive", Value::from(true)),
        ("urn:a", 0, "both", Value::from(false)),
        ("urn:b", 0, "both", Value::from(4)),
        ("urn:a", 0, "badge", Value::from("gold")),
        ("urn:a", 0, "Nombre d'objets / ü", Value::from(7)),
        ("urn:a", 0, &long, Value::from(8)),
    ];
    put(&tenant, &values).await;
    assert_eq!(count().await, Some((true, 5, fields)));
    let all = [
        "asset/Nombre d'objets / ü".to_owned(),
        "asset/both".into(),
        "asset/isActive".into(),
        format!("asset/{long}"),
        "asset/quality".into(),
    ];
    assert_eq!(names("asset").await.unwrap(), all);
    let everywhere = names("").await.unwrap();
    assert!(everywhere.iter().all(|name| !name.starts_with("asset/")), "there can be many: {everywhere:?}");
    let stranger = installation.tenant("other").await;
    let request = GetMetricRequest { name: "asset/quality".into(), version: 0 };
    let status = stranger.catalog.clone().get_metric(request).await.unwrap_err();
    assert_eq!(shown(&status), not_found());

    for (name, default, value, of) in [
        ("asset/quality", Observed::Averaged, "0.75", 2),
        ("asset/isActive", Observed::FractionTrue, "0.666666667", 3),
        ("asset/Nombre d'objets / ü", Observed::Averaged, "7", 1),
        (&all[3], Observed::Averaged, "8", 1),
    ] {
        let get = GetMetricRequest { name: name.into(), version: 0 };
        let found = catalog.get_metric(get).await.unwrap().into_inner().metric.unwrap();
        assert_eq!((found.name.as_str(), found.default_observed()), (name, default));
        let answer = ask(&tenant, |it| it.metric = name.into()).await.unwrap();
        assert_eq!((answer.metric.as_str(), answer.observed()), (name, default));
        assert_eq!(only_point(&answer), (Some(value), of), "{name}");
    }
    let get = GetMetricRequest { name: "asset/both".into(), version: 0 };
    let found = catalog.get_metric(get).await.unwrap().into_inner().metric.unwrap();
    assert_eq!((found.default_observed(), found.unit.as_str()), (Observed::Unspecified, ""));
    let mut pages = Vec::new();
    let mut request =
        ListMetricsRequest { provider: "asset".into(), page_size: 2, ..ListMetricsRequest::default() };
    loop {
        let page = catalog.list_metrics(request.clone()).await.unwrap().into_inner();
        pages.push(page.metrics.into_iter().map(|metric| metric.name).collect::<Vec<_>>());
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            break;
        }
    }
    assert_eq!(pages, [&all[..2], &all[2..4], &all[4..]]);
    for name in ["asset/badge", "asset/none", "asset/Quality"] {
        let get = GetMetricRequest { name: name.into(), version: 0 };
        assert_eq!(shown(&catalog.get_metric(get).await.unwrap_err()), not_found(), "{name}");
        let status = ask(&tenant, |it| it.metric = name.into()).await.unwrap_err();
        assert_eq!(shown(&status), not_found(), "{name}");
    }
    // Asset metrics cannot be defined.
    let own = Metric { name: "asset/own".into(), ..Metric::default() };
    let status = catalog.create_metric(CreateMetricRequest { metric: Some(own) }).await.unwrap_err();
    assert!(matches!(status.code(), Code::InvalidArgument | Code::FailedPrecondition), "{status:?}");
}

/// A value of the other type that was sent by mistake does not silently change answers.
#[tokio::test]
async fn a_metric_with_numbers_and_booleans_has_no_default() {
    let installation = of_any_age("asset-no-default").await;
    let tenant = installation.tenant("acme").await;
    let mut catalog = tenant.catalog.clone();
    let urns = ["urn:a", "urn:b", "urn:c", "urn:d", "urn:e"];
    let values = urns.map(|urn| (urn, 0, "isOn", Value::from(urn <= "urn:c")));
    put(&tenant, &values).await;
    let series = TimeSeries { provider: "asset".into(), metric: "isOn".into(), ..TimeSeries::default() };
    let create = |id: &str| CreateTimeSeriesRequest {
        parent: "objects/CRM".into(),
        time_series_id: id.into(),
        time_series: Some(series.clone()),
    };
    let stored = catalog.create_time_series(create("ON")).await.unwrap().into_inner().time_series.unwrap();
    assert_eq!(stored.observed(), Observed::FractionTrue, "the current default is stored");
    let is_on = |it: &mut QueryTimeSeriesRequest| it.metric = "asset/isOn".into();
    assert_eq!(only_point(&ask(&tenant, is_on).await.unwrap()), (Some("0.6"), 5));

    put(&tenant, &[("urn:a", 0, "isOn", 1.into())]).await;
    put(&tenant, &[("urn:a", 0, "isOn", true.into())]).await;
    let status = ask(&tenant, is_on).await.unwrap_err();
    assert_eq!(shown(&status), invalid("INVALID_FIELD", "observed"));
    for reading in ["OBSERVED_SUMMED, _AVERAGED", "OBSERVED_COUNT_TRUE"] {
        assert!(status.message().contains(reading), "{}", status.message());
    }
    let fraction = ask(&tenant, |it| {
        is_on(it);
        it.observed = Observed::FractionTrue.into();
    });
    assert_eq!(only_point(&fraction.await.unwrap()), (Some("0.6"), 5));
    let answer = ask(&tenant, |it| {
        it.metric = String::new();
        it.time_series = "objects/CRM/timeSeries/ON".into();
    });
    assert_eq!(only_point(&answer.await.unwrap()), (Some("0.6"), 5));
    let status = catalog.create_time_series(create("LATER")).await.unwrap_err();
    assert_eq!(shown(&status), invalid("INVALID_FIELD", "time_series.observed"));
}

/// A time series of an object has its own filter, which a query narrows.
#[tokio::test]
async fn a_time_series_of_an_object_reads_assets() {
    let installation = of_any_age("asset-stored-series").await;
    let tenant = installation.tenant("acme").await;
    let values = [0, 60, 120].map(|seconds| ("urn:a", seconds, "isActive", Value::from(seconds != 60)));
    put(&tenant, &values).await;
    put(&tenant, &[("urn:b", 0, "isActive", true.into()), ("urn:a", 0, "badge", "gold".into())]).await;
    let mut catalog = tenant.catalog.clone();
    let series = TimeSeries {
        provider: "asset".into(),
        metric: "isActive".into(),
        calendar: "#P1D".into(),
        observed: Observed::CountTrue.into(),
        filter: "asset_urn = \"urn:a\"".into(),
        time_zone: "Europe/Berlin".into(),
        ..TimeSeries::default()
    };
    let create = |id: &str, series: &TimeSeries| CreateTimeSeriesRequest {
        parent: "objects/CRM".into(),
        time_series_id: id.into(),
        time_series: Some(series.clone()),
    };
    catalog.create_time_series(create("ACTIVE", &series)).await.unwrap();
    let stored = |it: &mut QueryTimeSeriesRequest| {
        (it.metric, it.calendar) = (String::new(), String::new());
        it.time_series = "objects/CRM/timeSeries/ACTIVE".into();
    };
    let answer = ask(&tenant, stored).await.unwrap();
    assert_eq!((answer.calendar.as_str(), answer.time_zone.as_str()), ("#P1D", "Europe/Berlin"));
    assert_eq!((answer.observed(), only_point(&answer)), (Observed::CountTrue, (Some("2"), 3)));
    let narrowed = ask(&tenant, |it| {
        stored(it);
        (it.filter, it.observed) = ("asset_urn != \"urn:a\"".into(), Observed::CountFalse.into());
    });
    assert_eq!(narrowed.await.unwrap().series[0].points, []);
    for (wrong, code) in [
        (TimeSeries { metric: "badge".into(), ..series.clone() }, Code::NotFound),
        (TimeSeries { filter: "user = x".into(), ..series.clone() }, Code::InvalidArgument),
        (TimeSeries { observed: Observed::Summed.into(), ..series.clone() }, Code::InvalidArgument),
    ] {
        let status = catalog.create_time_series(create("WRONG", &wrong)).await.unwrap_err();
        assert_eq!(status.code(), code, "{wrong:?}: {}", status.message());
    }
}
