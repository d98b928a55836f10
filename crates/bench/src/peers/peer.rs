//! Another database: loads the events, and asks the questions in its dialect.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flowmeter_stack::Peer;
use tokio::task::JoinSet;

use super::dialect::{Cache, Dialect, Lines};
use super::http::Connection;
use super::{Answer, DRAIN_LIMIT, Load, Measured, Question, ask_often, settled};

/// Loads the events, and asks the questions.
pub async fn measure(peer: &Peer, dialect: Dialect, load: &Load) -> Result<Measured> {
    let cpu = || peer.usage().unwrap_or_default().cpu;
    let mut connection = Connection::open(&peer.address()).await?;
    if let Some((path, parameters)) = dialect.create {
        connection.post_form(path, parameters).await?;
    }
    let (begin, cpu_before) = (Instant::now(), cpu());
    send(peer, dialect, load).await?;
    if let Some(path) = dialect.flush {
        connection.post(path, "").await?;
    }
    wait_until_all_is_answered(&mut connection, dialect, load).await?;
    let (loaded, cpu) = (begin.elapsed(), cpu().saturating_sub(cpu_before));
    let data = peer.data();
    let bytes = settled(async || size_of(&data)).await?;

    let mut answers = Vec::new();
    for cache in dialect.caches {
        for question in Question::ALL {
            let asked = ask_often(question, load, async |question, turn| {
                ask(&mut connection, dialect, load, (question, turn, *cache)).await
            });
            answers.push(Answer { question, cache: *cache, durations: asked.await? });
        }
    }
    let events = load.days.events as f64;
    Ok(Measured {
        loaded: events / loaded.as_secs_f64(),
        cpu: cpu.as_secs_f64() * 1e6 / events,
        bytes: bytes as f64 / events,
        answers,
    })
}

async fn ask(
    connection: &mut Connection,
    dialect: Dialect,
    load: &Load,
    (question, turn, cache): (Question, usize, Cache),
) -> Result<u64> {
    let (path, parameters) = dialect.question(question, turn, cache, &load.days);
    let parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
    dialect.count(&connection.post_form(path, &parameters).await?)
}

async fn send(peer: &Peer, dialect: Dialect, load: &Load) -> Result<()> {
    let (lines, next) = (Arc::new(Lines::new(dialect.kind)), Arc::new(AtomicU64::new(0)));
    let mut senders = JoinSet::new();
    for _ in 0..load.in_flight {
        let mut connection = Connection::open(&peer.address()).await?;
        let (lines, next) = (lines.clone(), next.clone());
        let (days, batch) = (load.days, load.batch);
        senders.spawn(async move {
            loop {
                let first = next.fetch_add(batch, Ordering::Relaxed);
                if first >= days.events {
                    return anyhow::Ok(());
                }
                let body = lines.of(first..(first + batch).min(days.events), &days);
                connection.post(dialect.write, body).await?;
            }
        });
    }
    while let Some(sender) = senders.join_next().await {
        sender??;
    }
    Ok(())
}

/// Waits until the answers contain exactly the sent events.
async fn wait_until_all_is_answered(
    connection: &mut Connection,
    dialect: Dialect,
    load: &Load,
) -> Result<()> {
    let (begin, expected) = (Instant::now(), load.expected.reads);
    loop {
        let counted = ask(connection, dialect, load, (Question::Reads, 0, Cache::Unused)).await?;
        if counted == expected {
            return Ok(());
        }
        ensure!(
            begin.elapsed() < DRAIN_LIMIT,
            "{}: expected {expected} reads, found {counted} after {DRAIN_LIMIT:?}",
            dialect.kind.name()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The size of all files below a directory. A file that is removed meanwhile does not count.
fn size_of(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir).with_context(|| format!("list {}", dir.display()))?.flatten() {
        let path = entry.path();
        bytes += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size_of(&path).unwrap_or_default(),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(bytes)
}
