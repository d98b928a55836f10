//! Columns of numbers, which can be absent: whole ones, and exact decimals.

use flowmeter_core::quantity::Quantity;

use crate::bitmap::Bitmap;
use crate::bytes::{Corrupt, Input};
use crate::ids::{unzigzag, zigzag};
use crate::integers::{self, Kind};

/// Every event has a number.
const ALL: u8 = 1;
/// A bitmap says which events have one.
const SOME: u8 = 2;

/// Zero or more, as they are.
const UNSIGNED: u8 = 0;
/// With the sign in the lowest bit.
const SIGNED: u8 = 1;
/// Decimals that do not fit otherwise: 128 bits each.
const BILLIONTHS: u8 = 2;

/// Decimal places that a [`Quantity`] has.
const MAX_SCALE: u8 = 9;

/// Numbers of events; 0 where an event has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Numbers<T> {
    present: Bitmap,
    values: Vec<T>,
}

impl<T: Copy + Default> Numbers<T> {
    fn absent(events: usize) -> Self {
        Self { present: Bitmap::filled(events, false), values: vec![T::default(); events] }
    }

    /// The number of an event.
    #[must_use]
    pub fn get(&self, event: usize) -> Option<T> {
        self.present.contains(event).then(|| self.values[event])
    }

    /// The events whose number satisfies `holds`.
    pub(crate) fn matching(&self, events: usize, mut holds: impl FnMut(Option<T>) -> bool) -> Bitmap {
        Bitmap::from_fn(events, |event| holds(self.get(event)))
    }

    /// Puts the values of the events that have one in their places.
    fn spread(present: Bitmap, values: Vec<T>, events: usize) -> Self {
        if values.len() == events {
            return Self { present, values };
        }
        let mut spread = vec![T::default(); events];
        for (event, value) in present.iter().zip(values) {
            spread[event] = value;
        }
        Self { present, values: spread }
    }
}

/// The numbers of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measured {
    /// Whole numbers.
    Whole(Numbers<i64>),
    /// Exact decimals.
    Decimal(Numbers<Quantity>),
}

impl Measured {
    /// The number of an event.
    #[must_use]
    pub fn get(&self, event: usize) -> Option<Quantity> {
        match self {
            Self::Whole(numbers) => numbers.get(event).map(Quantity::from),
            Self::Decimal(numbers) => numbers.get(event),
        }
    }

    /// The events that have a number.
    #[must_use]
    pub fn present(&self) -> &Bitmap {
        match self {
            Self::Whole(numbers) => &numbers.present,
            Self::Decimal(numbers) => &numbers.present,
        }
    }
}

/// Appends which events have a number. False if none has, and nothing is to follow.
fn put_present<T>(out: &mut Vec<u8>, numbers: &[Option<T>]) -> bool {
    let count = numbers.iter().flatten().count();
    if count == 0 {
        return false;
    }
    if count == numbers.len() {
        out.push(ALL);
    } else {
        out.push(SOME);
        Bitmap::from_fn(numbers.len(), |event| numbers[event].is_some()).put(out);
    }
    true
}

fn read_present(input: &mut Input<'_>, events: usize) -> Result<Bitmap, Corrupt> {
    match input.byte()? {
        ALL => Ok(Bitmap::filled(events, true)),
        SOME => Bitmap::read(input, events),
        _ => Err(Corrupt("numbers have an unknown form")),
    }
}

/// Appends whole numbers; nothing where all are absent.
pub(crate) fn put_whole(out: &mut Vec<u8>, numbers: &[Option<i64>]) {
    if put_present(out, numbers) {
        put_signed(out, numbers.iter().flatten().copied());
    }
}

fn put_signed(out: &mut Vec<u8>, numbers: impl Iterator<Item = i64> + Clone) {
    let is_signed = numbers.clone().any(i64::is_negative);
    out.push(if is_signed { SIGNED } else { UNSIGNED });
    let encode = |number: i64| if is_signed { zigzag(number) } else { number.cast_unsigned() };
    integers::put(out, &numbers.map(encode).collect::<Vec<_>>(), Kind::Amount);
}

fn read_signed(input: &mut Input<'_>, count: usize) -> Result<Vec<i64>, Corrupt> {
    let is_signed = match input.byte()? {
        UNSIGNED => false,
        SIGNED => true,
        _ => return Err(Corrupt("numbers have an unknown form")),
    };
    let decode = |number: u64| if is_signed { unzigzag(number) } else { number.cast_signed() };
    Ok(integers::read(input, count)?.into_iter().map(decode).collect())
}

/// Reads whole numbers.
pub(crate) fn read_whole(column: &[u8], events: usize) -> Result<Numbers<i64>, Corrupt> {
    let mut input = Input::new(column);
    if input.is_empty() {
        return Ok(Numbers::absent(events));
    }
    let present = read_present(&mut input, events)?;
    let values = read_signed(&mut input, present.count())?;
    input.end()?;
    Ok(Numbers::spread(present, values, events))
}

/// Appends decimals; nothing where all are absent.
pub(crate) fn put_decimals(out: &mut Vec<u8>, numbers: &[Option<Quantity>]) {
    if !put_present(out, numbers) {
        return;
    }
    let billionths = || numbers.iter().flatten().map(|number| number.billionths());
    let mut scale = 0;
    for number in billionths() {
        while number % unit(scale) != 0 {
            scale += 1;
        }
    }
    let scaled: Option<Vec<_>> =
        billionths().map(|number| i64::try_from(number / unit(scale)).ok()).collect();
    if let Some(scaled) = scaled {
        out.push(scale);
        put_signed(out, scaled.iter().copied());
    } else {
        out.push(MAX_SCALE + BILLIONTHS);
        out.extend(billionths().flat_map(i128::to_le_bytes));
    }
}

/// Billionths in one step of the last of `scale` decimal places.
const fn unit(scale: u8) -> i128 {
    10_i128.pow((MAX_SCALE - scale) as u32)
}

/// Reads decimals.
pub(crate) fn read_decimals(column: &[u8], events: usize) -> Result<Numbers<Quantity>, Corrupt> {
    let mut input = Input::new(column);
    if input.is_empty() {
        return Ok(Numbers::absent(events));
    }
    let present = read_present(&mut input, events)?;
    let count = present.count();
    let values = match input.byte()? {
        scale @ 0..=MAX_SCALE => {
            let exact = |number| Quantity::from_billionths(i128::from(number) * unit(scale));
            read_signed(&mut input, count)?.into_iter().map(exact).collect()
        }
        form if form == MAX_SCALE + BILLIONTHS => {
            let bytes = input.take(count * 16)?.chunks_exact(16);
            let exact = |bytes: &[u8]| {
                Quantity::from_billionths(i128::from_le_bytes(bytes.try_into().unwrap_or_default()))
            };
            bytes.map(exact).collect()
        }
        _ => return Err(Corrupt("decimals have an unknown form")),
    };
    input.end()?;
    Ok(Numbers::spread(present, values, events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbers() -> impl Strategy<Value = Vec<Option<i64>>> {
        prop_oneof![
            proptest::collection::vec(proptest::option::of(any::<i64>()), 1..200),
            proptest::collection::vec((0_i64..1_000).prop_map(Some), 1..200),
            proptest::collection::vec(proptest::option::of(-3_i64..3), 1..200),
        ]
    }

    proptest! {
        #[test]
        fn whole_numbers_are_read_as_written(numbers in numbers()) {
            let mut out = Vec::new();
            put_whole(&mut out, &numbers);
            let read = read_whole(&out, numbers.len()).unwrap();
            let read: Vec<_> = (0..numbers.len()).map(|event| read.get(event)).collect();
            prop_assert_eq!(read, numbers);
        }

        #[test]
        fn decimals_are_read_as_written(numbers in numbers(), places in 0_u8..=9, large: bool) {
            let exact = |number: i64| {
                let factor = if large { 1_000_000_000 } else { 1 };
                Quantity::from_billionths(i128::from(number) * unit(places) * factor)
            };
            let numbers: Vec<_> = numbers.into_iter().map(|number| number.map(exact)).collect();
            let mut out = Vec::new();
            put_decimals(&mut out, &numbers);
            let read = read_decimals(&out, numbers.len()).unwrap();
            let read: Vec<_> = (0..numbers.len()).map(|event| read.get(event)).collect();
            prop_assert_eq!(read, numbers);
        }

        #[test]
        fn damaged_numbers_never_panic(numbers in numbers(), at: prop::sample::Index, flip in 1_u8.., events in 0_usize..300) {
            let mut out = Vec::new();
            put_whole(&mut out, &numbers);
            if !out.is_empty() {
                let at = at.index(out.len());
                out[at] ^= flip;
                let _ = (read_whole(&out, events), read_decimals(&out, events), read_whole(&out, numbers.len()));
            }
        }
    }

    #[test]
    fn cents_are_integers() {
        let price = |cents: i64| Some(Quantity::from_billionths(i128::from(cents) * 10_000_000));
        let prices: Vec<_> = (0..1_000).map(|cents| price(cents % 100)).collect();
        let mut out = Vec::new();
        put_decimals(&mut out, &prices);
        assert!(out.len() < 1_100, "{}", out.len());
    }
}
