//! Random reports in random order, with retries, while workers are killed and counters are folded: every
//! metric must match a naive model of the requests.
//!
//! Everything is derived from a seed, which a failure prints; `FLOWMETER_TEST_SEED` sets it.

use std::collections::BTreeMap;

use flowmeter_proto::v1::{FlowOutcome, FlowRequest};
use flowmeter_tests::{Installation, Options, Tenant, request_id};
use futures::{StreamExt, stream};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tonic::Code;

use super::{Point, ask, points, query, record, register};
use crate::dice::Dice;

const SEED: u64 = 20_241_128;
/// The number of rounds. Each reports requests and then runs queries.
const CHAPTERS: usize = 4;
const REPORTS: usize = 60;
const QUESTIONS: usize = 300;
const AT_ONCE: usize = 16;

/// Time zones with offsets of whole, half and quarter hours, of both hemispheres, and one whose daylight
/// saving time is half an hour.
const ZONES: [&str; 9] = [
    "UTC",
    "America/Los_Angeles",
    "Europe/Berlin",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Chatham",
    "Pacific/Kiritimati",
];
const METRICS: [&str; 5] = [
    "ENDPOINT_REQUEST_COUNT",
    "ENDPOINT_REQUEST_ERROR",
    "ENDPOINT_REQUEST_ERROR_RATE",
    "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL",
    "ENDPOINT_AVAILABILITY",
];
const ERRORS: [&str; 5] = [
    "succeeded",
    "timeout_error",
    "unexpected_http_status_code",
    "cannot_be_served",
    "no_http_response_error",
];

/// A counted request: its time, outcome (from 0), latency and count.
#[derive(Debug, Clone)]
struct Counted {
    at: Timestamp,
    outcome: usize,
    latency: Option<(i64, i32)>,
    count: i64,
}

struct Flow {
    id: String,
    zone: &'static str,
    counted: Vec<Counted>,
}

#[tokio::test]
async fn metrics_match_a_naive_model_of_the_requests() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let mut dice = Dice::new(seed);
    let settings = [("FLOWMETER_FOLD_INTERVAL", "30ms"), ("FLOWMETER_DATABASE_CONNECTIONS", "10")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let mut installation =
        Installation::start_with("flow-model", Options { settings, ..Options::default() }).await;
    let _another = installation.start_another_worker();
    let tenant = installation.tenant("acme").await;
    let mut flows = Vec::new();
    for (number, zone) in ZONES.into_iter().enumerate() {
        let flow = Flow { id: format!("flow {number}"), zone, counted: Vec::new() };
        register(&tenant, &flow.id, zone).await;
        flows.push(flow);
    }
    let mut asked = 0;
    for chapter in 0..CHAPTERS {
        let mut last = String::new();
        for report in 0..REPORTS {
            last = send(&mut dice, &tenant, &mut flows).await;
            if chapter % 2 == 1 && report == REPORTS / 2 {
                installation.worker.kill9().unwrap();
            }
        }
        if chapter % 2 == 1 {
            installation.worker.start_again().unwrap();
        }
        // Another worker may not have applied earlier requests yet.
        for id in [last, send(&mut dice, &tenant, &mut flows).await] {
            tenant.settled(&id).await;
        }
        let sum: i64 = flows.iter().flat_map(|flow| &flow.counted).map(|counted| counted.count).sum();
        flowmeter_tests::eventually(sum, async || total(&installation).await).await;
        let questions: Vec<_> = (0..QUESTIONS).map(|_| Question::random(&mut dice)).collect();
        let answers = stream::iter(&questions).map(|question| question.check(&tenant, &flows));
        let wrong: Vec<_> =
            answers.buffer_unordered(AT_ONCE).filter_map(async |answer| answer.err()).collect().await;
        asked += questions.len();
        if let Some(shortest) = wrong.iter().min_by_key(|text| text.len()) {
            panic!("{} of {QUESTIONS} answers are wrong, such as\n{shortest}", wrong.len());
        }
    }
    assert_eq!(asked, CHAPTERS * QUESTIONS);
    assert_eq!(inconsistent_days(&installation).await, 0);
}

/// The number of days whose counters differ from the sum of their quarter-hours.
async fn inconsistent_days(installation: &Installation) -> i64 {
    let client = installation.store.client().await.unwrap();
    let sql = "SELECT count(*) FROM flow_day AS day WHERE flow_counters(day.counters) IS DISTINCT FROM (
             SELECT array_agg(total ORDER BY place) FROM (
                 SELECT place, sum(value)::bigint AS total
                 FROM flow_quarters(day.quarters) AS quarter,
                      unnest(quarter.counters) WITH ORDINALITY AS counter (value, place)
                 GROUP BY place) AS totals)";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// The number of counted requests, in days and in partial rows.
async fn total(installation: &Installation) -> i64 {
    let client = installation.store.client().await.unwrap();
    let sql = "SELECT coalesce(sum(part), 0)::bigint FROM (
             SELECT (flow_counters(counters))[1:5] AS outcomes FROM flow_day
             UNION ALL SELECT (flow_counters(counters))[1:5] FROM flow_partial) AS parts, unnest(outcomes) AS part";
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Reports some requests, sometimes twice, and returns the request id.
async fn send(dice: &mut Dice, tenant: &Tenant, flows: &mut [Flow]) -> String {
    let now = Timestamp::now();
    let mut items = Vec::new();
    for _ in 0..=dice.below(60) {
        // The last flow gets few requests.
        let number = if dice.once_in(100) { flows.len() - 1 } else { dice.below(flows.len() - 1) };
        let back = match dice.below(3) {
            0 => dice.between(0, 3_000),
            1 => dice.between(0, 40 * 86_400),
            _ => dice.between(0, 90 * 86_400 - 60),
        };
        // Many requests are on the boundary of a quarter-hour, an hour or a day.
        let mut seconds = now.as_second() - back;
        let mut nanos = i32::try_from(dice.between(0, 999_999)).unwrap() * 1_000;
        if dice.once_in(3) {
            (seconds, nanos) = (seconds - seconds.rem_euclid(900), 0);
        }
        if dice.once_in(4) {
            (seconds, nanos) = (seconds - seconds.rem_euclid(900) - 1, 999_999_000);
        }
        let oldest = now.as_second() - 90 * 86_400 + 30;
        let seconds = seconds.max(oldest);
        let latency = (!dice.once_in(5)).then(|| {
            let nanos = dice.of(&[0, 1, 999_999_999, 500_000_000]);
            (dice.between(0, 12), nanos)
        });
        let outcome = if dice.once_in(3) { dice.below(5) } else { 0 };
        let count = if dice.once_in(2) { None } else { Some(i32::try_from(dice.between(1, 40)).unwrap()) };
        items.push(FlowRequest {
            flow_id: flows[number].id.clone(),
            timestamp: Some(prost_types::Timestamp { seconds, nanos }),
            latency: latency.map(|(seconds, nanos)| prost_types::Duration { seconds, nanos }),
            outcome: FlowOutcome::try_from(i32::try_from(outcome).unwrap() + 1).unwrap().into(),
            count,
        });
        flows[number].counted.push(Counted {
            at: Timestamp::new(seconds, nanos).unwrap(),
            outcome,
            latency,
            count: i64::from(count.unwrap_or(1)),
        });
    }
    let id = request_id();
    let times = if dice.once_in(4) { 2 } else { 1 };
    for _ in 0..times {
        let answer = record(tenant, &id, items.clone()).await.unwrap();
        assert!(answer.rejections.is_empty(), "{:?}", answer.rejections);
    }
    id
}

#[derive(Debug, Clone)]
struct Question {
    flow: usize,
    metric: &'static str,
    granularity: &'static str,
    /// Days before today.
    since: Option<i64>,
    until: Option<i64>,
}

/// The expected answer.
#[derive(Debug, PartialEq)]
enum Expected {
    Points(Vec<Point>),
    NotEnough,
    Invalid,
}

impl Question {
    fn random(dice: &mut Dice) -> Self {
        let granularity = dice.of(&["DAY", "hour", "HOUR", "Lifetime"]);
        let day = |dice: &mut Dice, most| (!dice.once_in(3)).then(|| dice.between(-1, most));
        let most = if granularity.eq_ignore_ascii_case("hour") { 33 } else { 93 };
        Self {
            flow: dice.below(ZONES.len()),
            metric: dice.of(&METRICS),
            granularity,
            since: day(dice, most),
            until: day(dice, 30),
        }
    }

    async fn check(&self, tenant: &Tenant, flows: &[Flow]) -> Result<(), String> {
        let flow = &flows[self.flow];
        let zone = TimeZone::get(flow.zone).unwrap();
        loop {
            let today = Timestamp::now().to_zoned_datetime(zone.clone()).date();
            let mut request = query(&flow.id, self.metric, self.granularity, "");
            let named = |ago: i64| today.saturating_sub(ago.days()).to_string();
            request.since = self.since.map(named).unwrap_or_default();
            request.until = self.until.map(named).unwrap_or_default();
            let found = match ask(tenant, request).await {
                Ok(answer) => Expected::Points(points(answer)),
                Err(status) if status.code() == Code::FailedPrecondition => Expected::NotEnough,
                Err(status) if status.code() == Code::InvalidArgument => Expected::Invalid,
                Err(status) => return Err(format!("{self:?}: {status}")),
            };
            if today != Timestamp::now().to_zoned_datetime(zone.clone()).date() {
                // Midnight has passed since the expectation was computed.
                continue;
            }
            let expected = self.expected(flow, &zone, today);
            return if found == expected {
                Ok(())
            } else {
                Err(format!("{self:?} in {}:\nexpected {expected:?}\nfound    {found:?}", flow.zone))
            };
        }
    }

    fn expected(&self, flow: &Flow, zone: &TimeZone, today: Date) -> Expected {
        let all: i64 = flow.counted.iter().map(|counted| counted.count).sum();
        let granularity = self.granularity.to_uppercase();
        let max_days = match granularity.as_str() {
            "DAY" => Some(90),
            "HOUR" => Some(30),
            _ => None,
        };
        let date = |at: Timestamp| at.to_zoned_datetime(zone.clone()).date();
        let since = match (self.since, max_days) {
            (Some(ago), _) => today.saturating_sub(ago.days()),
            (None, Some(days)) => today.saturating_sub(days.days()),
            // The flow was registered today.
            (None, None) => {
                flow.counted.iter().map(|counted| date(counted.at)).min().unwrap_or(today).min(today)
            }
        };
        let until = self.until.map(|ago| today.saturating_sub(ago.days()));
        if max_days.is_some_and(|days| since < today.saturating_sub(days.days()))
            || until.is_some_and(|until| until <= since)
            || since > today
        {
            return Expected::Invalid;
        }
        if all < 250 {
            return Expected::NotEnough;
        }
        let mut intervals: BTreeMap<i64, Vec<&Counted>> = BTreeMap::new();
        for counted in &flow.counted {
            let day = date(counted.at);
            if day < since || until.is_some_and(|until| day >= until) {
                continue;
            }
            let start = match granularity.as_str() {
                "DAY" => start_of(day, zone),
                "HOUR" => start_of_hour(counted.at, zone),
                _ => start_of(since, zone),
            };
            intervals.entry(start.as_second()).or_default().push(counted);
        }
        let points = intervals.into_iter().map(|(start, counted)| (start, data(self.metric, &counted)));
        Expected::Points(points.filter(|(_, data)| !data.is_empty()).collect())
    }
}

fn start_of(day: Date, zone: &TimeZone) -> Timestamp {
    day.to_zoned_datetime(zone.clone()).unwrap().timestamp()
}

/// Goes back minute by minute while the clock shows the same hour.
fn start_of_hour(at: Timestamp, zone: &TimeZone) -> Timestamp {
    let seconds = at.as_second();
    let mut minute = Timestamp::from_second(seconds - seconds.rem_euclid(60)).unwrap();
    loop {
        let before = minute - 1.minute();
        let (now, then) = (minute.to_zoned_datetime(zone.clone()), before.to_zoned_datetime(zone.clone()));
        let is_same_hour = (now.date(), now.hour()) == (then.date(), then.hour());
        // A clock that is set back to the start of the hour begins the hour again. A clock that is set back
        // by half an hour continues the hour.
        let begins_anew = now.offset() != then.offset() && now.minute() == 0;
        if !is_same_hour || begins_anew {
            return minute;
        }
        minute = before;
    }
}

#[allow(clippy::cast_precision_loss, reason = "the counts are small")]
fn data(metric: &str, counted: &[&Counted]) -> Vec<(String, f64)> {
    let sum = |fits: &dyn Fn(&Counted) -> bool| {
        counted.iter().filter(|counted| fits(counted)).map(|counted| counted.count).sum::<i64>() as f64
    };
    let all = sum(&|_| true);
    let errors = sum(&|counted| counted.outcome != 0);
    let keys: Vec<(String, f64)> = match metric {
        "ENDPOINT_REQUEST_COUNT" => vec![("value".into(), all)],
        "ENDPOINT_REQUEST_ERROR_RATE" => return vec![("value".into(), errors / all)],
        "ENDPOINT_REQUEST_ERROR" => (1..5)
            .map(|outcome| (ERRORS[outcome].to_owned(), sum(&|counted| counted.outcome == outcome)))
            .collect(),
        "ENDPOINT_REQUEST_LATENCY_SECONDS_CEIL" => (1..=11)
            .map(|key: i64| {
                let name = if key == 11 { "10+".to_owned() } else { key.to_string() };
                // At most this many seconds and more than one second less. Zero belongs to the first key.
                let fits = |counted: &Counted| {
                    counted.outcome != 3
                        && counted.latency.is_some_and(|(seconds, nanos)| {
                            let up = if nanos > 0 { seconds + 1 } else { seconds };
                            up.clamp(1, 11) == key
                        })
                };
                (name, sum(&fits))
            })
            .collect(),
        _ => Vec::new(),
    };
    keys.into_iter().filter(|(_, value)| *value > 0.0).collect()
}
