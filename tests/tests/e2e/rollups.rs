//! Random events in random order and batches, with retries, while metrics are defined, changed and deleted,
//! roll-ups are folded, and older events are backfilled: every answer must match a naive model of the events.
//!
//! Everything is derived from a seed, which a failure prints; `FLOWMETER_TEST_SEED` sets it. Some events
//! happen just before the run, and so differ between runs with the same seed.

mod definitions;
mod filters;
mod history;
mod lists;
mod model;
mod questions;
mod ranges;

use std::time::Instant;

use flowmeter_core::ids::TenantId;
use flowmeter_store::batch::Writer;
use flowmeter_store::progress::Worker;
use flowmeter_store::rollups::{backfill_step, fold_partials};
use flowmeter_tests::{Installation, Options, Tenant, eventually};
use futures::{StreamExt, stream};
use uuid::Uuid;

use self::definitions::Defined;
use self::history::History;
use self::lists::List;
use self::questions::Question;
use crate::dice::Dice;

/// The default seed.
const SEED: u64 = 20_241_120;
/// The number of chapters. In each, tenants change definitions, send events and run queries.
const CHAPTERS: usize = 3;
const TENANTS: usize = 4;
/// The number of requests of all tenants in a chapter.
const REQUESTS: usize = 120;
/// The number of queries of a tenant after each change of its metrics, and again after the backfill.
const QUESTIONS: usize = 120;
const LISTS: usize = 60;
/// The number of concurrent queries.
const AT_ONCE: usize = 16;
/// The number of queries between two steps of a backfill.
const STEP: usize = 20;
/// The number of events of the first tenant that no metric takes, so that a backfill takes several steps.
const FILLING: usize = 45_000;

/// A run of the test.
struct Run {
    dice: Dice,
    installation: Installation,
    tenants: Vec<Tenant>,
    defined: Vec<Defined>,
    history: History,
    asked: usize,
}

#[tokio::test]
async fn answers_match_a_naive_model_of_the_events() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let begin = Instant::now();
    // Enough connections for all concurrent queries.
    let options = Options {
        settings: vec![("FLOWMETER_DATABASE_CONNECTIONS".into(), (2 * AT_ONCE + 2).to_string())],
        ..Options::default()
    };
    let installation = Installation::start_with("model-answers", options).await;
    let names: Vec<_> = (0..TENANTS).map(|number| format!("model-{number}")).collect();
    let mut tenants = Vec::new();
    for name in &names {
        tenants.push(installation.tenant(name).await);
    }
    let mut writer = Writer::new(installation.store.clone(), Worker { id: Uuid::now_v7(), shard: 7 });
    let mut run = Run {
        dice: Dice::new(seed),
        installation,
        tenants,
        defined: names.iter().map(|_| Defined::default()).collect(),
        history: History::new(names.iter().map(|name| TenantId::named(name)).collect()),
        asked: 0,
    };
    run.history.fill(&mut run.dice, 0, FILLING, &mut writer).await;
    for chapter in 0..CHAPTERS {
        // In every other chapter no worker is running, and the test runs the steps of the backfill between
        // queries.
        let alone = chapter % 2 == 1;
        if alone {
            run.installation.worker.kill9().unwrap();
        }
        run.define().await;
        run.history.send_more(&mut run.dice, REQUESTS, &run.installation.store, &mut writer).await;
        run.define().await;
        run.ask().await;
        if alone {
            run.installation.worker.start_again().unwrap();
        }
        run.settle().await;
        run.ask().await;
        run.list().await;
        println!("chapter {chapter}: {} answers after {:?}", run.asked, begin.elapsed());
    }
    assert!(run.asked > 3_000, "expected more than 3000 queries, found {}", run.asked);
}

impl Run {
    /// Changes the definitions of all tenants.
    async fn define(&mut self) {
        let Self { dice, tenants, defined, .. } = self;
        for (tenant, defined) in tenants.iter().zip(defined) {
            definitions::change_metrics(dice, tenant, defined).await;
            definitions::change_calendars(dice, tenant, defined).await;
            definitions::change_time_series(dice, tenant, defined).await;
        }
    }

    /// Runs many queries, while some events are not rolled up yet.
    async fn ask(&mut self) {
        let Self { dice, installation, tenants, defined, history, asked } = self;
        let mut questions = Vec::new();
        for (number, defined) in defined.iter().enumerate() {
            for _ in 0..QUESTIONS {
                questions.push((number, Question::random(dice, defined, history)));
            }
        }
        dice.shuffle(&mut questions);
        *asked += questions.len();
        let (tenants, stored) = (&*tenants, &history.stored);
        let answers = stream::iter(&questions)
            .map(async |(number, question)| question.check(&tenants[*number], &stored[*number]).await);
        let mut answers = answers.buffer_unordered(AT_ONCE);
        let (mut wrong, mut answered) = (Vec::new(), 0);
        while let Some(answer) = answers.next().await {
            wrong.extend(answer.err());
            answered += 1;
            if answered % STEP == 0 {
                backfill_step(&installation.store).await.unwrap();
            }
            if answered % (5 * STEP) == 0 {
                fold_partials(&installation.store).await.unwrap();
            }
        }
        report(&wrong, answered);
    }

    /// Waits until all events are rolled up.
    async fn settle(&mut self) {
        for tenant in &self.tenants {
            eventually(true, async || definitions::are_backfilled(tenant).await).await;
        }
        fold_partials(&self.installation.store).await.unwrap();
    }

    /// Reads many lists of all tenants except the first, which has too many events.
    async fn list(&mut self) {
        let Self { dice, tenants, history, asked, .. } = self;
        let lists: Vec<_> =
            (0..LISTS).map(|_| (1 + dice.below(TENANTS - 1), List::random(dice, history))).collect();
        *asked += 2 * LISTS;
        let (tenants, stored) = (&*tenants, &history.stored);
        let answers = stream::iter(&lists).map(async |(number, list)| {
            let (tenant, events) = (&tenants[*number], &stored[*number]);
            [list.check_events(tenant, events).await, list.check_values(tenant, events).await]
        });
        let answers: Vec<_> = answers.buffer_unordered(AT_ONCE).collect().await;
        let wrong: Vec<_> = answers.into_iter().flatten().filter_map(Result::err).collect();
        report(&wrong, 2 * LISTS);
    }
}

/// Fails if answers are wrong, and prints the shortest description of one.
fn report(wrong: &[String], of: usize) {
    let Some(shortest) = wrong.iter().min_by_key(|text| text.len()) else { return };
    panic!("{} of {of} answers are wrong, such as\n{shortest}", wrong.len());
}
