//! The buckets of one series on one day (UTC).

use flowmeter_core::aggregate::{Aggregate, EventValue};
use flowmeter_core::ids::EventId;
use flowmeter_core::metric::Observed;
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;

use super::Malformed;
use super::number::{Input, put, put_counted, put_signed};

/// Every event counts one.
const COUNTS: u8 = 1;
/// Events have values.
const VALUES: u8 = 2;

/// The number of minutes of a day.
const MINUTES: usize = 24 * 60;
/// The number of decimal places of a quantity.
const PLACES: u8 = 9;

/// The buckets of a series on one day, by the minute of the day at which they begin.
///
/// # Format
///
/// The first byte says whether events have values. Then, for all buckets column by column: the minutes as differences,
/// the counts, and if there are values, the number of decimal places that are omitted everywhere, and four columns, each
/// after its length: the sums; the smallest and the largest values; the first events; the last events. An event is its
/// time since the start of its bucket, its 62 distinct bits, and its value. What follows from a count of one is omitted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RollupDay {
    has_values: bool,
    /// By ascending minute. Most days that are added have few.
    buckets: Vec<(u16, Aggregate)>,
}

/// What a reader needs of each bucket, beside the count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Nothing.
    Count,
    /// What an aggregation needs.
    Of(Observed),
}

/// An aggregate of a count alone, or of which only a part is known.
pub(crate) const fn counted(count: i64) -> Aggregate {
    let zero = Quantity::from_billionths(0);
    let none = EventValue { id: EventId(uuid::Uuid::nil()), value: zero };
    Aggregate { count, sum: zero, min: zero, max: zero, first: none, last: none }
}

impl RollupDay {
    /// A day without buckets. `has_values` is false if the metric counts.
    pub(crate) const fn new(has_values: bool) -> Self {
        Self { has_values, buckets: Vec::new() }
    }

    /// Adds to a bucket.
    pub(crate) fn add(&mut self, minute: u16, aggregate: &Aggregate) {
        let aggregate = if self.has_values { *aggregate } else { counted(aggregate.count) };
        match self.buckets.binary_search_by_key(&minute, |(known, _)| *known) {
            Ok(place) => self.buckets[place].1.merge(&aggregate),
            Err(place) => self.buckets.insert(place, (minute, aggregate)),
        }
    }

    /// Adds the buckets of an encoded day.
    pub(crate) fn add_encoded(&mut self, bytes: &[u8], day: Timestamp) -> Result<(), Malformed> {
        let columns = Columns::read(bytes)?;
        self.has_values = columns.values.is_some();
        let firsts = columns.firsts(day)?;
        let lasts = columns.lasts(day)?;
        let (sums, extremes) = (columns.sums()?, columns.extremes()?);
        for (index, minute) in columns.minutes.iter().enumerate() {
            let mut aggregate = counted(columns.counts[index]);
            if self.has_values {
                aggregate.sum = sums[index];
                (aggregate.min, aggregate.max) = extremes[index];
                (aggregate.first, aggregate.last) = (firsts[index], lasts[index]);
            }
            self.add(*minute, &aggregate);
        }
        Ok(())
    }

    /// The day as a single bucket.
    pub(crate) fn total(&self) -> Self {
        let mut total = Self::new(self.has_values);
        self.buckets.iter().for_each(|(_, aggregate)| total.add(0, aggregate));
        total
    }

    /// Encodes the buckets; equal days have equal encodings.
    pub(crate) fn encode(&self, day: Timestamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.buckets.len() * if self.has_values { 40 } else { 2 });
        out.push(if self.has_values { VALUES } else { COUNTS });
        put(&mut out, self.buckets.len() as u64);
        let mut before = 0;
        for (minute, _) in &self.buckets {
            put(&mut out, u64::from(minute - before));
            before = *minute;
        }
        for (_, aggregate) in &self.buckets {
            put(&mut out, aggregate.count.unsigned_abs());
        }
        if self.has_values {
            self.encode_values(day, &mut out);
        }
        out
    }

    fn encode_values(&self, day: Timestamp, out: &mut Vec<u8>) {
        let omitted = self.omitted_places();
        let unit = unit(omitted);
        out.push(omitted);
        let (mut sums, mut extremes, mut firsts, mut lasts) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (minute, aggregate) in &self.buckets {
            let put_value = |out: &mut Vec<u8>, value: Quantity| put_signed(out, value.billionths() / unit);
            let put_event = |out: &mut Vec<u8>, since: Timestamp, event: EventValue| {
                let micros = event.id.timestamp().micros() - since.micros();
                put(out, micros.unsigned_abs());
                out.extend_from_slice(&event.id.distinct().to_le_bytes());
            };
            put_value(&mut sums, aggregate.sum);
            put_event(&mut firsts, minute_of(day, *minute), aggregate.first);
            if aggregate.count > 1 {
                put_value(&mut extremes, aggregate.min);
                put_value(&mut extremes, aggregate.max);
                put_value(&mut firsts, aggregate.first.value);
                put_event(&mut lasts, minute_of(day, *minute), aggregate.last);
                put_value(&mut lasts, aggregate.last.value);
            }
        }
        for column in [sums, extremes, firsts, lasts] {
            put_counted(out, &column);
        }
    }

    /// The number of decimal places that are zero in all values.
    fn omitted_places(&self) -> u8 {
        let values = self.buckets.iter().flat_map(|(_, aggregate)| {
            [aggregate.sum, aggregate.min, aggregate.max, aggregate.first.value, aggregate.last.value]
        });
        let mut omitted = PLACES;
        for value in values {
            while value.billionths() % unit(omitted) != 0 {
                omitted -= 1;
            }
        }
        omitted
    }

    /// Calls `see` with the minute and the aggregate of each bucket of an encoded day, in ascending order. Of the
    /// aggregate only the count and the wanted part are given.
    pub(crate) fn for_each(
        bytes: &[u8],
        day: Timestamp,
        part: Part,
        mut see: impl FnMut(u16, &Aggregate),
    ) -> Result<(), Malformed> {
        let columns = Columns::read(bytes)?;
        let (mut sums, mut extremes, mut events) = (Vec::new(), Vec::new(), Vec::new());
        if columns.values.is_some() {
            match part {
                Part::Count => {}
                Part::Of(Observed::Summed | Observed::Averaged) => sums = columns.sums()?,
                Part::Of(Observed::High | Observed::Low) => extremes = columns.extremes()?,
                Part::Of(Observed::Beginning) => events = columns.firsts(day)?,
                Part::Of(Observed::End) => events = columns.lasts(day)?,
            }
        }
        for (index, (minute, count)) in columns.minutes.iter().zip(&columns.counts).enumerate() {
            let mut aggregate = counted(*count);
            if let Some(sum) = sums.get(index) {
                aggregate.sum = *sum;
            }
            if let Some((min, max)) = extremes.get(index) {
                (aggregate.min, aggregate.max) = (*min, *max);
            }
            if let Some(event) = events.get(index) {
                (aggregate.first, aggregate.last) = (*event, *event);
            }
            see(*minute, &aggregate);
        }
        Ok(())
    }
}

fn minute_of(day: Timestamp, minute: u16) -> Timestamp {
    Timestamp::from_micros(day.micros() + i64::from(minute) * 60_000_000)
}

const fn unit(omitted: u8) -> i128 {
    10_i128.pow(omitted as u32)
}

/// An encoded day, whose columns are decoded as they are needed.
struct Columns<'a> {
    minutes: Vec<u16>,
    counts: Vec<i64>,
    values: Option<Values<'a>>,
}

struct Values<'a> {
    unit: i128,
    sums: Input<'a>,
    extremes: Input<'a>,
    firsts: Input<'a>,
    lasts: Input<'a>,
}

impl<'a> Columns<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut input = Input::new(bytes);
        let has_values = match input.byte()? {
            COUNTS => false,
            VALUES => true,
            _ => return Err(Malformed),
        };
        let buckets = input.count(MINUTES)?;
        let (mut minutes, mut counts) = (Vec::with_capacity(buckets), Vec::with_capacity(buckets));
        let mut minute = 0_usize;
        for _ in 0..buckets {
            minute += input.count(MINUTES)?;
            let valid = u16::try_from(minute).ok().filter(|_| minute < MINUTES);
            minutes.push(valid.ok_or(Malformed)?);
        }
        for _ in 0..buckets {
            counts.push(i64::try_from(input.number()?).map_err(|_| Malformed)?);
        }
        let mut values = None;
        if has_values {
            let omitted = input.byte()?;
            if omitted > PLACES {
                return Err(Malformed);
            }
            values = Some(Values {
                unit: unit(omitted),
                sums: input.counted()?,
                extremes: input.counted()?,
                firsts: input.counted()?,
                lasts: input.counted()?,
            });
        }
        if input.is_empty() { Ok(Self { minutes, counts, values }) } else { Err(Malformed) }
    }

    fn sums(&self) -> Result<Vec<Quantity>, Malformed> {
        let Some(Values { unit, mut sums, .. }) = self.values else { return Ok(Vec::new()) };
        self.counts.iter().map(|_| read_value(&mut sums, unit)).collect()
    }

    fn extremes(&self) -> Result<Vec<(Quantity, Quantity)>, Malformed> {
        let Some(Values { unit, mut extremes, .. }) = self.values else { return Ok(Vec::new()) };
        let sums = self.sums()?;
        let bounds = self.counts.iter().zip(sums).map(|(count, sum)| match count {
            0..=1 => Ok((sum, sum)),
            _ => Ok((read_value(&mut extremes, unit)?, read_value(&mut extremes, unit)?)),
        });
        bounds.collect()
    }

    fn firsts(&self, day: Timestamp) -> Result<Vec<EventValue>, Malformed> {
        let Some(Values { unit, mut firsts, .. }) = self.values else { return Ok(Vec::new()) };
        let sums = self.sums()?;
        let events = self.minutes.iter().zip(&self.counts).zip(sums).map(|((minute, count), sum)| {
            let id = read_id(&mut firsts, minute_of(day, *minute))?;
            let value = if *count > 1 { read_value(&mut firsts, unit)? } else { sum };
            Ok(EventValue { id, value })
        });
        events.collect()
    }

    fn lasts(&self, day: Timestamp) -> Result<Vec<EventValue>, Malformed> {
        let Some(Values { unit, mut lasts, .. }) = self.values else { return Ok(Vec::new()) };
        // Of a single event the first one is the last one.
        let firsts = self.firsts(day)?;
        let events = self.minutes.iter().zip(&self.counts).zip(firsts).map(|((minute, count), first)| {
            if *count <= 1 {
                return Ok(first);
            }
            let id = read_id(&mut lasts, minute_of(day, *minute))?;
            Ok(EventValue { id, value: read_value(&mut lasts, unit)? })
        });
        events.collect()
    }
}

fn read_value(input: &mut Input<'_>, unit: i128) -> Result<Quantity, Malformed> {
    input.signed()?.checked_mul(unit).map(Quantity::from_billionths).ok_or(Malformed)
}

fn read_id(input: &mut Input<'_>, since: Timestamp) -> Result<EventId, Malformed> {
    let micros = i64::try_from(input.number()?).map_err(|_| Malformed)?;
    let micros = since.micros().checked_add(micros).ok_or(Malformed)?;
    let distinct: [u8; 8] = input.take(8)?.try_into().map_err(|_| Malformed)?;
    Ok(EventId::from_parts(Timestamp::from_micros(micros), u64::from_le_bytes(distinct)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const DAY: Timestamp = Timestamp::from_micros(1_700_006_400_000_000);

    /// Values of events: the minute, the microsecond in it, the value and its distinct bits.
    type Event = (u16, i64, i128, u64);

    fn events() -> impl Strategy<Value = (bool, Vec<Event>)> {
        let value = prop_oneof![
            Just(1_000_000_000_i128),
            (0_i128..500).prop_map(|value| value * 1_000_000_000),
            any::<i64>().prop_map(i128::from),
            (i128::MIN >> 20)..(i128::MAX >> 20),
        ];
        let event = (0_u16..1_440, 0_i64..60_000_000, value, 0..1_u64 << 62);
        (any::<bool>(), vec(event, 0..60))
    }

    fn day((has_values, events): &(bool, Vec<Event>)) -> RollupDay {
        let mut day = RollupDay::new(*has_values);
        for (minute, micros, value, distinct) in events {
            let at = Timestamp::from_micros(minute_of(DAY, *minute).micros() + micros);
            let id = EventId::from_parts(at, *distinct);
            day.add(*minute, &Aggregate::of(id, Quantity::from_billionths(*value)));
        }
        day
    }

    proptest! {
        #[test]
        fn days_are_read_as_written(events in events()) {
            let day = day(&events);
            let bytes = day.encode(DAY);
            let mut read = RollupDay::default();
            read.add_encoded(&bytes, DAY).unwrap();
            prop_assert_eq!(&read, &day);
            for observed in Observed::ALL {
                let mut seen = Vec::new();
                let part = Part::Of(observed);
                RollupDay::for_each(&bytes, DAY, part, |minute, aggregate| seen.push((minute, *aggregate))).unwrap();
                prop_assert_eq!(seen.len(), day.buckets.len());
                for ((minute, seen), (expected_minute, expected)) in seen.into_iter().zip(&day.buckets) {
                    prop_assert_eq!((minute, seen.count), (*expected_minute, expected.count));
                    match observed {
                        Observed::Summed | Observed::Averaged => prop_assert_eq!(seen.sum, expected.sum),
                        Observed::High => prop_assert_eq!(seen.max, expected.max),
                        Observed::Low => prop_assert_eq!(seen.min, expected.min),
                        Observed::Beginning => prop_assert_eq!(seen.first, expected.first),
                        Observed::End => prop_assert_eq!(seen.last, expected.last),
                    }
                }
            }
        }

        #[test]
        fn adding_encoded_days_is_adding_their_events((has_values, one) in events(), (_, other) in events()) {
            let bytes = |events: &[Event]| day(&(has_values, events.to_vec())).encode(DAY);
            let mut added = RollupDay::default();
            added.add_encoded(&bytes(&one), DAY).unwrap();
            added.add_encoded(&bytes(&other), DAY).unwrap();
            let all = day(&(has_values, [one, other].concat()));
            prop_assert_eq!(added.total(), all.total());
            prop_assert_eq!(added, all);
        }

        #[test]
        fn malformed_bytes_never_panic(events in events(), at: prop::sample::Index, flip in 1_u8..) {
            let mut bytes = day(&events).encode(DAY);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let _ = RollupDay::default().add_encoded(&bytes, DAY);
            let _ = RollupDay::default().add_encoded(&bytes[..at], DAY);
        }
    }

    #[test]
    fn a_count_takes_two_bytes_a_bucket() {
        let mut day = RollupDay::new(false);
        for quarter in 0..96 {
            day.add(quarter * 15, &counted(100));
        }
        assert_eq!(day.encode(DAY).len(), 2 + 96 * 2);
        assert_eq!(day.total().encode(DAY).len(), 5);
    }
}
