//! The codes of a dictionary, one for each event.
//!
//! They are packed, each with as many bits as the largest one needs, so the code of any event is found without decoding
//! the others. Where most events share a few codes, compression is much smaller, and they are compressed instead.

use std::borrow::Cow;

use crate::bitmap::Bitmap;
use crate::bytes::{Corrupt, Input, put_counted, put_varint};
use crate::integers::{self, Kind};

/// All events have the same code.
const CONSTANT: u8 = 0;
/// Each takes the same number of bits, the lowest ones first.
const PACKED: u8 = 1;
/// Compressed.
const COMPRESSED: u8 = 2;

/// Codes are compressed if they then take less than this part of what they take packed.
const WORTHWHILE: f64 = 0.6;
/// Fewer codes are never compressed.
const MIN_COMPRESSED: usize = 256;

/// Appends codes, of which there is at least one and none is above `max`.
pub(crate) fn put(out: &mut Vec<u8>, codes: &[u32], max: u32) {
    let Some((first, rest)) = codes.split_first() else { return };
    if rest.iter().all(|code| code == first) {
        out.push(CONSTANT);
        return put_varint(out, u64::from(*first));
    }
    let width = u32::BITS - max.leading_zeros();
    if codes.len() >= MIN_COMPRESSED && entropy(codes, max) < WORTHWHILE * f64::from(width) {
        out.push(COMPRESSED);
        let codes: Vec<_> = codes.iter().map(|code| u64::from(*code)).collect();
        return integers::put(out, &codes, Kind::Code);
    }
    out.push(PACKED);
    put_varint(out, u64::from(width));
    put_counted(out, &packed(codes, width));
}

fn packed(codes: &[u32], width: u32) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((codes.len() * width as usize).div_ceil(8));
    let (mut bits, mut pending) = (0_u64, 0);
    for code in codes {
        bits |= u64::from(*code) << pending;
        pending += width;
        while pending >= 8 {
            bytes.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            pending -= 8;
        }
    }
    if pending > 0 {
        bytes.push(bits.to_le_bytes()[0]);
    }
    bytes
}

/// The bits that an ideal code would take for each of the codes, by how often they occur.
fn entropy(codes: &[u32], max: u32) -> f64 {
    let mut counts = vec![0_u32; max as usize + 1];
    for code in codes {
        counts[*code as usize] += 1;
    }
    let total = f64::from(u32::try_from(codes.len()).expect("a segment has fewer events"));
    let shares = counts.into_iter().filter(|count| *count > 0).map(|count| f64::from(count) / total);
    shares.map(|share| -share * share.log2()).sum()
}

/// The codes of all events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codes<'a> {
    Constant(u32),
    Packed { bytes: Cow<'a, [u8]>, width: u32 },
    Each(Vec<u32>),
}

impl<'a> Codes<'a> {
    /// Reads the codes of `events`, none of which should be above `max`.
    pub(crate) fn read(input: &mut Input<'a>, events: usize, max: u32) -> Result<Self, Corrupt> {
        match input.byte()? {
            CONSTANT => {
                let code = u32::try_from(input.varint()?).ok().filter(|code| *code <= max);
                code.map(Self::Constant).ok_or(Corrupt("a code is too large"))
            }
            PACKED => {
                let width = u32::try_from(input.count(32)?).unwrap_or(u32::BITS);
                let bytes = input.counted()?;
                if bytes.len() == (events * width as usize).div_ceil(8) {
                    Ok(Self::Packed { bytes: Cow::Borrowed(bytes), width })
                } else {
                    Err(Corrupt("codes have another number"))
                }
            }
            COMPRESSED => integers::read_small(input, events, max).map(Self::Each),
            _ => Err(Corrupt("codes have an unknown form")),
        }
    }

    /// The code of an event. In a damaged column it can be above the maximum.
    #[inline]
    pub(crate) fn get(&self, event: usize) -> u32 {
        match self {
            Self::Constant(code) => *code,
            Self::Packed { bytes, width } => unpack(bytes, *width, event),
            Self::Each(codes) => codes[event],
        }
    }

    /// The events whose code is wanted.
    pub(crate) fn matching(&self, events: usize, is_wanted: &[bool]) -> Bitmap {
        let is_wanted = |code: u32| is_wanted.get(code as usize) == Some(&true);
        match self {
            Self::Constant(code) => Bitmap::filled(events, is_wanted(*code)),
            Self::Packed { bytes, width } => {
                Bitmap::from_fn(events, |event| is_wanted(unpack(bytes, *width, event)))
            }
            Self::Each(codes) => Bitmap::from_fn(events, |event| is_wanted(codes[event])),
        }
    }

    pub(crate) fn iter(&self, events: usize) -> impl Iterator<Item = u32> {
        (0..events).map(|event| self.get(event))
    }

    pub(crate) fn into_owned(self) -> Codes<'static> {
        match self {
            Self::Constant(code) => Codes::Constant(code),
            Self::Packed { bytes, width } => Codes::Packed { bytes: Cow::Owned(bytes.into_owned()), width },
            Self::Each(codes) => Codes::Each(codes),
        }
    }
}

#[inline]
fn unpack(bytes: &[u8], width: u32, event: usize) -> u32 {
    let bit = event * width as usize;
    let (start, shift) = (bit / 8, bit % 8);
    // A code of 32 bits can begin in any bit of a byte, so it spans five bytes at most.
    let word = match bytes.get(start..start + 8) {
        Some(word) => u64::from_le_bytes(word.try_into().expect("a word has eight bytes")),
        None => bytes[start..].iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    };
    let mask = (1_u64 << width) - 1;
    u32::try_from(word >> shift & mask).expect("a code has 32 bits at most")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(codes: &[u32]) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, codes, codes.iter().copied().max().unwrap_or(0));
        out
    }

    fn codes() -> impl Strategy<Value = Vec<u32>> {
        let size = 1_usize..600;
        prop_oneof![
            proptest::collection::vec(0_u32..7, size.clone()),
            proptest::collection::vec(0_u32..=10_000, size.clone()),
            // Mostly the same.
            proptest::collection::vec(
                (0_u32..100).prop_map(|code| if code < 95 { 3 } else { code }),
                size.clone()
            ),
            (0_u32..9, size).prop_map(|(code, count)| vec![code; count]),
        ]
    }

    proptest! {
        #[test]
        fn codes_are_read_as_written(codes in codes()) {
            let bytes = written(&codes);
            let mut input = Input::new(&bytes);
            let read = Codes::read(&mut input, codes.len(), codes.iter().copied().max().unwrap()).unwrap();
            prop_assert!(input.end().is_ok());
            prop_assert_eq!(read.iter(codes.len()).collect::<Vec<_>>(), &codes[..]);
            prop_assert_eq!(read.clone().into_owned(), read);
        }

        #[test]
        fn damaged_codes_never_panic(codes in codes(), at: prop::sample::Index, flip in 1_u8.., events in 0_usize..700) {
            let mut bytes = written(&codes);
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            for (bytes, events) in [(&bytes[..], events), (&bytes[..], codes.len()), (&bytes[..at], codes.len())] {
                if let Ok(read) = Codes::read(&mut Input::new(bytes), events, 10_000) {
                    read.iter(events).for_each(drop);
                }
            }
        }
    }

    #[test]
    fn the_largest_codes_are_packed() {
        let codes: Vec<_> = (0..100).map(|code| u32::MAX - code).collect();
        let mut bytes = Vec::new();
        bytes.push(PACKED);
        put_varint(&mut bytes, 32);
        put_counted(&mut bytes, &packed(&codes, 32));
        let read = Codes::read(&mut Input::new(&bytes), codes.len(), u32::MAX).unwrap();
        assert_eq!(read.iter(100).collect::<Vec<_>>(), codes);
    }

    #[test]
    fn codes_of_which_one_is_frequent_take_less_than_a_bit() {
        let codes: Vec<_> = (0..10_000).map(|event| u32::from(event % 100 == 0) * (1 + event % 5)).collect();
        assert!(written(&codes).len() < 10_000 / 8, "{}", written(&codes).len());
        let even: Vec<_> = (0..10_000).map(|event| event % 16).collect();
        assert_eq!(written(&even).len(), 10_000 * 4 / 8 + 4);
    }
}
