//! How the other databases are written to and asked, and what they do not keep.

use std::fmt::Write;
use std::ops::Range;

use anyhow::{Context, Result};
use flowmeter_stack::PeerKind;
use serde_json::Value;

use super::Question;
use crate::days::Days;
use crate::events::{APPLICATIONS, Event, LABEL_SETS, Labels, METHODS, READS, Texts};

const MICROS_PER_SECOND: i64 = 1_000_000;
const HOUR_SECONDS: i64 = 3_600;

/// A form that is sent to a path.
type Form<P> = (&'static str, P);

/// A database's own language, and what a reader must know about its figures.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    pub kind: PeerKind,
    /// Creates what has to exist before the first event.
    pub create: Option<Form<&'static [(&'static str, &'static str)]>>,
    /// The path that takes events.
    pub write: &'static str,
    /// The path that makes what was written visible.
    pub flush: Option<&'static str>,
    /// The ways to ask.
    pub caches: &'static [Cache],
    /// Beside figures of loading: what the database does not promise then.
    pub loading: &'static str,
    /// Beside the size: what the database does not keep.
    pub keeping: &'static str,
    /// Beside the answers that are not from a cache.
    pub answering: &'static str,
}

/// Whether the database may answer from earlier answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    Unused,
    Used,
}

impl Cache {
    /// The end of the name of a figure.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Unused => "",
            Self::Used => " (cached)",
        }
    }
}

impl Dialect {
    pub const VICTORIA_METRICS: Self = Self {
        kind: PeerKind::VictoriaMetrics,
        create: None,
        write: "/api/v1/import/prometheus",
        flush: Some("/internal/force_flush"),
        caches: &[Cache::Unused, Cache::Used],
        loading: "counts a repeated request twice, and answers before the events are on disk",
        keeping: "keeps duration and size under labels, but no ids, users or other text",
        answering: "reads every sample, where Flowmeter reads roll-ups; in floating point",
    };

    pub const INFLUXDB: Self = Self {
        kind: PeerKind::InfluxDb,
        create: Some(("/query", &[("q", "CREATE DATABASE bench")])),
        write: "/write?db=bench&precision=u",
        flush: None,
        caches: &[Cache::Unused],
        loading: "durable at the answer, but silently replaces an event of the same labels and time",
        keeping: "keeps ids and text, but no index of them and no request ids",
        answering: "reads every point, where Flowmeter reads roll-ups",
    };

    /// The path and the parameters of a question.
    pub fn question(
        self,
        question: Question,
        turn: usize,
        cache: Cache,
        days: &Days,
    ) -> Form<Vec<(&'static str, String)>> {
        let (start, end) = (days.start().micros() / MICROS_PER_SECOND, days.end.micros() / MICROS_PER_SECOND);
        let application = format!("application-{}", turn % APPLICATIONS);
        let get = METHODS[0];
        match self.kind {
            PeerKind::VictoriaMetrics => {
                let labels = match question {
                    Question::Reads => format!("method=~\"{}\"", READS.join("|")),
                    Question::Gets => format!("application=\"{application}\",method=\"{get}\""),
                };
                let mut parameters = vec![
                    ("query", format!("sum(count_over_time(duration_ms{{{labels}}}[1h]))")),
                    // A point counts the hour that ends there.
                    ("start", (start + HOUR_SECONDS).to_string()),
                    ("end", end.to_string()),
                    ("step", "1h".to_owned()),
                ];
                if cache == Cache::Unused {
                    parameters.push(("nocache", "1".to_owned()));
                }
                ("/api/v1/query_range", parameters)
            }
            PeerKind::InfluxDb => {
                let tags = match question {
                    Question::Reads => READS.map(|method| format!("method = '{method}'")).join(" OR "),
                    Question::Gets => format!("application = '{application}' AND method = '{get}'"),
                };
                let statement = format!(
                    "SELECT count(\"duration\") FROM usage WHERE ({tags}) AND time >= {start}s AND time < {end}s \
                     GROUP BY time(1h) fill(none)"
                );
                let parameters =
                    vec![("db", "bench".to_owned()), ("epoch", "s".to_owned()), ("q", statement)];
                ("/query", parameters)
            }
        }
    }

    /// The sum of the counts of an answer.
    pub fn count(self, answer: &[u8]) -> Result<u64> {
        let name = self.kind.name();
        let json: Value =
            serde_json::from_slice(answer).with_context(|| format!("{name}: expected JSON as answer"))?;
        let series = match self.kind {
            PeerKind::VictoriaMetrics => "/data/result/0/values",
            PeerKind::InfluxDb => "/results/0/series/0/values",
        };
        let is_empty_answer = |json: &Value| match self.kind {
            PeerKind::VictoriaMetrics => json["status"] == "success",
            PeerKind::InfluxDb => json.pointer("/results/0").is_some_and(|result| result["error"].is_null()),
        };
        let Some(points) = json.pointer(series).and_then(Value::as_array) else {
            anyhow::ensure!(is_empty_answer(&json), "{name}: expected a series, found {json}");
            return Ok(0);
        };
        points
            .iter()
            .map(|point| count_of(&point[1]).with_context(|| format!("{name}: expected a count in {point}")))
            .sum()
    }
}

/// The count of a point, which VictoriaMetrics writes as a text.
fn count_of(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Writes events as lines. What the events of a label set share is written in advance, so that the load hardly affects
/// the measurement.
pub struct Lines {
    kind: PeerKind,
    label_sets: Vec<String>,
    texts: Texts,
}

impl Lines {
    pub fn new(kind: PeerKind) -> Self {
        let label_set = |number| {
            let texts = Labels::numbered(number).texts();
            let labels = texts.iter().map(|(name, text)| match kind {
                PeerKind::VictoriaMetrics => format!("{name}=\"{text}\","),
                PeerKind::InfluxDb => format!(",{name}={text}"),
            });
            labels.collect()
        };
        Self { kind, label_sets: (0..LABEL_SETS).map(label_set).collect(), texts: Texts::new() }
    }

    /// The lines of the events with these numbers.
    pub fn of(&self, numbers: Range<u64>, days: &Days) -> String {
        let mut lines = String::new();
        for number in numbers {
            self.append(&mut lines, &Event::numbered(number), days.time_of(number).micros())
                .expect("a string takes all text");
        }
        lines
    }

    fn append(&self, lines: &mut String, event: &Event, micros: i64) -> std::fmt::Result {
        let labels = &self.label_sets[event.labels.number()];
        let Event { http_status, duration_ms, response_bytes, invocation_id, .. } = event;
        match self.kind {
            PeerKind::VictoriaMetrics => {
                // Its times have milliseconds.
                let millis = micros / 1_000;
                for (name, value) in [("duration_ms", duration_ms), ("response_bytes", response_bytes)] {
                    writeln!(lines, "{name}{{{labels}httpstatus=\"{http_status}\"}} {value} {millis}")?;
                }
                Ok(())
            }
            PeerKind::InfluxDb => writeln!(
                lines,
                "usage{labels},httpstatus={http_status} duration={duration_ms}i,response_size={response_bytes}i,\
                 user=\"{}\",invocation_id=\"{invocation_id}\" {micros}",
                self.texts.user(event),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use flowmeter_core::timestamp::Timestamp;

    use super::*;

    const DAYS: Days = Days { end: Timestamp::from_micros(2_592_000_000_000), events: 1_000 };

    #[test]
    fn events_are_written_in_the_format_of_each_database() {
        let event = Event::numbered(0);
        let (application, method) = (event.labels.application, event.labels.method);
        let prometheus = Lines::new(PeerKind::VictoriaMetrics).of(0..1, &DAYS);
        let lines: Vec<_> = prometheus.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with(&format!(
            "duration_ms{{action=\"read\",application=\"application-{application}\",environment=\"production\",\
             method=\"{method}\","
        )));
        assert!(lines[1].ends_with(&format!("\"}} {} 1296000", event.response_bytes)), "{}", lines[1]);
        let influxdb = Lines::new(PeerKind::InfluxDb).of(0..1, &DAYS);
        assert!(influxdb.starts_with(&format!("usage,action=read,application=application-{application},")));
        assert!(influxdb.ends_with(&format!(",invocation_id=\"{}\" 1296000000\n", event.invocation_id)));
    }

    #[test]
    fn answers_are_counted() {
        let prometheus = br#"{"status":"success","data":{"result":[{"values":[[3600,"7"],[7200,"5"]]}]}}"#;
        assert_eq!(Dialect::VICTORIA_METRICS.count(prometheus).unwrap(), 12);
        let influxdb = br#"{"results":[{"series":[{"values":[[0,7],[3600,6]]}]}]}"#;
        assert_eq!(Dialect::INFLUXDB.count(influxdb).unwrap(), 13);
        assert_eq!(Dialect::INFLUXDB.count(br#"{"results":[{"statement_id":0}]}"#).unwrap(), 0);
        let failed = br#"{"results":[{"error":"database not found: bench"}]}"#;
        let error = Dialect::INFLUXDB.count(failed).unwrap_err().to_string();
        assert!(error.starts_with("InfluxDB: expected a series") && error.contains("not found"), "{error}");
    }

    #[test]
    fn questions_cover_the_same_days() {
        let (path, parameters) = Dialect::VICTORIA_METRICS.question(Question::Gets, 21, Cache::Unused, &DAYS);
        assert_eq!(path, "/api/v1/query_range");
        assert_eq!(parameters[1..3], [("start", "3600".to_owned()), ("end", "2592000".to_owned())]);
        assert!(parameters[0].1.contains("{application=\"application-1\",method=\"get\"}"));
        let (_, parameters) = Dialect::INFLUXDB.question(Question::Reads, 0, Cache::Unused, &DAYS);
        assert!(parameters[2].1.contains("time >= 0s AND time < 2592000s"), "{}", parameters[2].1);
    }
}
