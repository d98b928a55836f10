//! `bench query`: how long answers take over a month of events.

mod database;
mod fill;
mod plans;
pub mod questions;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_core::ids::TenantId;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_proto::v1::query_service_client::QueryServiceClient;
use flowmeter_stack::{Postgres, Progress, Service, ServiceSpec, StackDir, workspace_root};
use tokio::task::JoinSet;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::{Channel, Endpoint};

use self::database::Database;
use self::fill::fill;
use self::plans::Log;
use self::questions::{QUESTIONS, Question, Request};
use crate::authorized;
use crate::days::Days;
use crate::figures::{Figure, Target};
use crate::installation::{counted, setting};
use crate::percentiles::Durations;
use crate::report::Report;

/// The amount of data, and how the queries are run.
#[derive(Debug, clap::Args)]
pub struct Query {
    /// The number of events, spread evenly over the last 30 whole days.
    #[arg(long, default_value_t = 10_000_000)]
    events: u64,
    /// Repeats the bench with this number of events over the same days, and reports how much slower each answer
    /// is. The verdict compares the medians, because with this number of queries a p99 reflects what else the
    /// machine did.
    #[arg(long)]
    grow: Option<u64>,
    /// The maximum number of times to run each query. Earlier times, which bring its data into memory, do not
    /// count. A query is run fewer times if it would take longer than --seconds.
    #[arg(long, default_value_t = 500)]
    queries: usize,
    /// The maximum number of seconds to spend on one query.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// The number of connections that ask at the same time.
    #[arg(long, default_value_t = 1)]
    connections: usize,
    /// Runs only the queries whose names contain this text.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Prints the query plans of all queries, not only of those that miss their target.
    #[arg(long)]
    plans: bool,
    /// Keeps the data in target/stack-bench-query, and reuses the data of an earlier run with the same number of
    /// events. Without this flag the data is removed. A change of the schema is not detected.
    #[arg(long)]
    keep: bool,
    /// Additional settings for the query service, such as `FLOWMETER_DATABASE_CONNECTIONS=2`.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
}

/// The share of --seconds that the warm-up of a query can take. The warm-up runs the query until its requests
/// repeat, so that its data is in memory, like the data of frequent queries. The time of the very first run
/// is printed too: its data may have to be read from the disk.
const WARM_UP: f64 = 0.5;
/// The minimum number of runs in the warm-up, so that the connections are open.
const WARM_UP_TURNS: usize = 5;
/// A query that takes this long is not warmed up further.
const WARM_ENOUGH: Duration = Duration::from_millis(200);
/// The tenant that owns the events.
const TENANT: &str = "bench";

/// The file that describes the stored data.
const KEPT: &str = "postgres/filled";

impl Query {
    pub fn run(&self, report: &mut Report) -> Result<()> {
        ensure!(
            std::env::var_os("DATABASE_URL").is_none_or(|url| url.is_empty()),
            "expected no DATABASE_URL: this bench measures a private server"
        );
        let progress = Progress::visible(Arc::default());
        let dir = StackDir::claim(&workspace_root().join("target/stack-bench-query"), !self.keep)?;
        let mut postgres =
            progress.step("PostgreSQL", || Postgres::start(&dir.below("postgres")?, &progress))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let measured = runtime.block_on(self.measure(&dir, &postgres, report));
        postgres.stop()?;
        if !self.keep {
            let data = dir.path().join("postgres");
            std::fs::remove_dir_all(&data).with_context(|| format!("remove {}", data.display()))?;
        }
        measured
    }

    async fn measure(&self, dir: &StackDir, postgres: &Postgres, report: &mut Report) -> Result<()> {
        let mut before: Option<Vec<Answered>> = None;
        for events in std::iter::once(self.events).chain(self.grow) {
            let kept = read_kept(dir).filter(|kept| self.keep && kept.events == events);
            let days = kept.unwrap_or_else(|| Days::until_today(events));
            let load = Load { days, is_grown: before.is_some() };
            if kept.is_none() {
                forget_kept(dir)?;
            }
            let database = Database::open(postgres, TENANT, kept.is_none()).await?;
            report.set_postgresql(database.version().await?);
            report.section(format_args!("{events} events over {}", days.range()));
            if kept.is_none() {
                fill_database(&database, postgres, &load, report).await?;
                write_kept(dir, days)?;
            }
            let service = Asked::start(self, dir, "query", postgres.url(), &database)?;
            service.check_counts(days).await?;
            report.section(format_args!(
                "each query up to {} times over {}",
                self.queries,
                counted(self.connections, "connection")
            ));
            let answered = service.ask_all(self, &load, before.as_deref(), report).await?;
            service.report_memory(&load, report);
            service.stop()?;
            database.report_sizes(&load, report).await?;
            self.print_plans(dir, postgres, &database, (days, &answered)).await?;
            before = Some(answered);
        }
        Ok(())
    }

    fn questions(&self) -> impl Iterator<Item = &'static Question> {
        QUESTIONS
            .iter()
            .filter(|question| self.only.as_ref().is_none_or(|only| question.name.contains(&**only)))
    }

    /// Prints the plans of the queries that missed their target, for their slowest request.
    async fn print_plans(
        &self,
        dir: &StackDir,
        postgres: &Postgres,
        database: &Database,
        (days, answered): (Days, &[Answered]),
    ) -> Result<()> {
        let shown: Vec<_> = answered.iter().filter(|answered| self.plans || answered.is_too_slow()).collect();
        if shown.is_empty() {
            return Ok(());
        }
        let service =
            Asked::start(self, dir, "query-explained", &plans::explaining(postgres.url()), database)?;
        for answered in shown {
            let log = dir.path().join("postgres/postgres.log");
            let client = service.client().await?;
            ask(&client, &service.token, &(answered.question.ask)(&days, answered.slowest)).await?;
            let log = Log::from_here(&log)?;
            ask(&client, &service.token, &(answered.question.ask)(&days, answered.slowest)).await?;
            println!("\n{}:", answered.question.name);
            for plan in log.plans()? {
                println!("{plan}");
            }
        }
        service.stop()
    }
}

/// The events that the queries are about.
struct Load {
    days: Days,
    /// Whether this is the larger load of `--grow`.
    is_grown: bool,
}

impl Load {
    /// The name of a figure about this load, which is different for the larger load.
    fn named(&self, what: &str) -> String {
        if self.is_grown { format!("{what}, grown") } else { what.to_owned() }
    }
}

async fn fill_database(
    database: &Database,
    postgres: &Postgres,
    load: &Load,
    report: &mut Report,
) -> Result<()> {
    let days = load.days;
    let millions = days.events as f64 / 1e6;
    let cpu = || postgres.usage().unwrap_or_default().cpu;
    let per_million = |cpu: Duration| cpu.as_secs_f64() / millions;
    let (begin, cpu_before, log_before) = (Instant::now(), cpu(), database.log_bytes().await?);
    fill(&database.store, TenantId::named(TENANT), days).await?;
    let (written, cpu_after) = (begin.elapsed(), cpu());
    let log_bytes = database.log_bytes().await? - log_before;
    let mut add = |what: &str, unit: &str, value: f64| {
        report.add(Figure::new(load.named(what), unit, value));
    };
    add("written and folded", "events/s", days.events as f64 / written.as_secs_f64());
    add("CPU of postgresql to write", "s/million events", per_million(cpu_after.saturating_sub(cpu_before)));
    add("write-ahead log", "bytes/event", log_bytes as f64 / days.events as f64);
    database.vacuum().await?;
    add("vacuum", "s", begin.elapsed().saturating_sub(written).as_secs_f64());
    add("CPU of postgresql to vacuum", "s/million events", per_million(cpu().saturating_sub(cpu_after)));
    let begin = Instant::now();
    let settled = database.settle().await?;
    let note = format!("{} into {}", counted(settled.merged, "segment"), settled.into);
    report.add(Figure::new(load.named("settled"), "s", begin.elapsed().as_secs_f64()).note(note));
    Ok(())
}

/// The description of the data in the directory, if a run has completed it.
fn read_kept(dir: &StackDir) -> Option<Days> {
    let text = std::fs::read_to_string(dir.path().join(KEPT)).ok()?;
    let (events, end) = text.split_once(' ')?;
    Some(Days { end: Timestamp::from_micros(end.parse().ok()?), events: events.parse().ok()? })
}

fn forget_kept(dir: &StackDir) -> Result<()> {
    match std::fs::remove_file(dir.path().join(KEPT)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context("remove the mark of kept data")
        }
        _ => Ok(()),
    }
}

fn write_kept(dir: &StackDir, days: Days) -> Result<()> {
    let path = dir.path().join(KEPT);
    std::fs::write(&path, format!("{} {}", days.events, days.end.micros()))
        .with_context(|| format!("write {}", path.display()))
}

/// A query with the durations of its runs.
struct Answered {
    question: &'static Question,
    durations: Durations,
    /// The duration of the very first run.
    first: Duration,
    /// The turn of the slowest run.
    slowest: usize,
}

impl Answered {
    fn is_too_slow(&self) -> bool {
        self.question.target.is_some_and(|target| self.durations.percentile(99) > target)
    }
}

/// The query service under test.
struct Asked {
    service: Service,
    token: MetadataValue<Ascii>,
}

impl Asked {
    fn start(query: &Query, dir: &StackDir, name: &str, url: &str, database: &Database) -> Result<Self> {
        let mut spec =
            ServiceSpec::new(name, binary()?, dir.below("services")?).env("FLOWMETER_DATABASE_URL", url);
        spec.env.extend(query.settings.iter().cloned());
        let token = format!("Bearer {}", database.token).parse()?;
        Ok(Self { service: Service::spawn(spec)?, token })
    }

    async fn client(&self) -> Result<QueryServiceClient<Channel>> {
        let endpoint = Endpoint::from_shared(self.service.url())?;
        Ok(QueryServiceClient::new(endpoint.connect().await.context("connect to the query service")?))
    }

    /// Checks that the three count metrics together contain exactly the written events.
    async fn check_counts(&self, days: Days) -> Result<()> {
        let mut client = self.client().await?;
        let mut counted = 0;
        for request in days.counts() {
            let answer = client.query_time_series(authorized(request, &self.token)).await?.into_inner();
            counted += answer.series[0].points.iter().map(|point| point.count.unsigned_abs()).sum::<u64>();
        }
        ensure!(counted == days.events, "{counted} events are counted, but {} were written", days.events);
        Ok(())
    }

    async fn ask_all(
        &self,
        query: &Query,
        load: &Load,
        before: Option<&[Answered]>,
        report: &mut Report,
    ) -> Result<Vec<Answered>> {
        let mut all = Vec::new();
        for question in query.questions() {
            let (answered, answer) = self.ask_often(query, load.days, question).await?;
            let earlier =
                before.and_then(|before| before.iter().find(|other| other.question.name == question.name));
            add_answered(&answered, &answer, load, report);
            if let Some(earlier) = earlier {
                add_growth(&answered, earlier, report);
            }
            all.push(answered);
        }
        Ok(all)
    }

    async fn ask_often(
        &self,
        query: &Query,
        days: Days,
        question: &'static Question,
    ) -> Result<(Answered, String)> {
        let limit = Duration::from_secs(query.seconds);
        let begin = Instant::now();
        let (first, warm_up) = self.warm_up(days, question, begin + limit.mul_f64(WARM_UP)).await?;
        let deadline = begin + limit;
        let next = Arc::new(AtomicUsize::new(warm_up));
        let queries = warm_up + query.queries;
        let mut asking = JoinSet::new();
        for _ in 0..query.connections {
            let (client, token, next) = (self.client().await?, self.token.clone(), next.clone());
            asking.spawn(async move {
                let (mut taken, mut last) = (Vec::new(), String::new());
                loop {
                    let turn = next.fetch_add(1, Ordering::Relaxed);
                    if turn >= queries || (Instant::now() > deadline && !taken.is_empty()) {
                        return anyhow::Ok((taken, last));
                    }
                    let request = (question.ask)(&days, turn);
                    let begin = Instant::now();
                    last = ask(&client, &token, &request).await?;
                    taken.push((begin.elapsed(), turn));
                }
            });
        }
        let (mut all, mut answer) = (Vec::new(), String::new());
        while let Some(asked) = asking.join_next().await {
            let (taken, last) = asked??;
            all.extend(taken);
            answer = last;
        }
        let slowest = all.iter().max().map_or(0, |(_, turn)| *turn);
        let durations = Durations::new(all.into_iter().map(|(duration, _)| duration).collect());
        Ok((Answered { question, durations, first, slowest }, answer))
    }

    /// Runs the query until its requests repeat. Returns the duration of the first run, and the next turn.
    async fn warm_up(&self, days: Days, question: &Question, until: Instant) -> Result<(Duration, usize)> {
        let client = self.client().await?;
        let (mut first, mut turn) = (None, 0);
        while turn < question.repeats.max(WARM_UP_TURNS) && Instant::now() < until {
            let begin = Instant::now();
            ask(&client, &self.token, &(question.ask)(&days, turn)).await?;
            let taken = begin.elapsed();
            first.get_or_insert(taken);
            turn += 1;
            if taken > WARM_ENOUGH {
                break;
            }
        }
        Ok((first.unwrap_or_default(), turn))
    }

    fn report_memory(&self, load: &Load, report: &mut Report) {
        let usage = self.service.usage().unwrap_or_default();
        let peak = usage.peak_rss_bytes as f64 / 1e6;
        report.add(Figure::new(load.named("peak memory of query"), "MB", peak));
    }

    fn stop(mut self) -> Result<()> {
        self.service.terminate(Duration::from_secs(30)).map(drop)
    }
}

/// The query service that was built together with this program.
fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe().context("find this program")?.with_file_name("flowmeter-query");
    ensure!(path.is_file(), "{} does not exist; `cargo xtask bench` builds it", path.display());
    Ok(path)
}

/// Sends one request, and describes the answer.
async fn ask(
    client: &QueryServiceClient<Channel>,
    token: &MetadataValue<Ascii>,
    request: &Request,
) -> Result<String> {
    let mut client = client.clone();
    match request {
        Request::Series(request) => {
            let answer = client.query_time_series(authorized(request.clone(), token)).await?.into_inner();
            let points: usize = answer.series.iter().map(|series| series.points.len()).sum();
            Ok(match answer.series.len() {
                1 => counted(points, "point"),
                series => format!("{}, {series} series", counted(points, "point")),
            })
        }
        Request::List(request) => {
            let answer = client.list_usage_events(authorized(request.clone(), token)).await?.into_inner();
            Ok(counted(answer.usage_events.len(), "event"))
        }
    }
}

fn add_answered(answered: &Answered, answer: &str, load: &Load, report: &mut Report) {
    let Answered { question, durations, first, .. } = answered;
    let name = load.named(question.name);
    let target = question.target.map(|target| Target::AtMost(target.as_secs_f64() * 1_000.0));
    let note = format!("{answer}, asked {}", counted(durations.count(), "time"));
    let first = first.as_secs_f64() * 1_000.0;
    report.add(Figure::new(format!("{name}, first"), "ms", first).note(note));
    report.add_durations(&name, durations, target);
}

/// Reports by which factor the times of a query have grown with the number of events.
fn add_growth(answered: &Answered, before: &Answered, report: &mut Report) {
    for percent in [50, 99] {
        let growth = answered.durations.millis(percent) / before.durations.millis(percent);
        let figure = Figure::new(format!("{}, p{percent}, growth", answered.question.name), "×", growth);
        let limit = answered.question.growth.filter(|_| percent == 50);
        report.add(figure.target(limit.map(Target::AtMost)).headline());
    }
}
