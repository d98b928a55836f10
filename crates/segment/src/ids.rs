//! The column of ids.
//!
//! An id carries the time of its event and 62 bits that tell events of one time apart. For events that their sender
//! did not name, these bits are a base that belongs to the request, plus the event's place in the request. So events
//! are grouped by request: a group costs eight bytes, and an event that follows another one of its request costs
//! hardly anything.

use std::collections::HashMap;

use flowmeter_core::ids::EventId;
use flowmeter_core::timestamp::Timestamp;
use foldhash::fast::FixedState;

use crate::bytes::{Corrupt, Input, put_varint};
use crate::integers::{self, Kind};

/// Times and groups.
const GROUPED: u8 = 1;

/// Places in a request are below this, so most ids of a request agree in the bits above it.
const MAX_DISTANCE: u64 = 1 << 14;

/// The event is the first one of a new group.
const NEW_GROUP: u64 = 0;

/// Appends ids, of which there is at least one, in ascending order.
pub(crate) fn put(out: &mut Vec<u8>, ids: &[EventId]) {
    let Some(first) = ids.first() else { return };
    out.push(GROUPED);
    let micros = |id: &EventId| id.timestamp().micros().unsigned_abs();
    put_varint(out, micros(first));
    let deltas: Vec<_> = ids.windows(2).map(|pair| micros(&pair[1]) - micros(&pair[0])).collect();
    integers::put(out, &deltas, Kind::Amount);

    let groups = groups(ids);
    // The last id of each group, by the order in which groups first come; and what is new of each event.
    let (mut last_of, mut codes, mut bases, mut steps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut numbers = vec![None; ids.len()];
    for (id, group) in ids.iter().zip(groups) {
        let distinct = id.distinct();
        match numbers[group] {
            None => {
                numbers[group] = Some(last_of.len());
                last_of.push(distinct);
                codes.push(NEW_GROUP);
                bases.extend_from_slice(&distinct.to_le_bytes());
            }
            Some(number) => {
                codes.push((last_of.len() - number) as u64);
                steps.push(zigzag(distinct.wrapping_sub(last_of[number]).wrapping_sub(1).cast_signed()));
                last_of[number] = distinct;
            }
        }
    }
    integers::put(out, &codes, Kind::Code);
    out.extend_from_slice(&bases);
    integers::put(out, &steps, Kind::Code);
}

/// For each id the number of its group: ids whose bits agree apart from the lowest ones.
fn groups(ids: &[EventId]) -> Vec<usize> {
    let mut known: HashMap<u64, usize, FixedState> = HashMap::default();
    let group = |id: &EventId| {
        let next = known.len();
        *known.entry(id.distinct() / MAX_DISTANCE).or_insert(next)
    };
    ids.iter().map(group).collect()
}

/// Reads the ids of `events`.
pub(crate) fn read(column: &[u8], events: usize) -> Result<Vec<EventId>, Corrupt> {
    let mut input = Input::new(column);
    if events == 0 {
        input.end()?;
        return Ok(Vec::new());
    }
    if input.byte()? != GROUPED {
        return Err(Corrupt("ids have an unknown form"));
    }
    let first = input.varint()?;
    let deltas = integers::read(&mut input, events - 1)?;
    let codes = integers::read(&mut input, events)?;
    let new_groups = codes.iter().filter(|code| **code == NEW_GROUP).count();
    let mut bases = input.take(new_groups * 8)?.chunks_exact(8);
    let mut steps = integers::read(&mut input, events - new_groups)?.into_iter();
    input.end()?;

    let mut micros = first;
    let mut last_of: Vec<u64> = Vec::with_capacity(new_groups);
    let mut ids = Vec::with_capacity(events);
    for (delta, code) in std::iter::once(0).chain(deltas).zip(codes) {
        micros = micros.checked_add(delta).ok_or(Corrupt("a time is too large"))?;
        let distinct = if code == NEW_GROUP {
            let base =
                bases.next().and_then(|base| base.try_into().ok()).ok_or(Corrupt("it ends too early"))?;
            let base = u64::from_le_bytes(base);
            last_of.push(base);
            base
        } else {
            let number = usize::try_from(code).ok().and_then(|code| last_of.len().checked_sub(code));
            let last =
                number.and_then(|number| last_of.get_mut(number)).ok_or(Corrupt("a group is unknown"))?;
            let step = unzigzag(steps.next().ok_or(Corrupt("it ends too early"))?);
            *last = last.wrapping_add(1).wrapping_add(step.cast_unsigned());
            *last
        };
        let micros = i64::try_from(micros).map_err(|_| Corrupt("a time is too large"))?;
        ids.push(EventId::from_parts(Timestamp::from_micros(micros), distinct));
    }
    Ok(ids)
}

pub(crate) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63).cast_unsigned()
}

pub(crate) const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use flowmeter_core::ids::{RequestEventIds, RequestId, TenantId};
    use proptest::prelude::*;
    use uuid::Uuid;

    const TENANT: TenantId = TenantId(Uuid::from_u128(7));

    /// Ids of events of some requests, and of named ones, at times that often meet.
    fn ids() -> impl Strategy<Value = Vec<EventId>> {
        let id =
            (0_u128..6, 0_usize..50, 0_i64..200, any::<bool>()).prop_map(|(request, place, time, named)| {
                let time = Timestamp::from_micros(1_800_000_000_000_000 + time * 1_000);
                if named {
                    EventId::keyed(TENANT, &format!("{request} {place}"), time)
                } else {
                    RequestEventIds::new(TENANT, RequestId(Uuid::from_u128(request))).at(place, time)
                }
            });
        proptest::collection::vec(id, 0..200).prop_map(|mut ids| {
            ids.sort_unstable();
            ids.dedup();
            ids
        })
    }

    fn written(ids: &[EventId]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, ids);
        out
    }

    proptest! {
        #[test]
        fn ids_are_read_as_written(ids in ids()) {
            prop_assert_eq!(read(&written(&ids), ids.len()), Ok(ids));
        }

        #[test]
        fn damaged_ids_never_panic(ids in ids(), at: prop::sample::Index, flip in 1_u8.., events in 0_usize..300) {
            let mut bytes = written(&ids);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
                let _ = read(&bytes, if flip % 2 == 0 { events } else { ids.len() });
                let _ = read(&bytes[..at], ids.len());
            }
        }

        #[test]
        fn signs_are_kept(value: i64) {
            prop_assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn events_of_one_request_share_their_base() {
        let ids_of = RequestEventIds::new(TENANT, RequestId(Uuid::from_u128(1)));
        let at = |place: usize| {
            ids_of.at(
                place,
                Timestamp::from_micros(1_800_000_000_000_000 + i64::try_from(place).unwrap() * 1_000),
            )
        };
        let ids: Vec<_> = (0..1_000).map(at).collect();
        assert!(written(&ids).len() < 64, "{}", written(&ids).len());
    }
}
