//! Whatever the order, repetition and grouping in which requests are applied, whenever metrics are
//! defined, changed and deleted, and whenever roll-ups are folded and older events rolled up: every
//! answer of the service is that of a naive model over the events.
//!
//! All is random and follows from a seed, which a failure names; `FLOWMETER_TEST_SEED` sets it.
//! Some events happen just before the run, so that another one differs in these.

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

/// The seed of a run that is given none.
const SEED: u64 = 20_241_120;
/// What each tenant sends and defines comes in so many parts.
const CHAPTERS: usize = 3;
const TENANTS: usize = 4;
/// Requests of a chapter, of all tenants.
const REQUESTS: usize = 120;
/// Questions about a tenant after each change of its metrics, and as many when all is rolled up.
const QUESTIONS: usize = 120;
const LISTS: usize = 60;
/// Questions under way at a time.
const AT_ONCE: usize = 16;
/// Questions between two steps of a backfill.
const STEP: usize = 20;
/// Events that no metric takes: those of the first tenant are rolled up in several steps.
const FILLING: usize = 45_000;

/// A run: what is asked, of whom, and what should be answered.
struct Run {
    dice: Dice,
    installation: Installation,
    tenants: Vec<Tenant>,
    defined: Vec<Defined>,
    history: History,
    asked: usize,
}

#[tokio::test]
async fn every_answer_is_that_of_a_naive_model_over_the_events() {
    let seed = std::env::var("FLOWMETER_TEST_SEED").map_or(SEED, |seed| seed.parse().expect("a number"));
    println!("FLOWMETER_TEST_SEED={seed}");
    let begin = Instant::now();
    // Enough that questions which come at once do not wait for each other's end.
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
        // In every other chapter no worker rolls up older events meanwhile, and they are rolled up
        // step by step between questions.
        let alone = chapter % 2 == 1;
        if alone {
            run.installation.worker.kill9().unwrap();
        }
        run.define().await;
        run.history.go_on(&mut run.dice, REQUESTS, &run.installation.store, &mut writer).await;
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
    assert!(run.asked > 3_000, "only {} questions were asked", run.asked);
}

impl Run {
    /// Changes what tenants define.
    async fn define(&mut self) {
        let Self { dice, tenants, defined, .. } = self;
        for (tenant, defined) in tenants.iter().zip(defined) {
            definitions::change_metrics(dice, tenant, defined).await;
            definitions::change_calendars(dice, tenant, defined).await;
            definitions::change_time_series(dice, tenant, defined).await;
        }
    }

    /// Asks many questions, whatever is rolled up by now.
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

    /// Waits until all that was stored before is rolled up.
    async fn settle(&mut self) {
        for tenant in &self.tenants {
            eventually(true, async || definitions::are_backfilled(tenant).await).await;
        }
        fold_partials(&self.installation.store).await.unwrap();
    }

    /// Reads many lists, of all tenants but the first, whose events are many.
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

/// Fails if answers are wrong, and shows the shortest.
fn report(wrong: &[String], of: usize) {
    let Some(shortest) = wrong.iter().min_by_key(|text| text.len()) else { return };
    panic!("{} of {of} answers are wrong, such as\n{shortest}", wrong.len());
}
