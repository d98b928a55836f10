//! Generated API traffic of a web shop: deterministic by seed, ordered by time, in bounded memory.
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "all generated numbers are small"
)]

use std::collections::HashMap;

use flowmeter_proto::v1::UsageEvent;
use jiff::{SignedDuration, Timestamp, civil::Weekday, tz::TimeZone};

use crate::moment;

/// An endpoint: service, method, action, path (`*` stands for an id), typical duration in ms, typical size in
/// bytes, and share of the traffic.
type Endpoint = (&'static str, &'static str, &'static str, &'static str, f64, f64, u32);

const ENDPOINTS: [Endpoint; 12] = [
    ("catalog", "get", "list", "/catalog/items", 35.0, 18_000.0, 220),
    ("catalog", "get", "read", "/catalog/items/*", 12.0, 3_200.0, 260),
    ("search", "get", "query", "/search", 90.0, 9_500.0, 150),
    ("orders", "get", "read", "/orders/*", 18.0, 2_400.0, 90),
    ("orders", "post", "create", "/orders", 140.0, 900.0, 45),
    ("orders", "patch", "update", "/orders/*", 60.0, 700.0, 20),
    ("orders", "delete", "cancel", "/orders/*", 55.0, 120.0, 8),
    ("payments", "post", "charge", "/payments", 380.0, 450.0, 40),
    ("users", "get", "read", "/users/*", 9.0, 1_100.0, 110),
    ("users", "put", "update", "/users/*", 42.0, 300.0, 15),
    ("reports", "get", "export", "/reports/*", 1_900.0, 480_000.0, 12),
    ("catalog", "head", "probe", "/catalog/items/*", 4.0, 0.0, 30),
];

const APPLICATIONS: [(&str, u32); 5] =
    [("web-shop", 50), ("mobile-app", 32), ("partner-api", 10), ("back-office", 6), ("batch", 2)];

const MINUTE: i64 = 60;

/// An iterator over the events of the traffic.
pub(crate) struct Traffic {
    random: Random,
    seed: u64,
    events: u32,
    next: u32,
    end: Timestamp,
    /// The share of the traffic up to the end of each minute, ascending from 0 to 1.
    shares: Vec<f64>,
}

impl Traffic {
    /// Traffic with `events` events in the period `extent` that ends at `end`. The last event is at `end`.
    pub(crate) fn new(events: u32, extent: SignedDuration, end: Timestamp, seed: u64) -> Self {
        let minutes = (extent.as_secs() / MINUTE).max(1);
        let mut sum = 0.0;
        let mut shares: Vec<f64> = (1..=minutes)
            .map(|minute| {
                sum += rate(end - SignedDuration::from_mins(minutes - minute));
                sum
            })
            .collect();
        for share in &mut shares {
            *share /= sum;
        }
        Self { random: Random(seed), seed, events, next: 0, end, shares }
    }

    /// The time of the n-th event. The daily rhythm determines a slice of time for each event, so that the
    /// events are in order of time.
    fn time(&mut self, number: u32) -> Timestamp {
        if number + 1 == self.events {
            return self.end;
        }
        let share = (f64::from(number) + self.random.unit()) / f64::from(self.events);
        let minute = self.shares.partition_point(|before| *before < share).min(self.shares.len() - 1);
        let before = if minute == 0 { 0.0 } else { self.shares[minute - 1] };
        let within = (share - before) / (self.shares[minute] - before);
        let millis = ((minute as f64 + within) * 60_000.0) as i64;
        let extent = self.shares.len() as i64 * 60_000;
        self.end - SignedDuration::from_millis((extent - millis).max(1))
    }

    /// Whether the n-th event is part of the incident, which is a twentieth of the traffic and starts after
    /// two thirds of it.
    fn is_incident(&self, number: u32) -> bool {
        let share = f64::from(number) / f64::from(self.events);
        (0.65..0.70).contains(&share)
    }
}

impl Iterator for Traffic {
    type Item = UsageEvent;

    fn next(&mut self) -> Option<UsageEvent> {
        let number = self.next;
        if number >= self.events {
            return None;
        }
        self.next += 1;
        let time = self.time(number);
        let incident = self.is_incident(number);
        let random = &mut self.random;
        let (service, method, action, path, usual_ms, usual_bytes, _) =
            *random.pick(&ENDPOINTS, |endpoint| endpoint.6);
        let (application, _) = *random.pick(&APPLICATIONS, |application| application.1);
        let failing = incident && matches!(service, "orders" | "payments");
        let status = status(random, method, failing);
        let slow = if failing { 6.0 } else { 1.0 };
        let duration = usual_ms * slow * random.spread();
        let size = if status >= 400 { 160.0 } else { usual_bytes * random.spread() };
        // Ids and users are skewed: few of them cause most of the traffic.
        let key = path.replace('*', &format!("{}", (random.unit().powi(3) * 900.0) as u32 + 100));
        Some(UsageEvent {
            event_id: format!("sample-{}-{number}", self.seed),
            timestamp: Some(moment::to_wire(time)),
            provider: "ODSLRequest".into(),
            r#type: "api".into(),
            environment: "production".into(),
            application: application.into(),
            service: service.into(),
            action: action.into(),
            method: method.into(),
            httpstatus: Some(status),
            duration: Some(duration.round().max(1.0) as i64),
            response_size: Some(if status == 304 { 0 } else { size.round() as i64 }),
            user: format!("user-{:03}", (random.unit().powi(2) * 200.0) as u32),
            invocation_id: format!("{:016x}", random.next()),
            attributes: HashMap::from([("key".into(), key)]),
            ..UsageEvent::default()
        })
    }
}

fn status(random: &mut Random, method: &str, failing: bool) -> i32 {
    if failing && random.unit() < 0.45 {
        return 503;
    }
    let good = match method {
        "post" => 201,
        "delete" => 204,
        _ => 200,
    };
    let odds = [(good, 930), (404, 22), (400, 12), (401, 8), (429, 6), (500, 4)];
    let (status, _) = *random.pick(&odds, |odds| odds.1);
    if status == 200 && method == "get" && random.unit() < 0.06 { 304 } else { status }
}

/// The rate of the traffic at a time: a daily wave that peaks in the afternoon (UTC) and is lower on
/// weekends.
fn rate(time: Timestamp) -> f64 {
    let time = time.to_zoned_datetime(TimeZone::UTC);
    let hour = f64::from(time.hour()) + f64::from(time.minute()) / 60.0;
    let wave = ((hour - 9.0) / 24.0 * std::f64::consts::TAU).sin();
    let weekend = matches!(time.weekday(), Weekday::Saturday | Weekday::Sunday);
    (1.0 + 0.75 * wave) * if weekend { 0.6 } else { 1.0 }
}

/// The generator `SplitMix64`, whose numbers never change. The default generators of libraries do not promise
/// that.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to 1, excluding 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A factor around 1, mostly between 0.5 and 2, with a tail of large factors, as durations have.
    fn spread(&mut self) -> f64 {
        let bell: f64 = (0..4).map(|_| self.unit()).sum::<f64>() - 2.0;
        let tail = if self.unit() < 0.02 { 4.0 } else { 1.0 };
        (0.8 * bell).exp2() * tail
    }

    fn pick<'a, T>(&mut self, from: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
        let sum: u32 = from.iter().map(&weight).sum();
        let mut left = (self.unit() * f64::from(sum)) as u32;
        let found = from.iter().find(|item| {
            let weight = weight(item);
            let here = left < weight;
            left = left.saturating_sub(weight);
            here
        });
        found.unwrap_or(&from[0])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::json;

    fn traffic(events: u32) -> Vec<UsageEvent> {
        let end = "2026-11-20T18:00:00Z".parse().unwrap();
        Traffic::new(events, SignedDuration::from_hours(24), end, 1).collect()
    }

    #[test]
    fn traffic_is_deterministic() {
        assert_eq!(traffic(500), traffic(500));
        insta::assert_snapshot!(json::line("UsageEvent", &traffic(500)[250]).unwrap(), @r#"{"eventId":"sample-1-250","timestamp":"2026-11-20T10:39:28.156Z","provider":"ODSLRequest","action":"create","application":"web-shop","environment":"production","httpstatus":201,"invocationId":"a33dadef4f355c58","method":"post","service":"orders","type":"api","user":"user-162","duration":"123","responseSize":"1140","attributes":{"key":"/orders"}}"#);
    }

    #[test]
    fn traffic_is_ordered_and_ends_at_the_given_time() {
        let events = traffic(5000);
        let times: Vec<_> = events.iter().filter_map(|e| moment::from_wire(e.timestamp.as_ref()?)).collect();
        assert_eq!(times.len(), 5000);
        assert!(times.is_sorted());
        assert_eq!(times[4999].to_string(), "2026-11-20T18:00:00Z");
        assert!(times[0] >= "2026-11-19T18:00:00Z".parse().unwrap());
        assert_eq!(traffic(1).len(), 1);
    }

    #[test]
    fn traffic_is_varied() {
        let events = traffic(5000);
        let distinct = |of: fn(&UsageEvent) -> String| events.iter().map(of).collect::<BTreeSet<_>>();
        assert_eq!(distinct(|e| e.event_id.clone()).len(), 5000);
        assert_eq!(distinct(|e| e.application.clone()).len(), 5);
        assert_eq!(distinct(|e| e.service.clone()).len(), 6);
        assert!(distinct(|e| e.httpstatus.unwrap_or(0).to_string()).len() >= 8);
        assert!(distinct(|e| e.user.clone()).len() > 100);
    }
}
