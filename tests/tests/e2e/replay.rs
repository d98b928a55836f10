//! Replays real logs with the command line through the whole pipeline. The expected value of every bucket is
//! computed from the text of the log alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use flowmeter_proto::v1::{Observed, QueryTimeSeriesRequest};
use flowmeter_stack::{Binaries, workspace_root};
use flowmeter_tests::{Installation, Options, Tenant};

/// The path of a log, if it exists. The logs are not part of the project.
fn log(name: &str) -> Option<PathBuf> {
    let path = workspace_root().join("../shared/data").join(name);
    if !path.exists() {
        println!("skipped: {} does not exist", path.display());
    }
    path.exists().then_some(path)
}

/// A request in a log, as this test parses it.
struct Line {
    /// The minute, such as `2015-05-17T10:05`.
    minute: String,
    class: &'static str,
    bytes: i64,
    user: String,
}

fn class(method: &str) -> &'static str {
    match method {
        "GET" | "HEAD" | "OPTIONS" => "ReadRequests",
        "POST" | "PUT" | "PATCH" => "WriteRequests",
        "DELETE" => "DeleteRequests",
        other => panic!("unexpected method {other}"),
    }
}

fn nova(text: &str) -> Vec<Line> {
    let requests = text.lines().filter(|line| line.contains(" HTTP/1.1\" status: "));
    requests
        .map(|line| {
            let words: Vec<_> = line.split(' ').collect();
            let (_, rest) = line.split_once('"').unwrap();
            let bytes = rest.split_once(" len: ").unwrap().1.split(' ').next().unwrap();
            // Some requests have no user.
            let user = line.split_once("[req-").and_then(|(_, rest)| rest.split(' ').nth(1)).unwrap_or("");
            Line {
                minute: format!("{}T{}", words[1], &words[2][..5]),
                class: class(rest.split(' ').next().unwrap()),
                bytes: bytes.parse().unwrap(),
                user: user.to_owned(),
            }
        })
        .collect()
}

fn combined(text: &str) -> Vec<Line> {
    let read = |line: &str| {
        let (client, rest) = line.split_once(" - - [").unwrap();
        let (time, rest) = rest.split_once(" +0000] \"").unwrap();
        let (request, rest) = rest.split_once("\" ").unwrap();
        let (day, rest_of_date) = time.split_once("/May/").unwrap();
        let (year, clock) = rest_of_date.split_once(':').unwrap();
        Line {
            minute: format!("{year}-05-{day}T{}", &clock[..5]),
            class: class(request.split(' ').next().unwrap()),
            bytes: rest.split(' ').nth(1).unwrap().parse().unwrap_or(0),
            user: client.to_owned(),
        }
    };
    text.lines().map(read).collect()
}

fn add(lines: &[&Line], width: usize, value: impl Fn(&Line) -> i64) -> BTreeMap<String, i64> {
    let mut buckets = BTreeMap::new();
    for line in lines {
        *buckets.entry(line.minute[..width].to_owned()).or_default() += value(line);
    }
    buckets
}

async fn series(tenant: &Tenant, mut request: QueryTimeSeriesRequest, width: usize) -> BTreeMap<String, i64> {
    request.range = "between(2015-05,2017-05)".into();
    if request.calendar == "#PT1M" {
        // A year of minutes exceeds the maximum number of points.
        let ranges = ["between(2015-05-17,2015-05-20)", "2017-05-16"];
        let mut all = BTreeMap::new();
        for range in ranges {
            request.range = range.into();
            all.extend(points(tenant, request.clone(), width).await);
        }
        return all;
    }
    points(tenant, request, width).await
}

async fn points(tenant: &Tenant, request: QueryTimeSeriesRequest, width: usize) -> BTreeMap<String, i64> {
    let points = tenant.series(request).await.unwrap();
    let label = |seconds| jiff::Timestamp::from_second(seconds).unwrap().to_string()[..width].to_owned();
    points.into_iter().map(|(seconds, value)| (label(seconds), value.parse().unwrap())).collect()
}

/// Replays a log, and returns the output of the command.
fn replay(installation: &Installation, tenant: &Tenant, path: &Path, format: &str) -> String {
    let output = Command::new(Binaries::for_tests().unwrap().cli)
        .args(["replay", path.to_str().unwrap(), "--format", format])
        .env("FLOWMETER_TOKEN", &tenant.token)
        .env("FLOWMETER_INGEST_URL", installation.ingest.url())
        .env("FLOWMETER_QUERY_URL", installation.query.url())
        .output()
        .unwrap();
    let output_text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{output_text}");
    output_text.into_owned()
}

/// Compares the answers with the series that are computed from the lines.
async fn compare(tenant: &Tenant, lines: &[Line]) {
    for metric in ["ReadRequests", "WriteRequests", "DeleteRequests"] {
        let of_class: Vec<_> = lines.iter().filter(|line| line.class == metric).collect();
        for (calendar, width) in [("#PT1H", 13), ("#P1D", 10), ("#P1M", 7), ("#P1Y", 4), ("#PT1M", 16)] {
            let request = QueryTimeSeriesRequest {
                metric: format!("ODSLRequest/{metric}"),
                calendar: calendar.into(),
                ..QueryTimeSeriesRequest::default()
            };
            let found = series(tenant, request, width).await;
            assert_eq!(found, add(&of_class, width, |_| 1), "{metric} {calendar}");
        }
    }
    let reads: Vec<_> = lines.iter().filter(|line| line.class == "ReadRequests").collect();
    let mut sizes = QueryTimeSeriesRequest {
        metric: "ODSLRequest/ReadRequestResponseSize".into(),
        calendar: "#PT1H".into(),
        observed: Observed::Summed.into(),
        ..QueryTimeSeriesRequest::default()
    };
    assert_eq!(series(tenant, sizes.clone(), 13).await, add(&reads, 13, |line| line.bytes));
    // No roll-up covers this filter, so the answer is computed from the events.
    let user = &reads[0].user;
    let of_user: Vec<_> = reads.iter().copied().filter(|line| line.user == *user).collect();
    sizes.filter = format!("user = \"{user}\"");
    assert_eq!(series(tenant, sizes, 13).await, add(&of_user, 13, |line| line.bytes));
}

#[tokio::test]
async fn every_bucket_of_replayed_logs_is_exact() {
    let Some((nova_log, apache_log)) = log("openstack-nova-1k.log").zip(log("apache-access-5k.log")) else {
        return;
    };
    let settings = vec![("FLOWMETER_MAX_EVENT_AGE".to_owned(), "20000d".to_owned())];
    let options = Options { settings, ..Options::default() };
    let installation = Installation::start_with("replay", options).await;
    for (path, format, read) in [
        (&nova_log, "nova", nova as fn(&str) -> Vec<Line>),
        (&apache_log, "combined", combined as fn(&str) -> Vec<Line>),
    ] {
        let tenant = installation.tenant(format).await;
        let lines = read(&std::fs::read_to_string(path).unwrap());
        assert!(lines.len() >= 500);
        replay(&installation, &tenant, path, format);
        compare(&tenant, &lines).await;
        // Replaying the same log again changes nothing.
        replay(&installation, &tenant, path, format);
        compare(&tenant, &lines).await;
    }
}
