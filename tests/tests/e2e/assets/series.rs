//! Values of assets as time series: every answer must match a naive evaluation of the newest values.
//!
//! The queries are derived from a seed, which a failure prints; `FLOWMETER_TEST_SEED` sets it.

mod catalog;
mod naive;

use flowmeter_proto::v1::{Fill, Observed, QueryTimeSeriesRequest, QueryTimeSeriesResponse};
use flowmeter_tests::{Tenant, request_id};
use futures::{StreamExt, stream};
use prost_types::Value;
use tonic::Status;

use self::naive::{Question, World};
use super::{batch, document, invalid, metric, of_any_age, shown, timestamp, typed};
use crate::dice::Dice;

const SEED: u64 = 20_240_305;
const QUESTIONS: usize = 800;
const AT_ONCE: usize = 8;

async fn ask(
    tenant: &Tenant,
    change: impl FnOnce(&mut QueryTimeSeriesRequest),
) -> Result<QueryTimeSeriesResponse, Status> {
    let mut request = QueryTimeSeriesRequest {
        metric: "asset/quality".into(),
        range: "2024-03".into(),
        calendar: "#P1M".into(),
        ..QueryTimeSeriesRequest::default()
    };
    change(&mut request);
    Ok(tenant.query.clone().query_time_series(request).await?.into_inner())
}

/// Emits values of a metric: each with its asset, and its time in seconds since the start of March 2024.
async fn put(tenant: &Tenant, values: &[(&str, i64, &str, Value)]) {
    let documents = values.iter().map(|(urn, seconds, name, value)| {
        let at = timestamp((1_709_251_200 + seconds) * 1_000_000);
        document(urn, Some(at), vec![metric(name, value.clone())])
    });
    let answer = batch(tenant, &request_id(), documents.collect()).await.unwrap();
    assert_eq!(answer.rejections, []);
    tenant.settled(&answer.request_id).await;
}

/// The value of the only point, and the number of aggregated values.
fn only_point(answer: &QueryTimeSeriesResponse) -> (Option<&str>, i64) {
    assert_eq!((answer.series.len(), answer.series[0].points.len()), (1, 1), "{answer:?}");
    let point = &answer.series[0].points[0];
    (point.value.as_deref(), point.count)
}

#[tokio::test]
async fn answers_match_a_naive_evaluation() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    let installation = of_any_age("asset-series").await;
    let (tenant, other) = (installation.tenant("acme").await, installation.tenant("other").await);
    let mut world = World::default();
    let mut asked = 0;
    for chapter in 0..3 {
        // Values of another tenant for the same assets must not count.
        let senders = if chapter == 0 { &[&tenant, &other][..] } else { &[&tenant] };
        for (id, documents) in world.write(&mut dice) {
            for sender in senders {
                let answer = batch(sender, &id, documents.clone()).await.unwrap();
                assert_eq!(answer.rejections, []);
                sender.settled(&id).await;
            }
        }
        let questions: Vec<_> = (0..QUESTIONS).map(|_| Question::random(&mut dice)).collect();
        let answers = stream::iter(&questions).map(|question| question.check(&tenant, &world));
        let answers = answers.buffer_unordered(AT_ONCE).filter_map(async |answer| answer.err());
        let wrong: Vec<String> = answers.collect().await;
        asked += questions.len();
        if let Some(shortest) = wrong.iter().min_by_key(|text| text.len()) {
            panic!("{} of {QUESTIONS} answers are wrong, such as\n{shortest}", wrong.len());
        }
    }
    assert_eq!(asked, 3 * QUESTIONS);
}

#[tokio::test]
async fn sums_are_exact_and_averages_rounded_once() {
    use flowmeter_proto::v1::asset_metric::ValueType::Number;
    let installation = of_any_age("asset-exact").await;
    let tenant = installation.tenant("acme").await;
    let of_1024 =
        |value| std::iter::once(value).chain(std::iter::repeat("0")).take(1_024).collect::<Vec<_>>();
    let cases: [(&str, &[&str], Observed, &str); 14] = [
        (
            "wide",
            &["9999999999999999999999999999", "0.1"],
            Observed::Summed,
            "9999999999999999999999999999.1",
        ),
        (
            "wider",
            &["9999999999999999999999999999", "0.0000000000000000000000000001", "1"],
            Observed::Summed,
            "10000000000000000000000000000.0000000000000000000000000001",
        ),
        (
            "cancelled",
            &["9999999999999999999999999999", "-9999999999999999999999999998"],
            Observed::Summed,
            "1",
        ),
        (
            "largest",
            &["9999999999999999999999999998", "9999999999999999999999999999"],
            Observed::High,
            "9999999999999999999999999999",
        ),
        (
            "smallest",
            &["0.0000000000000000000000000002", "0.0000000000000000000000000001"],
            Observed::Low,
            "0.0000000000000000000000000001",
        ),
        ("thirds", &["1", "1", "0"], Observed::Averaged, "0.666666667"),
        // 1/1024 has one decimal more than the average keeps.
        ("up", &of_1024("1"), Observed::Averaged, "0.000976563"),
        ("down", &of_1024("-1"), Observed::Averaged, "-0.000976563"),
        ("just-below", &of_1024("0.9999"), Observed::Averaged, "0.0009764648438"),
        ("half", &["0.000000001", "0"], Observed::Averaged, "0.0000000005"),
        ("finest", &["0.0000000000000000000000000001"], Observed::Averaged, "0.0000000000000000000000000001"),
        (
            "fine-thirds",
            &["1000000000000000000000000000", "0.0000000000000000000000000001", "0"],
            Observed::Averaged,
            "333333333333333333333333333.3333333333333333333333333333666666667",
        ),
        ("tiny", &["0.0000000001234"], Observed::Averaged, "0.0000000001234"),
        ("tiny-sum", &["0.0000000001234"], Observed::Summed, "0.0000000001234"),
    ];
    let documents = cases.iter().flat_map(|(name, values, ..)| {
        values.iter().zip(0..).map(|(value, seconds)| {
            let at = timestamp((1_709_251_200 + seconds) * 1_000_000);
            document("urn:a", Some(at), vec![typed(name, *value, Number)])
        })
    });
    let answer = batch(&tenant, "", documents.collect()).await.unwrap();
    assert_eq!(answer.rejections, []);
    tenant.settled(&answer.request_id).await;
    for (name, values, observed, expected) in cases {
        let answer = ask(&tenant, |it| {
            (it.metric, it.observed) = (format!("asset/{name}"), observed.into());
        });
        let count = i64::try_from(values.len()).unwrap();
        assert_eq!(only_point(&answer.await.unwrap()), (Some(expected), count), "{name}");
    }
}

/// Values with the same time are ordered by the URN of their asset.
#[tokio::test]
async fn first_and_last_values_are_ordered_by_time_and_urn() {
    let installation = of_any_age("asset-first").await;
    let tenant = installation.tenant("acme").await;
    let quality = |urn, seconds, value: i32| (urn, seconds, "quality", Value::from(value));
    let values = [
        quality("urn:b", 0, 1),
        quality("urn:B", 0, 2),
        quality("urn:a", 0, 3),
        quality("urn:ü", 60, 4),
        quality("urn:b", 60, 5),
        quality("urn:c", 60, 6),
    ];
    put(&tenant, &values).await;
    for (observed, filter, expected) in [
        (Observed::Beginning, "", "2"),
        (Observed::End, "", "4"),
        (Observed::Beginning, "asset_urn =~ \"^urn:[a-z]$\"", "3"),
        (Observed::End, "asset_urn IN (\"urn:a\", \"urn:b\")", "5"),
    ] {
        let answer = ask(&tenant, |it| (it.observed, it.filter) = (observed.into(), filter.into()));
        assert_eq!(only_point(&answer.await.unwrap()).0, Some(expected), "{observed:?} {filter}");
    }
}

/// A newer request replaces a value, even by one of another type.
#[tokio::test]
async fn a_replaced_value_no_longer_counts() {
    let installation = of_any_age("asset-replaced").await;
    let tenant = installation.tenant("acme").await;
    let quality = |seconds, value: Value| ("urn:a", seconds, "quality", value);
    let read = async |observed: Observed| {
        let answer = ask(&tenant, |it| {
            (it.observed, it.fill) = (observed.into(), Fill::Zero.into());
        });
        let answer = answer.await.unwrap();
        let (value, count) = only_point(&answer);
        (value.unwrap().to_owned(), count)
    };
    let is = |value: &str, count| (value.to_owned(), count);
    put(&tenant, &[quality(0, 1.into()), quality(1, 2.into()), quality(2, 3.into())]).await;
    assert_eq!(read(Observed::Summed).await, is("6", 3));
    put(&tenant, &[quality(1, 20.into())]).await;
    assert_eq!(read(Observed::Summed).await, is("24", 3));
    put(&tenant, &[quality(1, true.into()), quality(2, "n/a".into())]).await;
    assert_eq!(read(Observed::Summed).await, is("1", 1));
    assert_eq!(read(Observed::FractionTrue).await, is("1", 1));
    put(&tenant, &[quality(1, false.into()), quality(0, "n/a".into())]).await;
    assert_eq!(read(Observed::Summed).await, is("0", 0));
    assert_eq!(read(Observed::CountFalse).await, is("1", 1));
    assert_eq!(read(Observed::CountTrue).await, is("0", 1));
}

type Change = fn(&mut QueryTimeSeriesRequest);

#[tokio::test]
async fn invalid_queries_are_rejected() {
    let installation = of_any_age("asset-series-questions").await;
    let tenant = installation.tenant("acme").await;
    put(&tenant, &[("urn:a", 0, "quality", 1.into()), ("urn:a", 0, "isActive", true.into())]).await;
    let active = |it: &mut QueryTimeSeriesRequest| it.metric = "asset/isActive".into();
    assert!(ask(&tenant, active).await.is_ok());
    let cases: [(Change, &str, &str); 19] = [
        (|it| it.filter = "user = x".into(), "INVALID_FILTER", "filter"),
        (|it| it.filter = "asset_urn = x OR value > 5".into(), "INVALID_FILTER", "filter"),
        (|it| it.filter = "{\"name\":\"quality\"}".into(), "INVALID_FILTER", "filter"),
        (|it| it.filter = "asset_urn".into(), "INVALID_FILTER", "filter"),
        (|it| it.filter = "asset_urn > 5".into(), "INVALID_FILTER", "filter"),
        (|it| it.filter = "{\"asset_urn\":{\"$gt\":5}}".into(), "INVALID_FILTER", "filter"),
        (|it| it.group_by = vec!["user".into()], "INVALID_FIELD", "group_by[0]"),
        (|it| it.group_by = vec!["asset_urn".into(), "name".into()], "INVALID_FIELD", "group_by[1]"),
        (|it| it.group_by = vec!["asset_urn".into(); 2], "INVALID_FIELD", "group_by[1]"),
        (|it| it.service = "crm".into(), "INVALID_FIELD", "service"),
        (|it| it.key = "a\0".into(), "INVALID_FIELD", "key"),
        (|it| it.observed = Observed::CountTrue.into(), "INVALID_FIELD", "observed"),
        (|it| it.observed = 42, "INVALID_FIELD", "observed"),
        (
            |it| (it.metric, it.observed) = ("asset/isActive".into(), Observed::Summed.into()),
            "INVALID_FIELD",
            "observed",
        ),
        (
            |it| (it.metric, it.observed) = ("ODSLRequest/ReadRequests".into(), Observed::CountTrue.into()),
            "INVALID_FIELD",
            "observed",
        ),
        (|it| it.fill = 42, "INVALID_FIELD", "fill"),
        (|it| it.range = String::new(), "INVALID_RANGE", "range"),
        (|it| (it.range, it.calendar) = ("2024".into(), "#PT1M".into()), "INVALID_RANGE", "range"),
        (|it| it.calendar = "#PT".into(), "INVALID_CALENDAR", "calendar"),
    ];
    for (number, (change, reason, field)) in cases.into_iter().enumerate() {
        let status = ask(&tenant, change).await.unwrap_err();
        assert_eq!(shown(&status), invalid(reason, field), "{number}: {}", status.message());
    }
    for metric in ["asset/", "asset/a\0", "asset"] {
        let status = ask(&tenant, |it| it.metric = metric.into()).await.unwrap_err();
        assert_eq!(shown(&status), invalid("INVALID_FIELD", "metric"), "{metric:?}");
    }
}
