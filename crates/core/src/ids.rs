//! Ids that carry their time.
//!
//! Event and request ids are UUIDs of version 7 (RFC 9562). Ids that clients must not send are UUIDs of
//! version 8 with the same layout. Order by id is order by time, so one index serves deduplication, look-up,
//! paging, time ranges and partition pruning.
//!
//! Event ids use the RFC's method 3: the twelve bits after the milliseconds hold the fraction of the
//! millisecond, which gives every microsecond its own value. An event's id therefore contains its exact
//! timestamp, and no other column repeats it. The remaining 62 bits distinguish events of the same
//! microsecond. They are never random: the same input gives the same id on any machine and at any time.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A tenant. All measured data belongs to exactly one tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub Uuid);

impl TenantId {
    /// The operator's tenant, which manages all others and has no measured data.
    pub const OPERATOR: Self = Self(Uuid::nil());

    /// The id of the tenant with this name, which is a hash of the name.
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
    /// A new id with the current time.
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id under which the result of checking a flow's endpoint at the time `slot` is reported. The result counts
    /// once, whichever worker checks and however often it is reported.
    #[must_use]
    pub fn of_check(tenant: TenantId, flow_id: &str, slot: Timestamp) -> Self {
        Self::internal(b"check", tenant, flow_id, slot)
    }

    /// The id of the report that a schedule of executions has passed its deadline with items remaining. The report
    /// counts once, whichever worker sends it and however often.
    #[must_use]
    pub fn of_deadline(tenant: TenantId, schedule_id: &str, deadline: Timestamp) -> Self {
        Self::internal(b"deadline", tenant, schedule_id, deadline)
    }

    /// An id computed from the subject of an internal report, with the time where version 7 has it. It is of
    /// version 8, which [`parse`](Self::parse) rejects: anyone can compute the id, and a client's request
    /// with this id would be counted in place of the report.
    fn internal(kind: &[u8], tenant: TenantId, name: &str, time: Timestamp) -> Self {
        let micros = time.micros().clamp(0, Timestamp::END.micros()).unsigned_abs();
        let distinct = digest(kind, &[tenant.0.as_bytes(), name.as_bytes(), &micros.to_be_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&distinct[..16]);
        bytes[..6].copy_from_slice(&(micros / 1_000).to_be_bytes()[2..]);
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        Self(Uuid::from_bytes(bytes))
    }

    /// Parses a client's request id. None unless it is a UUID of version 7.
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

/// The number of bits that distinguish events of the same microsecond.
const DISTINCT_BITS: u32 = 62;

impl EventId {
    /// The id of an event that its sender named. Events with the same name and timestamp are the same event.
    #[must_use]
    pub fn keyed(tenant: TenantId, event_id: &str, timestamp: Timestamp) -> Self {
        let distinct = digest(b"event", &[tenant.0.as_bytes(), event_id.as_bytes()]);
        Self::from_parts(timestamp, first_u64(&distinct))
    }

    /// The smallest id at `timestamp`: the lower bound of a range of ids.
    #[must_use]
    pub fn first_at(timestamp: Timestamp) -> Self {
        Self::from_parts(timestamp, 0)
    }

    /// An id that orders updates of the same object: by timestamp, then by the time of the request, then by the index
    /// within the request.
    #[must_use]
    pub fn of_update(request: RequestId, index: usize, timestamp: Timestamp) -> Self {
        /// An index is less than 16,384.
        const INDEX_BITS: u32 = 14;
        let made = millis_of(request.0).unsigned_abs() << INDEX_BITS;
        Self::from_parts(timestamp, made | (index as u64).min((1 << INDEX_BITS) - 1))
    }

    /// The id with this time and these of the bits that tell events of one time apart.
    #[must_use]
    pub fn from_parts(timestamp: Timestamp, distinct: u64) -> Self {
        let micros = timestamp.micros().clamp(0, Timestamp::END.micros()).unsigned_abs();
        let (millis, rest) = (micros / 1_000, micros % 1_000);
        let fraction = rest * 4_096 / 1_000;
        let high = (millis << 16) | 0x7000 | fraction;
        let low = (0b10 << DISTINCT_BITS) | (distinct & ((1 << DISTINCT_BITS) - 1));
        Self(Uuid::from_u64_pair(high, low))
    }

    /// The bits that tell events of one time apart, of which there are 62.
    #[must_use]
    pub fn distinct(self) -> u64 {
        self.0.as_u64_pair().1 & ((1 << DISTINCT_BITS) - 1)
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

/// Generates the ids of the unnamed events of one request.
///
/// A repeated request gets the same ids, and events of one request with the same timestamp keep their order.
#[derive(Debug, Clone, Copy)]
pub struct RequestEventIds(u64);

impl RequestEventIds {
    /// The ids of the events of `request`.
    #[must_use]
    pub fn new(tenant: TenantId, request: RequestId) -> Self {
        let base = digest(b"request", &[tenant.0.as_bytes(), request.0.as_bytes()]);
        // One bit less than is available, so that adding an index cannot overflow.
        Self(first_u64(&base) >> (u64::BITS - DISTINCT_BITS + 1))
    }

    /// The id of the event at `index` of the request.
    #[must_use]
    pub fn at(self, index: usize, timestamp: Timestamp) -> EventId {
        EventId::from_parts(timestamp, self.0 + index as u64)
    }
}

/// One time series of a tenant: a metric and the values of a label set. The id is a hash of these, so any process can
/// compute it without asking the database.
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

/// The series of a tenant that a metric keeps by one label set. The id is a hash of the names, for the same reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RollupId(pub Uuid);

impl RollupId {
    /// The series of `metric` by these labels, in the order of the label set.
    pub fn new<'a>(tenant: TenantId, metric: &str, labels: impl Iterator<Item = &'a str>) -> Self {
        let mut hasher = Hasher::new(b"rollup");
        hasher.part(tenant.0.as_bytes());
        hasher.part(metric.as_bytes());
        labels.for_each(|label| hasher.part(label.as_bytes()));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hasher.finish()[..16]);
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

/// An asset of a tenant: a hash of the tenant and the URN, which replaces the URN in keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AssetId(pub Uuid);

impl AssetId {
    /// The asset with this URN.
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
displayed_as_uuid!(TenantId, RequestId, EventId, SeriesId, RollupId, AssetId);

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

/// SHA-256 over length-prefixed parts, so that different lists of parts have different inputs.
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
            prop_assert_eq!(RequestId::parse(&id.to_string()), None, "clients cannot send it");
            prop_assert_eq!(id.0.get_variant(), uuid::Variant::RFC4122);
            prop_assert_eq!(RequestId::of_check(TENANT, &flow, at), id);
            prop_assert_ne!(RequestId::of_check(TENANT, &format!("{flow}x"), at), id);
            prop_assert_ne!(RequestId::of_check(TenantId::OPERATOR, &flow, at), id);
        }

        #[test]
        fn updates_are_ordered_by_time_then_by_request(
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
                prop_assert!(EventId::from_parts(a, x) < EventId::from_parts(b, y));
            }
            prop_assert!(EventId::first_at(a) <= EventId::from_parts(a, x));
        }

        #[test]
        fn events_of_a_request_keep_their_order(request: u128, at in timestamps()) {
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
    fn different_lists_of_labels_have_different_ids() {
        let series =
            |labels: &[(&'static str, &'static str)]| SeriesId::new(TENANT, "m", labels.iter().copied());
        assert_ne!(series(&[("a", "bc")]), series(&[("ab", "c")]));
        assert_ne!(series(&[("a", ""), ("b", "c")]), series(&[("a", "b"), ("", "c")]));
    }

    #[test]
    fn a_request_id_must_be_of_version_7() {
        assert!(RequestId::parse("018bcfe5-687b-7000-8000-000000000000").is_some());
        assert!(RequestId::parse("018bcfe5-687b-4000-8000-000000000000").is_none());
        assert!(RequestId::parse("hello").is_none());
    }
}
