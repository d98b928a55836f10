//! A filter has the same meaning in PostgreSQL and on the columns of segments as in memory.

use std::collections::BTreeMap;
use std::time::Duration;

use flowmeter_core::fold::label_value;
use flowmeter_core::ids::EventId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{TextField, UsageEvent};
use flowmeter_segment::{Column, Segment, SegmentReader, SegmentWriter};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};
use serde_json::{Value as Json, json};

use super::*;
use crate::{Settings, Store};

/// What the random filters look at.
const TEXTS: [TextField; 3] = [TextField::Application, TextField::Detail, TextField::User];
const ATTRIBUTES: [&str; 3] = ["queue", "it's \"a\" \\ $1", "größe"];
/// Labels of the series, in no particular order.
fn labels() -> [Field; 5] {
    [
        Field::Text(TextField::User),
        Field::HttpStatus,
        Field::Attribute(ATTRIBUTES[1].into()),
        Field::Text(TextField::Application),
        Field::Attribute(ATTRIBUTES[0].into()),
    ]
}

/// An event with values of its own.
#[derive(Debug, Clone)]
struct Sample {
    texts: [String; TEXTS.len()],
    http_status: Option<i32>,
    duration: Option<i64>,
    value: Option<String>,
    attributes: BTreeMap<&'static str, String>,
}

impl Sample {
    fn event(&self) -> UsageEvent<'_> {
        let mut event = UsageEvent {
            http_status: self.http_status,
            duration_ms: self.duration,
            value: self.value.as_ref().map(|value| value.parse().unwrap()),
            attributes: self.attributes.iter().map(|(name, value)| (*name, value.as_str())).collect(),
            ..UsageEvent::default()
        };
        for (field, text) in TEXTS.into_iter().zip(&self.texts) {
            event.texts[field as usize] = text;
        }
        event
    }

    /// The URN, where the sample is taken for an asset.
    fn urn(&self) -> &str {
        &self.texts[1]
    }

    /// As a row of `sample`.
    fn row(&self, n: usize) -> Json {
        let event = self.event();
        let values = labels().map(|label| label_value(&event, &label).to_owned());
        json!({ "n": n, "urn": self.urn(), "label_values": values })
    }
}

fn texts() -> BoxedStrategy<String> {
    let known =
        ["", "", "a", "ab", "B", "a]b", "it's", "\"", "\\", "%_", "ä", "日本", "\u{10ffff}", "\n", "a\nb"];
    prop_oneof![
        3 => select(known.to_vec()).prop_map(str::to_owned),
        1 => "[abkK1 \\]\\-^\\\\\n.*äß😀\u{212a}\u{ffff}\u{7f}]{0,6}",
        1 => "[^\\x00]{0,4}",
    ]
    .boxed()
}

/// Numbers as they are written.
fn numbers() -> BoxedStrategy<String> {
    let known =
        ["0", "5", "-0", "200", "404", "1.10", "1.1", "-12.5", "0.000000001", "999999999999999999.999999999"];
    prop_oneof![
        4 => select(known.to_vec()).prop_map(str::to_owned),
        1 => "-?[0-9]{1,18}(\\.[0-9]{1,9})?",
    ]
    .boxed()
}

fn samples() -> impl Strategy<Value = Sample> {
    let status = proptest::option::of(select(vec![100, 200, 404, 999]));
    let duration = proptest::option::of(prop_oneof![Just(0), Just(5), Just(200), 0..=i64::MAX]);
    let attributes = btree_map(select(ATTRIBUTES.to_vec()), texts(), 0..4);
    let texts = [texts(), texts(), texts()];
    (texts, status, duration, proptest::option::of(numbers()), attributes).prop_map(
        |(texts, http_status, duration, value, attributes)| Sample {
            texts,
            http_status,
            duration,
            value,
            attributes,
        },
    )
}

/// Patterns that can be read, of every part that they can have.
fn patterns() -> impl Strategy<Value = String> {
    let literal = select("abkK1 ]-^\\.*({äß😀\u{212a}\n\u{7f}'\"".chars().collect::<Vec<_>>())
        .prop_map(|c| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() });
    let class =
        ["[^a]", "[a-c]", "[]\\-^\\\\]", "[^\\n1]", "[k-ä]", "[^\\w]", "[\\s\\S]", "[[:alpha:]&&[^b]]"];
    let other =
        [".", ".", "(?s:.)", "\\w", "\\d", "\\s", "\\W", "\\D", "\\S", "^", "$", "\\A", "\\z", "(?:)"];
    let leaf = prop_oneof![
        4 => literal,
        1 => select(class.to_vec()).prop_map(str::to_owned),
        1 => select(other.to_vec()).prop_map(str::to_owned),
    ];
    let pattern = leaf.prop_recursive(4, 12, 3, |inner| {
        let times = select(vec!["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "{0}", "*?", "+?"]);
        prop_oneof![
            3 => vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
            2 => vec(inner.clone(), 1..4).prop_map(|parts| format!("({})", parts.join("|"))),
            2 => (inner.clone(), times).prop_map(|(part, times)| format!("(?:{part}){times}")),
            1 => inner.prop_map(|part| format!("(?i:{part})")),
        ]
    });
    pattern.prop_filter("a pattern that is read", |pattern| {
        Filter::parse(&json!({ "detail": { "$regex": pattern } }).to_string()).is_ok()
    })
}

/// Filters on some of the fields: of text, and maybe numbers.
fn filters(texts_named: Vec<String>, numbers_named: Vec<&'static str>) -> impl Strategy<Value = Filter> {
    let order = || select(vec!["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]);
    let list = || select(vec!["$in", "$nin"]);
    let of_texts = prop_oneof![
        4 => (select(texts_named.clone()), order(), texts())
            .prop_map(|(name, operator, value)| json!({ name: { operator: value } })),
        2 => (select(texts_named.clone()), list(), vec(texts(), 1..4))
            .prop_map(|(name, operator, values)| json!({ name: { operator: values } })),
        4 => (select(texts_named.clone()), patterns())
            .prop_map(|(name, pattern)| json!({ name: { "$regex": pattern } })),
        1 => (select(texts_named), any::<bool>()).prop_map(|(name, is)| json!({ name: { "$exists": is } })),
    ];
    let of_numbers = |named: Vec<&'static str>| {
        prop_oneof![
            3 => (select(named.clone()), order(), numbers())
                .prop_map(|(name, operator, value)| json!({ name: { operator: value } })),
            1 => (select(named.clone()), list(), vec(numbers(), 1..4))
                .prop_map(|(name, operator, values)| json!({ name: { operator: values } })),
            1 => (select(named), any::<bool>()).prop_map(|(name, is)| json!({ name: { "$exists": is } })),
        ]
    };
    let leaf = if numbers_named.is_empty() {
        of_texts.boxed()
    } else {
        prop_oneof![11 => of_texts, 5 => of_numbers(numbers_named)].boxed()
    };
    let filter = leaf.prop_recursive(3, 8, 3, |inner| {
        (select(vec!["$and", "$or", "$nor"]), vec(inner, 1..4))
            .prop_map(|(operator, parts)| json!({ operator: parts }))
    });
    // Some have too many patterns.
    filter.prop_filter_map("a filter that is read", |filter| Filter::parse(&filter.to_string()).ok())
}

/// Filters on any fields, on those that are labels, and on the URN of an asset.
#[derive(Debug)]
struct Filters {
    any: Vec<Filter>,
    of_labels: Vec<Filter>,
    of_assets: Vec<Filter>,
}

fn cases() -> impl Strategy<Value = (Vec<Sample>, Filters)> {
    let attribute = |name: &&str| format!("attributes.{name}");
    let texts = TEXTS.iter().map(|field| field.name().to_owned()).chain(ATTRIBUTES.iter().map(attribute));
    let of_labels = ["application".to_owned(), "user".to_owned()];
    let of_labels = of_labels.into_iter().chain(ATTRIBUTES[..2].iter().map(attribute));
    let any = filters(texts.collect(), vec!["httpstatus", "duration", "value"]);
    let of_labels = filters(of_labels.collect(), vec!["httpstatus"]);
    let of_assets = filters(vec!["asset_urn".to_owned()], Vec::new());
    let filters = (vec(any, 1..80), vec(of_labels, 1..40), vec(of_assets, 1..40));
    (
        vec(samples(), 1..60),
        filters.prop_map(|(any, of_labels, of_assets)| Filters { any, of_labels, of_assets }),
    )
}

/// A store of one connection, which keeps its temporary table.
fn store() -> Store {
    let url = std::env::var("FLOWMETER_TEST_DATABASE_URL")
        .expect("FLOWMETER_TEST_DATABASE_URL is not set: run `cargo xtask test [FILTER]`");
    Store::new(&Settings { url, max_connections: 1, statement_timeout: Duration::from_secs(10) }).unwrap()
}

/// The samples as a segment.
fn segment(samples: &[Sample]) -> Segment {
    let mut writer = SegmentWriter::default();
    for (second, sample) in (0..).zip(samples) {
        writer.push(EventId::first_at(Timestamp::from_micros(second * 1_000_000)), &sample.event());
    }
    writer.finish().expect("there is a sample")
}

async fn fill(store: &Store, samples: &[Sample]) {
    let rows: Vec<_> = samples.iter().enumerate().map(|(n, sample)| sample.row(n)).collect();
    let client = store.client().await.unwrap();
    client
        .batch_execute(
            "CREATE TEMPORARY TABLE IF NOT EXISTS sample (
                 n integer, urn text COLLATE \"C\" NOT NULL, label_values text[]);
             TRUNCATE sample",
        )
        .await
        .unwrap();
    let insert = "INSERT INTO sample SELECT * FROM jsonb_populate_recordset(NULL::sample, $1)";
    client.query_typed(insert, &[(&json!(rows), Type::JSONB)]).await.unwrap();
}

/// For each sample, which conditions hold in PostgreSQL.
async fn ask(
    store: &Store,
    count: usize,
    mut condition: impl FnMut(usize, &mut Sql),
) -> Result<Vec<Vec<bool>>, StoreError> {
    let mut sql = Sql::new("SELECT ARRAY[");
    for index in 0..count {
        sql.push(if index == 0 { "(true" } else { ", (true" });
        condition(index, &mut sql);
        sql.push(") IS TRUE");
    }
    sql.push("] FROM sample ORDER BY n");
    Ok(sql.query(store).await?.iter().map(|row| row.get(0)).collect())
}

/// Compares all ways to evaluate; returns how many pairs it compared.
async fn agree(store: &Store, samples: &[Sample], filters: &Filters) -> Result<usize, TestCaseError> {
    let Filters { any, of_labels, of_assets } = filters;
    fill(store, samples).await;
    let refused = |error: StoreError| TestCaseError::fail(error.to_string());
    let labels = labels();
    let segment = segment(samples);
    let columns = Column::ALL.into_iter();
    let reader = columns
        .fold(SegmentReader::new(samples.len()).expect("there are few samples"), |reader, column| {
            reader.with(column, segment.column(column))
        });
    let by_columns =
        any.iter().map(|filter| flowmeter_segment::select(filter, &reader).expect("it was just written"));
    let by_columns: Vec<_> = by_columns.collect();
    let by_labels = ask(store, of_labels.len(), |index, sql| {
        sql.matching_labels(&of_labels[index], &labels).expect("labels are all it looks at");
    });
    let by_labels = by_labels.await.map_err(refused)?;
    let by_urns = ask(store, of_assets.len(), |index, sql| {
        sql.matching_assets(&of_assets[index]).expect("the URN is all it looks at");
    });
    let by_urns = by_urns.await.map_err(refused)?;
    for (sample, by_urns) in samples.iter().zip(by_urns) {
        for (filter, in_sql) in of_assets.iter().zip(by_urns) {
            prop_assert_eq!(filter.matches_labels(|_| sample.urn()), in_sql, "{} on {:?}", filter, sample);
        }
    }
    for ((index, sample), by_labels) in samples.iter().enumerate().zip(by_labels) {
        let event = sample.event();
        for (filter, selected) in any.iter().zip(&by_columns) {
            prop_assert_eq!(filter.matches(&event), selected.contains(index), "{} on {:?}", filter, sample);
        }
        for (filter, in_sql) in of_labels.iter().zip(by_labels) {
            let value_of = |field: &Field| label_value(&event, field);
            prop_assert_eq!(filter.matches_labels(value_of), in_sql, "{} on labels of {:?}", filter, sample);
            prop_assert_eq!(filter.matches(&event), in_sql, "{} on {:?}", filter, sample);
        }
    }
    Ok(samples.len() * (any.len() + of_labels.len() + of_assets.len()))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn postgresql_segments_and_memory_agree() {
    let (runtime, store) = (runtime(), store());
    let pairs = std::cell::Cell::new(0);
    let config = ProptestConfig {
        cases: 40,
        max_shrink_iters: 500,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let outcome = TestRunner::new(config).run(&cases(), |(samples, filters)| {
        let found = runtime.block_on(agree(&store, &samples, &filters))?;
        pairs.set(pairs.get() + found);
        Ok(())
    });
    outcome.unwrap();
    assert!(pairs.get() > 50_000, "only {} pairs were compared", pairs.get());
}

/// PostgreSQL neither refuses the largest patterns nor takes long for them.
#[test]
fn the_largest_patterns_are_quick() {
    let (runtime, store) = (runtime(), store());
    let long = Sample {
        texts: ["ab ".repeat(341), "é1".repeat(341), String::new()],
        http_status: None,
        duration: None,
        value: None,
        attributes: BTreeMap::new(),
    };
    let patterns = [
        "(?:a*b*c*d*){37}e",
        "(?:a?b?c?d?){37}e",
        "(?:(?:a|b|c)*(?:b|c|d)*){24}e",
        &"(^|a*|b*|ab|$)(?:(?:a?){9}b?){5}".repeat(2),
        &"((^a|a$|)b?|(^b?|)a*|b*($|))(?:a*b*){4}".repeat(2),
        &"^a*$|^(b?|)$|".repeat(9),
        "(?:a|b)*a(?:a|b){140}c",
        "(?:.*a){70}$",
        r"(?:\w*\W*\d*){9}e",
        r"(?i)(?:[a-z]+[k-ä]*\w?){19}$",
        r"\w\W\d\D\s\S",
        "(?:(?:(?:a?){4}b?){5}c?){5}d",
    ];
    let filter = |(index, pattern): (usize, &&str)| {
        let field = ["application", "detail"][index % 2];
        Filter::parse(&json!({ field: { "$regex": pattern } }).to_string()).expect(pattern)
    };
    let filters: Vec<_> = patterns.iter().enumerate().map(filter).collect();
    for filter in filters {
        let filters = Filters {
            any: vec![filter],
            of_labels: vec![Filter::default()],
            of_assets: vec![Filter::default()],
        };
        runtime.block_on(agree(&store, &vec![long.clone(); 20], &filters)).unwrap();
    }
}

#[test]
fn conditions_stay_simple() {
    let mut labelled = Sql::new("");
    let filter = Filter::parse("user = x AND httpstatus < 300").unwrap();
    labelled.matching_labels(&filter, &labels()).unwrap();
    assert_eq!(
        labelled.text,
        " AND label_values[1] = $1 AND nullif(label_values[2], '')::numeric < ($2)::numeric"
    );
    let mut asset = Sql::new("");
    let filter = Filter::parse("asset_urn = x AND asset_urn =~ '^y' AND asset_urn NOT IN (a, b)").unwrap();
    asset.matching_assets(&filter).unwrap();
    assert_eq!(asset.text, r#" AND urn = $1 AND urn COLLATE "C" ~ $2 AND (urn = ANY ($3)) IS NOT TRUE"#);
    let filter = Filter::parse("detail = x").unwrap();
    assert!(matches!(asset.matching_assets(&filter), Err(StoreError::Refused(_))));
    assert!(matches!(labelled.matching_labels(&filter, &labels()), Err(StoreError::Refused(_))));
}
