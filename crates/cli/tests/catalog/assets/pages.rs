//! Lists with several pages, which are shown as one list.

use flowmeter_fake::{Assets, Contents, Fake};
use flowmeter_proto::v1 as api;

use super::{CRM, document, number, with};
use crate::printed;

/// The metrics of a document that spans two pages are merged into one document.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_spans_pages_is_shown_as_one() {
    let fake = with(vec![
        document(0, vec![number("a", 1.0)]),
        document(60, vec![number("a", 2.0)]),
        document(60, vec![number("b", 3.0)]),
        document(90, vec![number("a", 4.0)]),
    ])
    .await;
    let all = printed(&fake, &["asset", "show", CRM, "--all"]).await;
    insta::assert_snapshot!(all, @r"
    urn:xdg:database:crm, 3 times
    fresh through 2026-11-22T10:00:00Z

    TIME                  NAME  VALUE  TYPE
    2026-11-22T00:00:00Z  a     1      number
    2026-11-22T01:00:00Z  a     2      number
                          b     3      number
    2026-11-22T01:30:00Z  a     4      number
    ");
    let limited = printed(&fake, &["asset", "show", CRM, "--limit", "3", "-o", "json"]).await;
    let json: serde_json::Value = serde_json::from_str(&limited).unwrap();
    let sizes: Vec<_> = json["documents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|document| document["metrics"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [1, 2, 1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_listed_page_by_page() {
    let metrics = ["asset/a", "asset/b", "asset/c"];
    let metrics = metrics.map(|name| api::Metric { name: name.into(), ..api::Metric::default() }).into();
    let assets = Assets { metrics, ..Assets::default() };
    let fake = Fake::start_strict(Contents { assets, ..Contents::default() }).await;
    let listed = printed(&fake, &["metric", "list", "asset"]).await;
    let names: Vec<_> = listed.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(names, ["NAME", "asset/a", "asset/b", "asset/c"]);
}
