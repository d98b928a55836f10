//! The events of every load, with the entropy of real ones: each has a random invocation id, 2,000 combinations of
//! application, service and method are more and less frequent, and durations and sizes are log-normal. An event follows
//! from its number, so every run and every system gets the same events.

use std::fmt::Write;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{DEFAULT_PROVIDER, TextField};
use flowmeter_proto::v1::UsageEvent;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};
use uuid::Uuid;

/// The number of combinations of application, service and method.
pub const LABEL_SETS: usize = 2_000;
/// The number of applications.
pub const APPLICATIONS: usize = 20;
/// The number of services.
pub const SERVICES: usize = 20;
/// The methods. Three fifths of the events are reads.
pub const METHODS: [&str; 5] = ["get", "options", "head", "post", "delete"];
/// The methods that `ReadRequests` counts.
pub const READS: [&str; 3] = ["get", "options", "head"];
/// The number of objects of each service that are called.
pub const OBJECTS_OF_SERVICE: usize = 500;

/// The statuses. Half of them are 200.
const STATUSES: [i32; 8] = [200, 200, 200, 200, 201, 304, 404, 500];
/// The number of users.
const USERS: usize = 1_000;
/// The median and the sigma of durations in milliseconds.
const DURATION: (f64, f64) = (40.0, 1.0);
/// The median and the sigma of the sizes of responses in bytes.
const RESPONSE: (f64, f64) = (2_000.0, 1.5);

/// The texts that all events have.
const ACTION: &str = "read";
const ENVIRONMENT: &str = "production";
const TYPE: &str = "api";

/// What is different from event to event, other than its time.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub labels: Labels,
    pub http_status: i32,
    pub duration_ms: i64,
    pub response_bytes: i64,
    pub invocation_id: Uuid,
    /// The number of the user.
    pub user: usize,
    /// The number of the object that is called, among those of all services.
    pub object: usize,
}

impl Event {
    /// The event with this number.
    pub fn numbered(number: u64) -> Self {
        let mut random = Random(scatter(number));
        // The product of two uniform numbers makes small ones frequent.
        let labels =
            Labels::numbered(random.below(LABEL_SETS + 1) * random.below(LABEL_SETS) / (LABEL_SETS + 1));
        let (one, other) = random.normals();
        Self {
            labels,
            http_status: STATUSES[random.below(STATUSES.len())],
            duration_ms: log_normal(DURATION, one),
            response_bytes: log_normal(RESPONSE, other),
            invocation_id: invocation_id(number),
            user: random.below(USERS),
            object: labels.service * OBJECTS_OF_SERVICE + random.below(OBJECTS_OF_SERVICE),
        }
    }
}

/// The invocation id of the event with this number. No other event has the same one.
pub fn invocation_id(number: u64) -> Uuid {
    let bits = u128::from(scatter(number)) << 64 | u128::from(scatter(!number));
    uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

/// A combination of labels.
#[derive(Debug, Clone, Copy)]
pub struct Labels {
    pub application: usize,
    pub method: &'static str,
    pub service: usize,
}

impl Labels {
    /// The combination with this number, which is less than [`LABEL_SETS`].
    pub fn numbered(number: usize) -> Self {
        Self {
            application: number % APPLICATIONS,
            method: METHODS[number / APPLICATIONS % METHODS.len()],
            service: number / APPLICATIONS / METHODS.len() % SERVICES,
        }
    }

    /// The number of this combination.
    pub fn number(self) -> usize {
        let method = METHODS.iter().position(|method| *method == self.method).unwrap_or_default();
        (self.service * METHODS.len() + method) * APPLICATIONS + self.application
    }

    /// The texts that events of these labels have in common, with the names of their fields.
    pub fn texts(self) -> [(&'static str, String); 6] {
        [
            ("action", ACTION.to_owned()),
            ("application", format!("application-{}", self.application)),
            ("environment", ENVIRONMENT.to_owned()),
            ("method", self.method.to_owned()),
            ("service", format!("service-{}", self.service)),
            ("type", TYPE.to_owned()),
        ]
    }
}

/// The texts of events, which are borrowed by many of them.
pub struct Texts {
    applications: Vec<String>,
    services: Vec<String>,
    users: Vec<String>,
    objects: Vec<String>,
}

impl Texts {
    pub fn new() -> Self {
        let numbered = |name: &str, count| (0..count).map(|number| format!("{name}-{number}")).collect();
        Self {
            applications: numbered("application", APPLICATIONS),
            services: numbered("service", SERVICES),
            users: numbered("user", USERS),
            objects: numbered("object", SERVICES * OBJECTS_OF_SERVICE),
        }
    }

    pub fn user(&self, event: &Event) -> &str {
        &self.users[event.user]
    }

    pub fn object(&self, event: &Event) -> &str {
        &self.objects[event.object]
    }

    /// The event as the services keep it, without its time and attributes.
    pub fn usage_event<'a>(
        &'a self,
        event: &Event,
        invocation_id: &'a str,
    ) -> flowmeter_core::usage::UsageEvent<'a> {
        let mut kept = flowmeter_core::usage::UsageEvent {
            http_status: Some(event.http_status),
            duration_ms: Some(event.duration_ms),
            response_bytes: Some(event.response_bytes),
            ..flowmeter_core::usage::UsageEvent::default()
        };
        for (field, text) in [
            (TextField::Provider, DEFAULT_PROVIDER),
            (TextField::Action, ACTION),
            (TextField::Application, &self.applications[event.labels.application]),
            (TextField::Environment, ENVIRONMENT),
            (TextField::InvocationId, invocation_id),
            (TextField::Method, event.labels.method),
            (TextField::Service, &self.services[event.labels.service]),
            (TextField::Type, TYPE),
            (TextField::User, self.user(event)),
        ] {
            kept.texts[field as usize] = text;
        }
        kept
    }
}

/// The invocation ids of some events as texts, one after the other.
pub struct InvocationIds(String);

impl InvocationIds {
    /// The length of an id in bytes.
    const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

    /// The ids of the events with these numbers.
    pub fn new(numbers: Range<u64>) -> Self {
        let mut text = String::new();
        for number in numbers {
            write!(text, "{}", invocation_id(number)).expect("a string takes all text");
        }
        Self(text)
    }

    /// The id of the event at this place among the numbers.
    pub fn at(&self, place: usize) -> &str {
        &self.0[place * Self::LENGTH..][..Self::LENGTH]
    }
}

/// What is special about the events of a load.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct Special {
    /// Sends an `event_id` with each event, so that the service looks for duplicates.
    #[arg(long)]
    pub keyed: bool,
    /// Gives each event an application of its own, so that it begins new series.
    #[arg(long)]
    pub new_series: bool,
}

/// Encodes events for the ingest service. The texts that events share are encoded in advance, so that the load hardly
/// affects the measurement.
pub struct Encoder {
    label_sets: Vec<Bytes>,
    users: Vec<Bytes>,
}

impl Encoder {
    pub fn new() -> Self {
        let encoded = |event: UsageEvent| Bytes::from(event.encode_to_vec());
        let label_set = |number| {
            let [action, application, environment, method, service, r#type] =
                Labels::numbered(number).texts().map(|(_, text)| text);
            encoded(UsageEvent {
                action,
                application,
                environment,
                method,
                service,
                r#type,
                ..UsageEvent::default()
            })
        };
        let user = |user: String| encoded(UsageEvent { user, ..UsageEvent::default() });
        Self {
            label_sets: (0..LABEL_SETS).map(label_set).collect(),
            users: Texts::new().users.into_iter().map(user).collect(),
        }
    }

    /// The events with these numbers at these times.
    pub fn batch(
        &self,
        numbers: Range<u64>,
        time_of: impl Fn(u64) -> Timestamp,
        Special { keyed, new_series }: Special,
    ) -> Result<Vec<Bytes>, std::num::TryFromIntError> {
        let mut buffer = BytesMut::new();
        let events = numbers.map(|number| {
            let event = Event::numbered(number);
            buffer.reserve(256);
            buffer.extend_from_slice(&self.label_sets[event.labels.number()]);
            buffer.extend_from_slice(&self.users[event.user]);
            // Fields of a message can be concatenated in any order.
            let own = UsageEvent {
                event_id: if keyed { format!("bench-{number}") } else { String::new() },
                // It replaces the application that was written before.
                application: if new_series { format!("application-{number}") } else { String::new() },
                httpstatus: Some(event.http_status),
                invocation_id: event.invocation_id.to_string(),
                duration: Some(event.duration_ms),
                response_size: Some(event.response_bytes),
                ..UsageEvent::default()
            };
            own.encode_raw(&mut buffer);
            append_timestamp(&mut buffer, u64::try_from(time_of(number).micros())?);
            Ok(buffer.split().freeze())
        });
        events.collect()
    }
}

/// Appends the field `timestamp`, which has the number 2 in events and in flow requests.
pub fn append_timestamp(buffer: &mut BytesMut, micros: u64) {
    let (seconds, nanos) = (micros / 1_000_000, micros % 1_000_000 * 1_000);
    let mut timestamp = [0_u8; 16];
    let mut rest = &mut timestamp[..];
    encode_key(1, WireType::Varint, &mut rest);
    encode_varint(seconds, &mut rest);
    encode_key(2, WireType::Varint, &mut rest);
    encode_varint(nanos, &mut rest);
    let length = 16 - rest.len();
    encode_key(2, WireType::LengthDelimited, buffer);
    encode_varint(length as u64, buffer);
    buffer.extend_from_slice(&timestamp[..length]);
}

/// Scatters numbers: each has its own result (the finalizer of `SplitMix64`).
fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Random numbers that are the same in each run (`SplitMix64`).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        let number = scatter(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        number
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).expect("below the limit")
    }

    /// From 0 to 1, without 0.
    fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Two independent numbers of the standard normal distribution (Box and Muller).
    fn normals(&mut self) -> (f64, f64) {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        let (sin, cos) = (std::f64::consts::TAU * self.uniform()).sin_cos();
        (radius * cos, radius * sin)
    }
}

#[allow(clippy::cast_possible_truncation, reason = "far below what fits")]
fn log_normal((median, sigma): (f64, f64), normal: f64) -> i64 {
    (median * (sigma * normal).exp()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_its_own_invocation() {
        let ids = InvocationIds::new(7..9);
        for (place, number) in [7, 8].into_iter().enumerate() {
            assert_eq!(ids.at(place), Event::numbered(number).invocation_id.to_string());
        }
        assert_ne!(ids.at(0), ids.at(1));
    }

    #[test]
    fn label_sets_are_numbered_without_gap() {
        assert!((0..LABEL_SETS).all(|number| Labels::numbered(number).number() == number));
    }

    #[test]
    fn events_have_the_distributions_that_are_documented() {
        let events: Vec<_> = (0..10_000).map(Event::numbered).collect();
        let median = |value: fn(&Event) -> i64| {
            let mut values: Vec<_> = events.iter().map(value).collect();
            values.sort_unstable();
            values[values.len() / 2]
        };
        assert!((36..=44).contains(&median(|event| event.duration_ms)));
        assert!((1_800..=2_200).contains(&median(|event| event.response_bytes)));
        let first_half = events.iter().filter(|event| event.labels.number() < LABEL_SETS / 2).count();
        assert!(first_half > 8_000, "{first_half} of 10,000 events have a frequent label set");
    }

    #[test]
    fn an_encoded_event_is_a_message_of_the_contract() {
        let batch = Encoder::new()
            .batch(3..4, |_| Timestamp::from_micros(1_500_000), Special { keyed: true, new_series: false })
            .unwrap();
        let decoded = UsageEvent::decode(&*batch[0]).unwrap();
        let event = Event::numbered(3);
        assert_eq!(decoded.event_id, "bench-3");
        assert_eq!(decoded.invocation_id, event.invocation_id.to_string());
        assert_eq!(decoded.application, format!("application-{}", event.labels.application));
        assert_eq!(decoded.method, event.labels.method);
        assert_eq!(decoded.user, format!("user-{}", event.user));
        assert_eq!(decoded.duration, Some(event.duration_ms));
        assert_eq!(decoded.timestamp, Some(prost_types::Timestamp { seconds: 1, nanos: 500_000_000 }));
    }
}
