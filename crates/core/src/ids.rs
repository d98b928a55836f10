//! Ids that carry their time.
//!
//! Event and request ids are UUIDs of version 7 (RFC 9562), or of version 8 with the
//! same layout where no client may send them, so order by id is order by time and one
//! index serves deduplication, look-up, paging, time ranges and partition pruning.
//! Event ids use the RFC's method 3: the twelve bits after
//! the milliseconds hold the fraction of the millisecond, which gives every
//! microsecond its own value. An event's id therefore *is* its timestamp, exactly,
//! and no second column repeats it. The remaining 62 bits tell events of the same
//! microsecond apart, and are never random: the same input always gives the same
//! id, on any machine, at any time.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A tenant: everything measured belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

impl TenantId {
    /// The tenant of the operator: it manages all others and measures nothing.
    pub const OPERATOR: Self = Self(Uuid::nil());

    /// The tenant of that name: the name is what makes the id.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest(b"tenant", &[name.as_bytes()])[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// One request to the ingest service: the unit of delivery and of deduplication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub Uuid);

impl RequestId {
    /// A new id of this moment.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id under which the result of checking a flow's endpoint at the time `slot` is reported.
    /// Whoever checks, and however often it is reported, it counts once.
    #[must_use]
    pub fn of_check(tenant: TenantId, flow_id: &str, slot: Timestamp) -> Self {
        Self::of_our_own(b"check", tenant, flow_id, slot)
    }

    /// The id under which it is reported that a schedule of executions has passed its deadline with items
    /// remaining. Whoever reports it, and however often, it counts once.
    #[must_use]
    pub fn of_deadline(tenant: TenantId, schedule_id: &str, deadline: Timestamp) -> Self {
        Self::of_our_own(b"deadline", tenant, schedule_id, deadline)
    }

    /// An id that follows from what it is of, with its time where version 7 has it. It is of version 8, which
    /// [`parse`](Self::parse) refuses: anybody can compute it, and a request that came first under this id
    /// would be counted in its place.
    fn of_our_own(kind: &[u8], tenant: TenantId, name: &str, time: Timestamp) -> Self {
        let micros = time.micros().clamp(0, Timestamp::END.micros()).unsigned_abs();
        let distinct = digest(kind, &[tenant.0.as_bytes(), name.as_bytes(), &micros.to_be_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&distinct[..16]);
        bytes[..6].copy_from_slice(&(micros / 1_000).to_be_bytes()[2..]);
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(Uuid::from_bytes(bytes))
    }

    /// Reads a client's request id: a UUID of version 7. None if it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        (uuid.get_version_num() == 7).then_some(Self(uuid))
    }

    /// When the request was made, to the millisecond.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_micros(millis_of(self.0) * 1_000)
    }
}

/// One event of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Uuid);

/// The bits of an event id that tell events of one microsecond apart.
const DISTINCT_BITS: u32 = 62;

impl EventId {
    /// The id of an event that its sender named: the same name and timestamp are
    /// the same event.
    #[must_use]
    pub fn keyed(tenant: TenantId, event_id: &str, timestamp: Timestamp) -> Self {
        let distinct = digest(b"event", &[tenant.0.as_bytes(), event_id.as_bytes()]);
        Self::new(timestamp, first_u64(&distinct))
    }

    /// The first id at `timestamp`: the lower end of a range of ids.
    #[must_use]
    pub fn first_at(timestamp: Timestamp) -> Self {
        Self::new(timestamp, 0)
    }

    /// Orders what requests say of one thing: by timestamp, then by when the request was made, then by the
    /// place in it.
    #[must_use]
    pub fn of_update(request: RequestId, index: usize, timestamp: Timestamp) -> Self {
        /// Places are below 16,384.
        const INDEX_BITS: u32 = 14;
        let made = millis_of(request.0).unsigned_abs() << INDEX_BITS;
        Self::new(timestamp, made | (index as u64).min((1 << INDEX_BITS) - 1))
    }

    fn new(timestamp: Timestamp, distinct: u64) -> Self {
        let micros = timestamp.micros().clamp(0, Timestamp::END.micros()).unsigned_abs();
        let (millis, rest) = (micros / 1_000, micros % 1_000);
        let fraction = rest * 4_096 / 1_000;
        let high = (millis << 16) | 0x7000 | fraction;
        let low = (0b10 << DISTINCT_BITS) | (distinct & ((1 << DISTINCT_BITS) - 1));
        Self(Uuid::from_u64_pair(high, low))
    }

    /// The timestamp of the event, to the microsecond.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        let (high, _) = self.0.as_u64_pair();
        let rest = ((high & 0xfff) * 1_000).div_ceil(4_096);
        let rest = i64::try_from(rest).expect("at most 1000");
        Timestamp::from_micros(millis_of(self.0) * 1_000 + rest)
    }
}

/// Makes the ids of the events of one request that their sender did not name.
///
/// A repetition of the request gives the same ids, and events of one request with
/// the same timestamp keep their order.
#[derive(Debug, Clone, Copy)]
pub struct RequestEventIds(u64);

impl RequestEventIds {
    /// The ids within `request`.
    #[must_use]
    pub fn new(tenant: TenantId, request: RequestId) -> Self {
        let base = digest(b"request", &[tenant.0.as_bytes(), request.0.as_bytes()]);
        // One bit less than there is room for, so that adding an index cannot wrap.
        Self(first_u64(&base) >> (u64::BITS - DISTINCT_BITS + 1))
    }

    /// The id of the event at `index` of the request.
    #[must_use]
    pub fn at(self, index: usize, timestamp: Timestamp) -> EventId {
        EventId::new(timestamp, self.0 + index as u64)
    }
}

/// One time series of a tenant: a metric and the values of the labels by which it
/// is kept. It is a hash of just these, so any process can name a series without
/// asking a database for its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(pub Uuid);

impl SeriesId {
    /// The series of `metric` with these labels, in the order of the label set.
    pub fn new<'a>(tenant: TenantId, metric: &str, labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let mut hasher = Hasher::new(b"series");
        hasher.part(tenant.0.as_bytes());
        hasher.part(metric.as_bytes());
        for (name, value) in labels {
            hasher.part(name.as_bytes());
            hasher.part(value.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finish()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// What an event says in those of its fields that tell kinds of calls apart: a hash of their values,
/// for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelSetId(pub Uuid);

impl LabelSetId {
    /// The label set of these values, in an order of fields that never changes.
    #[must_use]
    pub fn new(tenant: TenantId, values: &[&str]) -> Self {
        let mut hasher = Hasher::new(b"label set");
        hasher.part(tenant.0.as_bytes());
        for value in values {
            hasher.part(value.as_bytes());
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finish()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }

    /// A short form of it, never 0, which stands with every event. Now and then two label sets share one.
    #[must_use]
    pub fn number(self) -> i32 {
        let [a, b, c, d, ..] = *self.0.as_bytes();
        match i32::from_be_bytes([a, b, c, d]) {
            0 => 1,
            number => number,
        }
    }
}

/// An asset of a tenant: a hash of both, which stands for its URN in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId(pub Uuid);

impl AssetId {
    /// The asset of that URN.
    #[must_use]
    pub fn named(tenant: TenantId, urn: &str) -> Self {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest(b"asset", &[tenant.0.as_bytes(), urn.as_bytes()])[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

macro_rules! displayed_as_uuid {
    ($($id:ty),*) => {$(
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
displayed_as_uuid!(TenantId, RequestId, EventId, SeriesId, LabelSetId, AssetId);

fn millis_of(uuid: Uuid) -> i64 {
    let (high, _) = uuid.as_u64_pair();
    i64::try_from(high >> 16).expect("48 bits fit")
}

fn digest(kind: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Hasher::new(kind);
    for part in parts {
        hasher.part(part);
    }
    hasher.finish()
}

fn first_u64(digest: &[u8; 32]) -> u64 {
    u64::from_be_bytes(digest[..8].try_into().expect("8 bytes"))
}

/// SHA-256 over length-prefixed parts, so that no two lists of parts look alike.
struct Hasher(Sha256);

impl Hasher {
    fn new(kind: &[u8]) -> Self {
        let mut hasher = Self(Sha256::new());
        hasher.part(kind);
        hasher
    }

    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TENANT: TenantId = TenantId(Uuid::from_u128(7));

    fn timestamps() -> impl Strategy<Value = Timestamp> {
        (0..Timestamp::END.micros()).prop_map(Timestamp::from_micros)
    }

    proptest! {
        #[test]
        fn an_event_id_carries_its_timestamp(at in timestamps(), name in "\\PC{0,9}") {
            let id = EventId::keyed(TENANT, &name, at);
            prop_assert_eq!(id.timestamp(), at);
            prop_assert_eq!(id.0.get_version_num(), 7);
            prop_assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
        }

        #[test]
        fn the_id_of_a_check_carries_the_time_of_its_slot(at in timestamps(), flow in "\\PC{0,9}") {
            let id = RequestId::of_check(TENANT, &flow, at);
            prop_assert_eq!(id.timestamp(), at.floor_to(std::time::Duration::from_millis(1)));
            prop_assert_eq!(id.0.get_version_num(), 8);
            prop_assert_eq!(RequestId::parse(&id.to_string()), None, "nobody else can send it");
            prop_assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(RequestId::of_check(TENANT, &flow, at), id);
            prop_assert_ne!(RequestId::of_check(TENANT, &format!("{flow}x"), at), id);
            prop_assert_ne!(RequestId::of_check(TenantId::OPERATOR, &flow, at), id);
        }

        #[test]
        fn updates_are_in_order_of_their_times_then_their_requests(
            at in timestamps(), later in 0_i64..3, made in 0_u64..1_u64 << 47, index in 0_usize..10_000,
        ) {
            let request = |millis: u64| RequestId(Uuid::from_u64_pair(millis << 16 | 0x7000, 0b10 << 62));
            let update = |millis, index, step| {
                EventId::of_update(request(millis), index, Timestamp::from_micros(at.micros() + step))
            };
            prop_assert!(update(made, index, 0) < update(made, index + 1, 0));
            prop_assert!(update(made, index, 0) < update(made + 1, 0, 0));
            prop_assert!(update(made + 1, index, 0) < update(made, 0, later + 1));
        }

        #[test]
        fn order_by_id_is_order_by_time(a in timestamps(), step in 0_i64..5_000, x: u64, y: u64) {
            let b = Timestamp::from_micros(a.micros() + step);
            if a < b {
                prop_assert!(EventId::new(a, x) < EventId::new(b, y));
            }
            prop_assert!(EventId::first_at(a) <= EventId::new(a, x));
        }

        #[test]
        fn a_request_numbers_its_events_in_order(request: u128, at in timestamps()) {
            let ids = RequestEventIds::new(TENANT, RequestId(Uuid::from_u128(request)));
            prop_assert!(ids.at(0, at) < ids.at(1, at));
            prop_assert!(ids.at(1, at) < ids.at(9_999, at));
            prop_assert_eq!(ids.at(9_999, at).timestamp(), at);
        }
    }

    #[test]
    fn ids_never_change_between_releases() {
        let at = Timestamp::from_micros(1_700_000_000_123_456);
        assert_eq!(EventId::keyed(TENANT, "order-1", at).to_string(), "018bcfe5-687b-774b-a835-8b757ca58bd2");
        let request = RequestId(Uuid::from_u128(1));
        assert_eq!(
            RequestEventIds::new(TENANT, request).at(1, at).to_string(),
            "018bcfe5-687b-774b-83ed-97b759c8f37b"
        );
        assert_eq!(
            RequestId::of_check(TENANT, "flow-1", at).to_string(),
            "018bcfe5-687b-81c1-9931-79aab4638b80"
        );
        assert_ne!(RequestId::of_check(TENANT, "a", at), RequestId::of_deadline(TENANT, "a", at));
        assert_eq!(
            SeriesId::new(TENANT, "ODSLRequest/ReadRequests", [("service", "object")].into_iter())
                .to_string(),
            "c9192eed-3b21-87f5-a008-22e09f9b21d5"
        );
    }

    #[test]
    fn lists_of_parts_do_not_run_together() {
        let series =
            |labels: &[(&'static str, &'static str)]| SeriesId::new(TENANT, "m", labels.iter().copied());
        assert_ne!(series(&[("a", "bc")]), series(&[("ab", "c")]));
        assert_ne!(series(&[("a", ""), ("b", "c")]), series(&[("a", "b"), ("", "c")]));
    }

    #[test]
    fn a_request_id_is_of_version_7() {
        assert!(RequestId::parse("018bcfe5-687b-7000-8000-000000000000").is_some());
        assert!(RequestId::parse("018bcfe5-687b-4000-8000-000000000000").is_none());
        assert!(RequestId::parse("hello").is_none());
    }
}
