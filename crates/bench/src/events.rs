//! The events of a load, with 2,000 combinations of application, service and method, and various users,
//! statuses, durations and sizes. Events are encoded in advance, so that generating them hardly affects the
//! measurement.

use bytes::{Bytes, BytesMut};
use flowmeter_proto::v1::UsageEvent;
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint};

/// The number of combinations of application, service and method.
pub const LABEL_SETS: usize = 2_000;
/// The number of applications.
pub const APPLICATIONS: usize = 20;
/// The number of services.
pub const SERVICES: usize = 20;
/// The methods. Three fifths of the events are reads.
pub const METHODS: [&str; 5] = ["get", "options", "head", "post", "delete"];
/// The statuses. Half of them are 200.
pub const STATUSES: [i32; 8] = [200, 200, 200, 200, 201, 304, 404, 500];
/// The number of users.
pub const USERS: usize = 1_000;
/// The number of templates, which is large enough for users and durations to vary.
const TEMPLATES: usize = 20_000;

/// Encoded events without their timestamps.
pub struct Templates(Vec<Bytes>);

impl Templates {
    pub fn new() -> Self {
        Self((0..TEMPLATES).map(|index| template(index).encode_to_vec().into()).collect())
    }

    /// A batch of events, one per microsecond, starting at `micros` after the epoch. With `keyed`, each event
    /// has an `event_id`.
    pub fn batch(&self, number: usize, size: usize, micros: u64, keyed: bool) -> Vec<Bytes> {
        let mut buffer = BytesMut::with_capacity(size * 256);
        let events = (0..size).map(|index| {
            // A step that shares no factor with the number of templates visits all of them.
            let template = &self.0[(number * size + index).wrapping_mul(7_919) % TEMPLATES];
            buffer.extend_from_slice(template);
            append_timestamp(&mut buffer, micros + index as u64);
            if keyed {
                let id = format!("bench-{number}-{index}");
                prost::encoding::string::encode(1, &id, &mut buffer);
            }
            buffer.split().freeze()
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
}

fn template(index: usize) -> UsageEvent {
    let labels = Labels::numbered(index % LABEL_SETS);
    let scattered = index.wrapping_mul(2_654_435_761);
    UsageEvent {
        action: "read".into(),
        application: format!("application-{}", labels.application),
        environment: "production".into(),
        httpstatus: Some(STATUSES[scattered % STATUSES.len()]),
        invocation_id: format!("{:032x}", (scattered as u128).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        method: labels.method.into(),
        service: format!("service-{}", labels.service),
        r#type: "api".into(),
        user: format!("user-{}", scattered % USERS),
        duration: Some(i64::try_from(scattered % 2_000).expect("small")),
        response_size: Some(i64::try_from(scattered % 100_000).expect("small")),
        ..UsageEvent::default()
    }
}
