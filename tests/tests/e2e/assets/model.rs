//! Random requests in random order from several senders, with retries, while workers are killed: every answer
//! must match a naive model of the requests.
//!
//! Everything is derived from a seed, which a failure prints; `FLOWMETER_TEST_SEED` sets it.

mod letters;
mod questions;
mod values;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use flowmeter_proto::v1::{Asset, ListAssetsRequest};
use flowmeter_tests::{Installation, Options, Tenant};
use futures::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use self::letters::Sent;
use self::questions::Question;
use self::values::Settled;
use super::list_assets;
use crate::dice::Dice;

const SEED: u64 = 20_240_304;
/// The number of chapters. Each emits values and then runs queries.
const CHAPTERS: usize = 4;
const TENANTS: usize = 2;
/// The number of requests of all tenants in a chapter.
const REQUESTS: usize = 160;
/// How often workers are killed in a chapter.
const PARTS: usize = 2;
const QUESTIONS: usize = 250;
const AT_ONCE: usize = 16;

/// Some are prefixes of others, some look like patterns, and nothing is ever emitted for the last one.
const URNS: [&str; 8] =
    ["urn:a", "urn:a:1", "urn:a:10", "urn:A", "urn:%", "urn:_a\\", "ürn:\u{1f600} '\"", "urn:none"];
const NAMES: [&str; 9] = ["a", "b", "A", "aa", "nbRecords", "isActive", "ä b", "%", "\u{1f600}"];

/// The name of an asset metric, and a time in microseconds.
type Key = (String, i64, String);

/// The merged value.
#[derive(Debug)]
struct Known {
    /// The newest request and its value.
    newest: (Uuid, Settled),
    /// The oldest request and the place in it.
    oldest: (Uuid, usize),
}

/// The values that a tenant has emitted.
#[derive(Debug, Default)]
struct Model(BTreeMap<Key, Known>);

impl Model {
    fn add(&mut self, key: Key, request: Uuid, place: usize, value: Settled) {
        let Some(known) = self.0.get_mut(&key) else {
            self.0.insert(key, Known { newest: (request, value), oldest: (request, place) });
            return;
        };
        known.oldest = known.oldest.min((request, place));
        if request > known.newest.0 {
            known.newest = (request, value);
        }
    }

    /// The values of an asset by time and name. None if nothing was ever emitted for it.
    fn of<'a>(&'a self, urn: &'a str) -> impl Iterator<Item = (i64, &'a str, &'a Known)> {
        let of_urn = self.0.iter().filter(move |((of, _, _), _)| of == urn);
        of_urn.map(|((_, at, name), known)| (*at, name.as_str(), known))
    }
}

/// A run of the test.
struct Run {
    dice: Dice,
    tenants: Vec<(Tenant, Model)>,
    /// The times of values in microseconds: few, some adjacent, some in the future.
    times: Vec<i64>,
    /// The milliseconds of request ids, which are few as well.
    made: Vec<i64>,
    /// When assets were first stored, by the number of the tenant and their names.
    created: BTreeMap<(usize, String), Asset>,
}

#[tokio::test]
async fn answers_match_a_naive_model_of_the_requests() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let settings = vec![("FLOWMETER_DATABASE_CONNECTIONS".into(), (AT_ONCE + 2).to_string())];
    let options = Options { settings, ..Options::default() };
    let mut installation = Installation::start_with("asset-model", options).await;
    let mut another = installation.start_another_worker();
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        tenants.push((installation.tenant(&format!("tenant-{number}")).await, Model::default()));
    }
    let mut run = Run::new(Dice::new(seed), tenants);
    let mut asked = 0;
    for _ in 0..CHAPTERS {
        let letters = run.write();
        // A worker is killed while it applies the last requests, and restarted when more have been sent.
        for part in letters.chunks(letters.len().div_ceil(PARTS)) {
            let (before, after) = part.split_at(run.dice.below(part.len()));
            run.send(before).await;
            let dies = if run.dice.once_in(2) { &mut installation.worker } else { &mut another };
            dies.kill9().unwrap();
            run.send(after).await;
            dies.start_again().unwrap();
        }
        run.settle(&letters).await;
        asked += run.ask().await;
        run.check_creation().await;
    }
    assert_eq!(asked, CHAPTERS * QUESTIONS);
}

impl Run {
    fn new(mut dice: Dice, tenants: Vec<(Tenant, Model)>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = i64::try_from(now.as_micros()).unwrap();
        let mut times: Vec<_> = (0..4).map(|_| now - dice.between(1_000_000, 390 * 86_400_000_000)).collect();
        // An adjacent time, a whole second, a recent time, and one in the future.
        times.push(times[0] + 1);
        times.push(times[1] - times[1].rem_euclid(1_000_000));
        times.extend([now - 60_000_000, now + 2_400_000_000]);
        let made = (0..40).map(|_| now / 1_000 - dice.between(0, 6 * 86_400_000)).collect();
        Self { dice, tenants, times, made, created: BTreeMap::new() }
    }

    /// Generates the requests of a chapter and adds their values to the models. Some are sent twice, in random order.
    fn write(&mut self) -> Vec<(usize, Sent)> {
        let mut letters = Vec::new();
        for _ in 0..REQUESTS {
            let number = self.dice.below(TENANTS);
            let sent = if self.dice.once_in(2) { self.one(number) } else { self.many(number) };
            if self.dice.once_in(4) {
                letters.push((number, sent.clone()));
            }
            letters.push((number, sent));
        }
        self.dice.shuffle(&mut letters);
        letters
    }

    async fn send(&self, letters: &[(usize, Sent)]) {
        let answers = stream::iter(letters).map(|(number, sent)| sent.send(&self.tenants[*number].0));
        answers.buffer_unordered(AT_ONCE).try_collect::<()>().await.unwrap();
    }

    /// Waits until every request is applied.
    async fn settle(&self, letters: &[(usize, Sent)]) {
        let receipts = stream::iter(letters).map(async |(number, sent)| {
            let receipt = self.tenants[*number].0.settled(sent.request_id()).await;
            let found = (receipt.state, usize::try_from(receipt.accepted_count));
            assert_eq!(found, (2, Ok(sent.metrics())), "the receipt of {}", sent.request_id());
        });
        receipts.buffer_unordered(AT_ONCE).collect::<()>().await;
    }

    /// Runs many queries, and fails if an answer is wrong.
    async fn ask(&mut self) -> usize {
        let Self { dice, tenants, times, .. } = self;
        let questions: Vec<_> =
            (0..QUESTIONS).map(|_| (dice.below(TENANTS), Question::random(dice, times))).collect();
        let tenants = &*tenants;
        let answers = stream::iter(&questions).map(async |(number, question)| {
            let (tenant, model) = &tenants[*number];
            question.check(tenant, model).await
        });
        let answers = answers.buffer_unordered(AT_ONCE).filter_map(async |answer| answer.err());
        let wrong: Vec<String> = answers.collect().await;
        if let Some(shortest) = wrong.iter().min_by_key(|text| text.len()) {
            panic!("{} of {QUESTIONS} answers are wrong, such as\n{shortest}", wrong.len());
        }
        questions.len()
    }

    /// The creation time of an asset does not change.
    async fn check_creation(&mut self) {
        for (number, (tenant, _)) in self.tenants.iter().enumerate() {
            for asset in list_assets(tenant, ListAssetsRequest::default()).await.unwrap() {
                assert!(asset.create_time.is_some(), "{asset:?}");
                let known = self.created.entry((number, asset.urn.clone())).or_insert_with(|| asset.clone());
                assert_eq!(known, &asset);
            }
        }
    }
}
