//! A set of the events of a segment, one bit each.

use crate::bytes::{Corrupt, Input};

const BITS: usize = u64::BITS as usize;

/// A set of the events of a segment, by their positions in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    words: Vec<u64>,
    events: usize,
}

impl Bitmap {
    /// All events, or none.
    #[must_use]
    pub fn filled(events: usize, value: bool) -> Self {
        let word = if value { u64::MAX } else { 0 };
        let mut bitmap = Self { words: vec![word; events.div_ceil(BITS)], events };
        bitmap.clear_rest();
        bitmap
    }

    /// The events of which `holds` is true.
    pub fn from_fn(events: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let mut words = Vec::with_capacity(events.div_ceil(BITS));
        for start in (0..events).step_by(BITS) {
            let here = start..events.min(start + BITS);
            words.push(here.fold(0, |word, event| word | (u64::from(holds(event)) << (event - start))));
        }
        Self { words, events }
    }

    /// Whether an event is in the set.
    #[must_use]
    pub fn contains(&self, event: usize) -> bool {
        self.words.get(event / BITS).is_some_and(|word| word >> (event % BITS) & 1 == 1)
    }

    /// The number of events in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether no event is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The events in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut rest = *word;
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.checked_sub(1)?;
                Some(index * BITS + bit as usize)
            })
        })
    }

    /// Keeps the events that are in the other set as well.
    pub fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    /// Adds the events of the other set.
    pub fn unite(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word |= other);
    }

    /// Takes the events that are not in the set instead.
    pub fn negate(&mut self) {
        self.words.iter_mut().for_each(|word| *word = !*word);
        self.clear_rest();
    }

    /// Keeps the events at these positions.
    pub fn keep(&mut self, positions: std::ops::Range<usize>) {
        if positions.start > 0 || positions.end < self.events {
            self.intersect(&Self::from_fn(self.events, |event| positions.contains(&event)));
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        let bytes = self.words.iter().flat_map(|word| word.to_le_bytes());
        out.extend(bytes.take(self.events.div_ceil(8)));
    }

    pub(crate) fn read(input: &mut Input<'_>, events: usize) -> Result<Self, Corrupt> {
        let bytes = input.take(events.div_ceil(8))?;
        let word = |chunk: &[u8]| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            u64::from_le_bytes(word)
        };
        let mut bitmap = Self { words: bytes.chunks(8).map(word).collect(), events };
        bitmap.clear_rest();
        Ok(bitmap)
    }

    /// The bits behind the last event stay 0.
    fn clear_rest(&mut self) {
        let rest = self.events % BITS;
        if rest > 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << rest) - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_bitmap_is_a_set(members in proptest::collection::vec(any::<bool>(), 0..300)) {
            let events = members.len();
            let bitmap = Bitmap::from_fn(events, |event| members[event]);
            let expected: Vec<_> = (0..events).filter(|event| members[*event]).collect();
            prop_assert_eq!(bitmap.iter().collect::<Vec<_>>(), expected.clone());
            prop_assert_eq!(bitmap.count(), expected.len());
            prop_assert_eq!(bitmap.is_empty(), expected.is_empty());
            let mut other = bitmap.clone();
            other.negate();
            prop_assert_eq!(other.count(), events - expected.len());
            other.unite(&bitmap);
            prop_assert_eq!(&other, &Bitmap::filled(events, true));
            other.intersect(&bitmap);
            prop_assert_eq!(&other, &bitmap);
            let mut bytes = Vec::new();
            bitmap.put(&mut bytes);
            let mut input = Input::new(&bytes);
            prop_assert_eq!(Bitmap::read(&mut input, events), Ok(bitmap));
            prop_assert!(input.end().is_ok());
        }
    }
}
