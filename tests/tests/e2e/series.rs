//! Time series: filters, grouping, fill, time zones, limits, and late events.

use std::sync::LazyLock;
use std::time::SystemTime;

use flowmeter_proto::v1::{Fill, Observed, QueryTimeSeriesRequest, QueryTimeSeriesResponse, UsageEvent};
use flowmeter_store::rollups::fold_partials;
use flowmeter_tests::{Installation, Options, Tenant, event, eventually, request_id};
use prost_types::Timestamp;
use tonic::{Code, Status};

/// Today in days since the epoch, fixed while the tests run.
static TODAY: LazyLock<i64> = LazyLock::new(|| Timestamp::from(SystemTime::now()).seconds / 86_400);

/// The time `seconds` after midnight, `days_ago` days ago.
fn at(days_ago: i64, seconds: i64) -> Timestamp {
    Timestamp { seconds: (*TODAY - days_ago) * 86_400 + seconds, nanos: 0 }
}

/// The date `days_ago` days ago.
fn date(days_ago: i64) -> String {
    let midnight = jiff::Timestamp::from_second(at(days_ago, 0).seconds).unwrap();
    midnight.strftime("%F").to_string()
}

fn read_at(timestamp: Timestamp) -> UsageEvent {
    UsageEvent { timestamp: Some(timestamp), ..event() }
}

async fn record(tenant: &Tenant, events: Vec<UsageEvent>) {
    let request = request_id();
    let answer = tenant.record(&request, events).await.unwrap();
    assert_eq!(answer.rejections, []);
    tenant.settled(&request).await;
}

async fn ask(
    tenant: &Tenant,
    change: impl FnOnce(&mut QueryTimeSeriesRequest),
) -> Result<QueryTimeSeriesResponse, Status> {
    let mut request = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequests".into(),
        range: format!("between({},{})", date(3), date(0)),
        ..QueryTimeSeriesRequest::default()
    };
    change(&mut request);
    Ok(tenant.query.clone().query_time_series(request).await?.into_inner())
}

/// The start of a bucket, its value and its count.
type Shown<'a> = (i64, Option<&'a str>, i64);

/// The labels and the points of each series.
fn shown(answer: &QueryTimeSeriesResponse) -> Vec<(String, Vec<Shown<'_>>)> {
    let mut all = Vec::new();
    for series in &answer.series {
        let mut labels: Vec<_> =
            series.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        labels.sort();
        let points = series.points.iter();
        let points =
            points.map(|point| (point.timestamp.unwrap().seconds, point.value.as_deref(), point.count));
        all.push((labels.join(","), points.collect()));
    }
    all
}

#[tokio::test]
async fn a_late_event_changes_only_its_own_bucket() {
    let installation = Installation::start("late-event").await;
    let tenant = installation.tenant("acme").await;
    record(&tenant, (0..40).map(|hour| read_at(at(2, hour * 3_600))).collect()).await;
    let folded = async || {
        fold_partials(&installation.store).await.unwrap();
        let client = installation.store.client().await.unwrap();
        client.query_one("SELECT count(*) FROM rollup_partial", &[]).await.unwrap().get::<_, i64>(0)
    };
    eventually(0, folded).await;
    let before = ask(&tenant, |_| {}).await.unwrap();
    record(&tenant, vec![read_at(at(2, 7 * 3_600 + 1_800))]).await;
    let after = ask(&tenant, |_| {}).await.unwrap();
    let (before, after) = (shown(&before), shown(&after));
    let changed: Vec<_> =
        before[0].1.iter().zip(&after[0].1).filter(|(before, after)| before != after).collect();
    let bucket = at(2, 7 * 3_600).seconds;
    assert_eq!(changed, [(&(bucket, Some("1"), 1), &(bucket, Some("2"), 2))]);
    // The answer is the same before and after the partial row is folded.
    eventually(0, folded).await;
    assert_eq!(shown(&ask(&tenant, |_| {}).await.unwrap()), after);
}

#[tokio::test]
async fn series_are_filtered_grouped_and_filled() {
    let installation = Installation::start("grouping").await;
    let tenant = installation.tenant("acme").await;
    let of = |service: &str, key: &str, status: Option<i32>, seconds: i64| {
        let mut event = read_at(at(1, seconds));
        (event.service, event.httpstatus) = (service.into(), status);
        if !key.is_empty() {
            event.attributes.insert("key".into(), key.into());
        }
        event
    };
    record(
        &tenant,
        vec![
            of("calendar", "#HENG", Some(200), 10),
            of("calendar", "#HENG", Some(404), 20),
            of("calendar", "", None, 7_300),
            of("object", "ICE.NDEX.NLB", Some(200), 30),
            of("object", "#HENG", Some(200), 40),
        ],
    )
    .await;
    let start = at(1, 0).seconds;
    let answer = ask(&tenant, |it| (it.service, it.key) = ("calendar".into(), "#HENG".into())).await.unwrap();
    assert_eq!(shown(&answer), [(String::new(), vec![(start, Some("2"), 2)])]);

    let grouped = |labels: &'static [&'static str]| {
        ask(&tenant, move |it| it.group_by = labels.iter().map(ToString::to_string).collect())
    };
    assert_eq!(
        shown(&grouped(&["service"]).await.unwrap()),
        [
            ("service=calendar".to_owned(), vec![(start, Some("2"), 2), (start + 7_200, Some("1"), 1)]),
            ("service=object".to_owned(), vec![(start, Some("2"), 2)]),
        ]
    );
    assert_eq!(
        shown(&grouped(&["key", "httpstatus"]).await.unwrap()),
        [
            ("httpstatus=,key=".to_owned(), vec![(start + 7_200, Some("1"), 1)]),
            ("httpstatus=200,key=#HENG".to_owned(), vec![(start, Some("2"), 2)]),
            ("httpstatus=404,key=#HENG".to_owned(), vec![(start, Some("1"), 1)]),
            ("httpstatus=200,key=ICE.NDEX.NLB".to_owned(), vec![(start, Some("1"), 1)]),
        ]
    );

    let answer = ask(&tenant, |it| {
        it.range = date(1);
        it.calendar = "#PT6H".into();
        it.group_by = vec!["service".into()];
        it.fill = Fill::Zero.into();
    })
    .await
    .unwrap();
    let object = &shown(&answer)[1];
    let (quarter, zero) = (6 * 3_600, Some("0"));
    assert_eq!(
        object.1,
        [
            (start, Some("2"), 2),
            (start + quarter, zero, 0),
            (start + 2 * quarter, zero, 0),
            (start + 3 * quarter, zero, 0)
        ]
    );
    let answer = ask(&tenant, |it| {
        it.metric = "ODSLRequest/ReadRequestDuration".into();
        it.range = date(1);
        it.calendar = "#PT12H".into();
        it.fill = Fill::Null.into();
        it.observed = Observed::High.into();
    })
    .await
    .unwrap();
    assert_eq!(shown(&answer)[0].1, [(start, None, 0), (start + 43_200, None, 0)]);
}

#[tokio::test]
async fn days_follow_the_time_zone() {
    let options =
        Options { settings: vec![("FLOWMETER_MAX_EVENT_AGE".into(), "36500d".into())], ..Options::default() };
    let installation = Installation::start_with("days-of-the-zone", options).await;
    let tenant = installation.tenant("acme").await;
    // From 2024-10-20; London set its clocks back on the 27th, New York on November 3rd.
    let events: Vec<_> = (0..16 * 24)
        .map(|hour| read_at(Timestamp { seconds: 1_729_382_400 + hour * 3_600, nanos: 0 }))
        .collect();
    record(&tenant, events).await;
    for (zone, day, hours) in [
        ("Europe/London", "2024-10-26", "24"),
        ("Europe/London", "2024-10-27", "25"),
        ("America/New_York", "2024-11-03", "25"),
        ("America/New_York", "2024-10-27", "24"),
        ("UTC", "2024-10-27", "24"),
    ] {
        let answer = ask(&tenant, |it| {
            (it.range, it.calendar, it.time_zone) = (day.into(), "#P1D".into(), zone.into());
        })
        .await
        .unwrap();
        let shown = shown(&answer);
        let values: Vec<_> = shown[0].1.iter().map(|point| point.1.unwrap()).collect();
        assert_eq!(values, [hours], "{day} in {zone}");
        assert_eq!(answer.time_zone, zone);
    }
    let answer = ask(&tenant, |it| (it.range, it.calendar) = ("9999".into(), "#P1Y".into())).await.unwrap();
    assert_eq!(answer.end_time.unwrap().seconds, 253_402_300_799, "the last second of the year 9999");
    let answer = ask(&tenant, |it| {
        (it.range, it.calendar) = ("within(2024-10-27[Europe/London])".into(), "#PT1H".into());
        it.time_zone = "Europe/London".into();
    })
    .await
    .unwrap();
    assert_eq!(shown(&answer)[0].1.len(), 25, "the repeated hour has two buckets");
}

#[tokio::test]
async fn the_number_of_points_of_an_answer_is_limited() {
    let installation = Installation::start("bounded-points").await;
    let tenant = installation.tenant("acme").await;
    let events: Vec<_> = (0..9_000)
        .map(|number| UsageEvent { user: format!("user-{number}"), ..read_at(at(1, number * 9)) })
        .collect();
    for chunk in events.chunks(3_000) {
        record(&tenant, chunk.to_vec()).await;
        // The same users, in other hours.
        for hours in [3, 6] {
            let later = |event: &UsageEvent| {
                let timestamp =
                    event.timestamp.map(|at| Timestamp { seconds: at.seconds - hours * 3_600, ..at });
                UsageEvent { timestamp, ..event.clone() }
            };
            record(&tenant, chunk.iter().map(later).collect()).await;
        }
    }
    let failure = ask(&tenant, |it| it.group_by = vec!["user".into()]).await.unwrap_err();
    assert_eq!(failure.code(), Code::InvalidArgument);
    assert!(
        failure.message().starts_with("range: expected at most 25000 points, found 27000: "),
        "{failure:?}"
    );
    let answer = ask(&tenant, |it| (it.group_by, it.range) = (vec!["user".into()], date(1))).await;
    assert!(answer.unwrap().series.len() > 8_000);
    let filled = ask(&tenant, |it| {
        (it.group_by, it.range, it.fill) = (vec!["user".into()], date(1), Fill::Zero.into());
    });
    assert!(filled.await.unwrap_err().message().contains("found 216000: "));
}
