//! The values of a field as numbered labels: what groupings and counts of distinct values need.

use std::hash::BuildHasher;

use flowmeter_core::usage::Field;
use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::bytes::Corrupt;
use crate::read::SegmentReader;
use crate::text::TextColumn;

/// The values of one field in a segment, each distinct value once. An absent value is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    values: Vec<String>,
    /// For each event the index of its value.
    codes: Vec<u32>,
}

impl Labels {
    /// The labels of a field. A number is a decimal without trailing zeros.
    pub fn of(field: &Field, segment: &SegmentReader<'_>) -> Result<Self, Corrupt> {
        match field {
            Field::Text(text) => Ok(Self::of_texts(segment.text(*text)?, segment.events())),
            Field::Attribute(name) => Ok(Self::of_texts(&segment.attribute(name)?, segment.events())),
            Field::HttpStatus | Field::Duration | Field::ResponseSize | Field::Value => {
                let numbers = segment.measured(field)?;
                let text = |event| numbers.get(event).map_or_else(String::new, |number| number.to_string());
                Ok(Self::numbered((0..segment.events()).map(text)))
            }
        }
    }

    fn of_texts(column: &TextColumn<'_>, events: usize) -> Self {
        match column {
            TextColumn::Absent => Self { values: vec![String::new()], codes: vec![0; events] },
            TextColumn::Constant(text) => Self { values: vec![text.clone()], codes: vec![0; events] },
            TextColumn::Dictionary { values, codes } => {
                let values: Vec<_> = std::iter::once("").chain(values.iter()).map(str::to_owned).collect();
                let known = |code: u32| if (code as usize) < values.len() { code } else { 0 };
                let codes = codes.iter(events).map(known).collect();
                Self { values, codes }
            }
            TextColumn::Plain { .. } | TextColumn::Hex(_) => {
                let text = |event| column.get(event).unwrap_or_default().into_owned();
                Self::numbered((0..events).map(text))
            }
        }
    }

    /// Numbers the distinct texts in the order in which they come.
    fn numbered(texts: impl Iterator<Item = String>) -> Self {
        let hash = |text: &str| FixedState::default().hash_one(text);
        let (mut values, mut codes) = (Vec::<String>::new(), Vec::new());
        let mut index = HashTable::<u32>::new();
        for text in texts {
            let known = index.find(hash(&text), |known| values[*known as usize] == text).copied();
            codes.push(known.unwrap_or_else(|| {
                let new = u32::try_from(values.len()).expect("a segment has fewer events");
                index.insert_unique(hash(&text), new, |known| hash(&values[*known as usize]));
                values.push(text);
                new
            }));
        }
        Self { values, codes }
    }

    /// The distinct values. Some may be those of no event.
    #[must_use]
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// The value of an event; empty if absent.
    #[must_use]
    pub fn of_event(&self, event: usize) -> &str {
        &self.values[self.codes[event] as usize]
    }

    /// The index of an event's value.
    #[must_use]
    pub fn code(&self, event: usize) -> u32 {
        self.codes[event]
    }
}
