//! Runs the program as a process against fake services. Tests what it sends, in particular if only a part of
//! a definition is given, what it prints, and its exit code.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod assets;
mod executions;
mod flows;
#[path = "../program/mod.rs"]
mod program;
mod tls;

use flowmeter_fake::{Contents, Fake, Plan};
use flowmeter_proto::v1::{self as api, calendar::Kind};
use program::Ended;
use tonic::Status;

/// The response of the ingest service while the broker is unavailable.
fn unavailable() -> Status {
    Status::unavailable("the broker is unavailable")
}

/// Services whose first response to an ingest request is a failure.
async fn failing_once() -> Fake {
    let fake = Fake::start_strict(Contents::default()).await;
    fake.plan([Plan::Refuse(unavailable())]);
    fake
}

async fn flowmeter(fake: &Fake, arguments: &[&str]) -> Ended {
    program::flowmeter(&fake.url(), "good", arguments, b"").await
}

/// The output of a command that must succeed and write nothing to standard error.
async fn printed(fake: &Fake, arguments: &[&str]) -> String {
    let ended = flowmeter(fake, arguments).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
    ended.out
}

/// The help of a command, without the global options, which are the same everywhere.
async fn help(arguments: &[&str]) -> String {
    let fake = Fake::start_strict(Contents::default()).await;
    let text = printed(&fake, &[arguments, &["--help"]].concat()).await;
    let (own, _) = text.split_once("\nGlobal options:").unwrap();
    own.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn create_can_wait_for_the_backfill() {
    let fake = Fake::start_strict(Contents { backfill_calls: 2, ..Contents::default() }).await;
    let arguments = ["metric", "create", "Shop/Checkouts", "--action", "checkout", "--keep", "user,key"];
    let at_once = flowmeter(&fake, &arguments).await;
    assert!(at_once.out.contains("backfill  waiting for a worker"), "{}", at_once.out);
    assert!(at_once.err.contains("flowmeter metric get Shop/Checkouts\n"), "{}", at_once.err);
    assert!(at_once.err.ends_with("To read it: flowmeter series Shop/Checkouts\n"), "{}", at_once.err);
    let in_the_end = flowmeter(&fake, &[&arguments[..], &["--wait"]].concat()).await;
    assert!(in_the_end.out.contains("backfill  done, 5 000 events"), "{}", in_the_end.out);
    assert_eq!(in_the_end.err, "To read it: flowmeter series Shop/Checkouts\n");
    let contents = fake.contents();
    assert_eq!(contents.backfill_calls, 0);
    assert_eq!(contents.metric.label_sets[0].labels, ["user", "key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_a_part_of_a_selector_keeps_the_rest() {
    let selector =
        api::Selector { action: "checkout".into(), filter: "a = 1".into(), ..api::Selector::default() };
    let metric = api::Metric {
        name: "Shop/Checkouts".into(),
        selector: Some(selector),
        version: 7,
        ..api::Metric::default()
    };
    let fake = Fake::start_strict(Contents { metric, ..Contents::default() }).await;
    let shown = printed(&fake, &["metric", "update", "Shop/Checkouts", "--filter", "b = 2"]).await;
    assert!(shown.contains("action checkout, where b = 2"), "{shown}");
    assert!(shown.contains("version 8"), "{shown}");
    assert_eq!(fake.contents().masks, [["selector"]]);

    let late = ["metric", "update", "Shop/Checkouts", "--action", "pay", "--version", "7"];
    let ended = flowmeter(&fake, &late).await;
    assert_eq!(ended.code, 1);
    assert_eq!(
        ended.err,
        "ABORTED: it is at another version\n  reason: VERSION_MISMATCH\n  current: 8\n  \
         hint: read it again with `get`, then give its current version\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deletion_is_reported() {
    let fake = Fake::start_strict(Contents::default()).await;
    assert_eq!(printed(&fake, &["metric", "delete", "Shop/Checkouts"]).await, "Shop/Checkouts is deleted\n");
    let json = printed(&fake, &["metric", "delete", "Shop/Other", "--output", "json"]).await;
    assert_eq!(json, "{\"deleted\":\"Shop/Other\"}\n");
    assert_eq!(fake.contents().deleted, ["Shop/Checkouts", "Shop/Other"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_name_has_a_hint() {
    let metric = api::Metric { name: "Shop/Checkouts".into(), ..api::Metric::default() };
    let fake = Fake::start_strict(Contents { metric, ..Contents::default() }).await;
    for (arguments, said) in [
        (
            ["metric", "get", "shop/checkout"],
            "NOT_FOUND: there is no metric \"shop/checkout\"\n  \
             hint: did you mean Shop/Checkouts? `flowmeter metric list` lists them all\n",
        ),
        (
            ["calendar", "delete", "PT1H"],
            "NOT_FOUND: there is no calendar \"PT1H\"\n  hint: did you mean '#PT1H'?\n",
        ),
        // The calendars cannot be listed here.
        (
            ["calendar", "delete", "GAZ"],
            "NOT_FOUND: there is no calendar \"GAZ\"\n  \
             hint: `flowmeter calendar list` lists them all\n",
        ),
    ] {
        let ended = flowmeter(&fake, &arguments).await;
        assert_eq!((ended.code, ended.err.as_str()), (1, said), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hint_depends_on_the_command() {
    let metric = api::Metric { name: "Shop/Checkouts".into(), built_in: true, ..api::Metric::default() };
    let fake = Fake::start_strict(Contents { metric, ..Contents::default() }).await;
    let list = "`flowmeter metric list` lists them all";
    for (arguments, hint) in [
        // Only `series` reads time series.
        (&["series", "AAA/X"][..], "did you mean the time series objects/AAA/timeSeries/X?"),
        (&["series", "AAA/Y"], list),
        (&["metric", "get", "AAA/X"], list),
        (&["metric", "delete", "AAA/X"], list),
        (&["series", "objects/AAA"], "did you mean its time series objects/AAA/timeSeries/X?"),
        (&["metric", "get", "objects/AAA"], list),
        // Built-in metrics can be read but not changed.
        (
            &["metric", "get", "Shop/Checkout"],
            "did you mean Shop/Checkouts? `flowmeter metric list` lists them all",
        ),
        (&["metric", "delete", "Shop/Checkout"], list),
        (
            &["metric", "delete", "asset/quality"],
            "metrics of assets come with their values; they cannot be defined or changed",
        ),
        (
            &["metric", "get", "Shop/Checkouts", "--version", "7"],
            "it has other versions: see `flowmeter metric get Shop/Checkouts`",
        ),
    ] {
        let ended = flowmeter(&fake, arguments).await;
        let said = ended.err.lines().last().unwrap().trim_start();
        assert_eq!((ended.code, said), (1, format!("hint: {hint}").as_str()), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_of_metric_create_has_only_its_own_choices() {
    let help = help(&["metric", "create"]).await;
    for word in ["summed", "beginning", "=~", "ASCII"] {
        assert!(help.contains(word), "{word}: {help}");
    }
    for word in ["count-true", "fraction-true", "of metrics of assets"] {
        assert!(!help.contains(word), "{word}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changing_an_offset_keeps_the_interval() {
    let fake = Fake::start_strict(Contents::default()).await;
    printed(&fake, &["calendar", "create", "GAS", "--interval", "P1D", "--time-zone", "Europe/Berlin"]).await;
    let shown = printed(&fake, &["calendar", "update", "GAS", "--offset", "PT6H"]).await;
    assert!(shown.contains("P1D, offset PT6H"), "{shown}");
    let contents = fake.contents();
    assert_eq!(contents.masks, [["interval"]]);
    assert!(matches!(&contents.calendar.kind, Some(Kind::Interval(interval)) if interval.interval == "P1D"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holidays_are_read_from_standard_input() {
    let fake = Fake::start_strict(Contents::default()).await;
    let arguments = [
        "calendar",
        "create",
        "OFFICE",
        "--weekend",
        "sat,sun",
        "--holiday",
        "2026-12-28",
        "--holidays-from",
        "-",
    ];
    let input = b"# England\neaster - 2 days\n\n25 of December, shifted\n";
    let ended = program::flowmeter(&fake.url(), "good", &arguments, input).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let contents = fake.contents();
    let Some(Kind::WorkingDays(days)) = &contents.calendar.kind else { panic!("{:?}", contents.calendar) };
    assert_eq!(days.holidays, ["2026-12-28", "easter - 2 days", "25 of December, shifted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_shows_the_token_of_the_next() {
    let fake = Fake::start_strict(Contents::default()).await;
    let first = flowmeter(&fake, &["time-series", "list", "AAA"]).await;
    assert!(first.out.contains("objects/AAA/timeSeries/X"), "{}", first.out);
    assert_eq!(first.err, "There is more: use --page-token next\n");
    let second = printed(&fake, &["time-series", "list", "AAA", "--page-token", "next"]).await;
    assert!(second.contains("objects/AAA/timeSeries/Y"), "{second}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_needs_an_option() {
    let fake = Fake::start_strict(Contents::default()).await;
    for nothing in [
        &["metric", "update", "Shop/Checkouts"][..],
        &["calendar", "update", "GAS"],
        &["time-series", "update", "AAA/X"],
    ] {
        let ended = flowmeter(&fake, nothing).await;
        assert_eq!(ended.code, 2, "{}", ended.err);
        assert!(ended.err.contains("--description"), "{}", ended.err);
    }
    assert!(fake.contents().masks.is_empty());
}
