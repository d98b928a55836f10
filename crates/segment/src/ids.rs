//! The columns of ids: their times, and the 62 bits that tell events of one time apart.
//!
//! The times are a column of their own, because most questions need no more of an id. The bits of events that their
//! sender did not name are a base that belongs to the request, plus the event's place in the request. So events are
//! grouped by request: a group costs eight bytes, and an event that follows another one of its request costs hardly
//! anything.

use std::collections::HashMap;

use flowmeter_core::ids::EventId;
use flowmeter_core::timestamp::Timestamp;
use foldhash::fast::FixedState;

use crate::bytes::{Corrupt, Input, put_varint};
use crate::integers::{self, Kind};

/// Times, each as what has passed since the one before.
const DELTAS: u8 = 1;
/// Groups of bits.
const GROUPED: u8 = 1;

/// Places in a request are below this, so most ids of a request agree in the bits above it.
const MAX_DISTANCE: u64 = 1 << 14;

/// The event is the first one of a new group.
const NEW_GROUP: u64 = 0;

/// Appends the times of ids, of which there is at least one, in ascending order.
pub(crate) fn put_times(out: &mut Vec<u8>, ids: &[EventId]) {
    let Some(first) = ids.first() else { return };
    out.push(DELTAS);
    let micros = |id: &EventId| id.timestamp().micros().unsigned_abs();
    put_varint(out, micros(first));
    let deltas: Vec<_> = ids.windows(2).map(|pair| micros(&pair[1]) - micros(&pair[0])).collect();
    integers::put(out, &deltas, Kind::Amount);
}

/// Appends what tells ids of one time apart. There is at least one.
pub(crate) fn put_distinct(out: &mut Vec<u8>, ids: &[EventId]) {
    if ids.is_empty() {
        return;
    }
    out.push(GROUPED);
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

/// Reads the times of `events`.
pub(crate) fn read_times(column: &[u8], events: usize) -> Result<Vec<Timestamp>, Corrupt> {
    let mut input = Input::new(column);
    let Some(rest) = events.checked_sub(1) else {
        input.end()?;
        return Ok(Vec::new());
    };
    if input.byte()? != DELTAS {
        return Err(Corrupt("times have an unknown form"));
    }
    let mut micros = input.varint()?;
    let deltas = integers::read(&mut input, rest)?;
    input.end()?;
    let mut times = Vec::with_capacity(events);
    for delta in std::iter::once(0).chain(deltas) {
        micros = micros.checked_add(delta).ok_or(TOO_LARGE)?;
        times.push(Timestamp::from_micros(micros.cast_signed()));
    }
    // They ascend, so none is larger than the last one.
    if i64::try_from(micros).is_ok() { Ok(times) } else { Err(TOO_LARGE) }
}

const TOO_LARGE: Corrupt = Corrupt("a time is too large");

/// Reads what tells apart the ids of `events`.
pub(crate) fn read_distinct(column: &[u8], events: usize) -> Result<Vec<u64>, Corrupt> {
    let mut input = Input::new(column);
    if events == 0 {
        input.end()?;
        return Ok(Vec::new());
    }
    if input.byte()? != GROUPED {
        return Err(Corrupt("ids have an unknown form"));
    }
    let codes = integers::read(&mut input, events)?;
    let new_groups = codes.iter().filter(|code| **code == NEW_GROUP).count();
    let mut bases = input.take(new_groups * 8)?.chunks_exact(8);
    let mut steps = integers::read(&mut input, events - new_groups)?.into_iter();
    input.end()?;

    let mut last_of: Vec<u64> = Vec::with_capacity(new_groups);
    let distinct = |code: u64| {
        if code == NEW_GROUP {
            let base = bases.next().and_then(|base| base.try_into().ok()).map(u64::from_le_bytes);
            let base = base.ok_or(Corrupt("it ends too early"))?;
            last_of.push(base);
            return Ok(base);
        }
        let number = usize::try_from(code).ok().and_then(|code| last_of.len().checked_sub(code));
        let last = number.and_then(|number| last_of.get_mut(number)).ok_or(Corrupt("a group is unknown"))?;
        let step = unzigzag(steps.next().ok_or(Corrupt("it ends too early"))?);
        *last = last.wrapping_add(1).wrapping_add(step.cast_unsigned());
        Ok(*last)
    };
    codes.into_iter().map(distinct).collect()
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

    fn written(ids: &[EventId]) -> (Vec<u8>, Vec<u8>) {
        let (mut times, mut distinct) = (Vec::new(), Vec::new());
        put_times(&mut times, ids);
        put_distinct(&mut distinct, ids);
        (times, distinct)
    }

    proptest! {
        #[test]
        fn ids_are_read_as_written(ids in ids()) {
            let (times, distinct) = written(&ids);
            let times = read_times(&times, ids.len()).unwrap();
            let distinct = read_distinct(&distinct, ids.len()).unwrap();
            let read: Vec<_> =
                times.into_iter().zip(distinct).map(|(time, distinct)| EventId::from_parts(time, distinct)).collect();
            prop_assert_eq!(read, ids);
        }

        #[test]
        fn damaged_ids_never_panic(ids in ids(), at: prop::sample::Index, flip in 1_u8.., events in 0_usize..300) {
            let events = if flip % 2 == 0 { events } else { ids.len() };
            let (mut times, mut distinct) = written(&ids);
            for bytes in [&mut times, &mut distinct] {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] ^= flip;
                    let _ = (read_times(bytes, events), read_times(&bytes[..at], ids.len()));
                    let _ = (read_distinct(bytes, events), read_distinct(&bytes[..at], ids.len()));
                }
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
        let (times, distinct) = written(&ids);
        assert!(times.len() + distinct.len() < 64, "{} {}", times.len(), distinct.len());
    }
}
