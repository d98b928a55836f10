//! The column of attributes: a column of text for each of the first names, and pairs of the others.

use std::borrow::Cow;

use crate::bitmap::Bitmap;
use crate::bytes::{Corrupt, Input, put_counted, put_varint};
use crate::integers::{self, Kind};
use crate::text::{TextColumn, TextWriter};

/// Names that have a column of their own. Senders use a handful; without a limit, events that each bring names of their
/// own would make a column for every pair.
const MAX_COLUMNS: usize = 64;

/// Collects the attributes of events.
#[derive(Debug, Default)]
pub(crate) struct AttributesWriter {
    columns: Vec<(String, TextWriter)>,
    /// For each event the number of its pairs under other names.
    other_counts: Vec<u64>,
    other_names: TextWriter,
    other_values: TextWriter,
}

impl AttributesWriter {
    /// Adds the attributes of the next event, each name once.
    pub(crate) fn push<'a>(&mut self, attributes: impl Iterator<Item = (&'a str, &'a str)>) {
        let event = self.other_counts.len();
        let mut others = 0;
        for (name, value) in attributes {
            let known = self.columns.iter().position(|(known, _)| known == name);
            let column = known.or_else(|| {
                (self.columns.len() < MAX_COLUMNS).then(|| {
                    self.columns.push((name.to_owned(), TextWriter::default()));
                    self.columns.len() - 1
                })
            });
            if let Some(column) = column {
                let column = &mut self.columns[column].1;
                column.pad(event);
                column.push(Some(value));
            } else {
                others += 1;
                self.other_names.push(Some(name));
                self.other_values.push(Some(value));
            }
        }
        self.other_counts.push(others);
    }

    /// The bytes of the column; none where no event has attributes.
    pub(crate) fn finish(self, compressor: &mut zstd::bulk::Compressor<'static>) -> Vec<u8> {
        let mut out = Vec::new();
        if self.columns.is_empty() {
            return out;
        }
        let events = self.other_counts.len();
        put_varint(&mut out, self.columns.len() as u64);
        for (name, mut column) in self.columns {
            column.pad(events);
            put_counted(&mut out, name.as_bytes());
            put_counted(&mut out, &column.finish(compressor));
        }
        if self.other_names.len() > 0 {
            integers::put(&mut out, &self.other_counts, Kind::Code);
            put_counted(&mut out, &self.other_names.finish(compressor));
            put_counted(&mut out, &self.other_values.finish(compressor));
        }
        out
    }
}

/// The decoded column.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes<'a> {
    columns: Vec<(&'a str, &'a [u8])>,
    others: Option<Others<'a>>,
    events: usize,
}

/// Attributes under names that have no column of their own.
#[derive(Debug, Clone)]
struct Others<'a> {
    /// For each event where its pairs begin; and where those of the last one end.
    starts: Vec<usize>,
    names: TextColumn<'a>,
    values: TextColumn<'a>,
}

impl<'a> Attributes<'a> {
    /// Finds the columns of names, without decoding their texts.
    pub(crate) fn read(column: &'a [u8], events: usize) -> Result<Self, Corrupt> {
        let mut input = Input::new(column);
        if input.is_empty() {
            return Ok(Self { events, ..Self::default() });
        }
        let mut columns = Vec::new();
        for _ in 0..input.count(MAX_COLUMNS)? {
            let name = std::str::from_utf8(input.counted()?).map_err(|_| Corrupt("a name is not UTF-8"))?;
            columns.push((name, input.counted()?));
        }
        let others = if input.is_empty() { None } else { Some(Others::read(&mut input, events)?) };
        input.end()?;
        Ok(Self { columns, others, events })
    }

    /// The values of one name.
    pub(crate) fn named(&self, name: &str) -> Result<TextColumn<'a>, Corrupt> {
        if let Some((_, column)) = self.columns.iter().find(|(known, _)| *known == name) {
            return TextColumn::read(column, self.events);
        }
        let Some(others) = &self.others else { return Ok(TextColumn::Absent) };
        let mut values = TextWriter::default();
        for event in 0..self.events {
            let value = others.of(event).find(|(known, _)| known == name).map(|(_, value)| value);
            values.push(value.as_deref());
        }
        let column = values.finish(&mut crate::bytes::compressor());
        TextColumn::read(&column, self.events).map(TextColumn::into_owned)
    }

    /// All of them, decoded.
    pub(crate) fn all(&self) -> Result<AllAttributes<'a>, Corrupt> {
        let columns =
            self.columns.iter().map(|(name, column)| Ok((*name, TextColumn::read(column, self.events)?)));
        Ok(AllAttributes { columns: columns.collect::<Result<_, _>>()?, others: self.others.clone() })
    }
}

impl<'a> Others<'a> {
    fn read(input: &mut Input<'a>, events: usize) -> Result<Self, Corrupt> {
        /// Far above what the attributes of a segment's events can be: a bound on memory.
        const MAX_PAIRS: usize = crate::MAX_EVENTS * 64;
        let counts = integers::read_small(input, events, u32::MAX)?;
        let mut starts = Vec::with_capacity(events + 1);
        let mut pairs = 0_usize;
        starts.push(pairs);
        for count in counts {
            pairs = pairs.saturating_add(count as usize);
            starts.push(pairs);
        }
        if pairs > MAX_PAIRS {
            return Err(Corrupt("a number is too large"));
        }
        let names = TextColumn::read(input.counted()?, pairs)?;
        let values = TextColumn::read(input.counted()?, pairs)?;
        Ok(Self { starts, names, values })
    }

    fn of(&self, event: usize) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let pairs = self.starts[event]..self.starts[event + 1];
        pairs.filter_map(|pair| Some((self.names.get(pair)?, self.values.get(pair)?)))
    }
}

/// The attributes of all events, decoded.
#[derive(Debug, Clone)]
pub(crate) struct AllAttributes<'a> {
    columns: Vec<(&'a str, TextColumn<'a>)>,
    others: Option<Others<'a>>,
}

impl AllAttributes<'_> {
    /// Whether no event has any.
    pub(crate) fn are_absent(&self) -> bool {
        self.columns.is_empty() && self.others.is_none()
    }

    /// The events that have an attribute whose value satisfies `holds`, as sets that overlap.
    pub(crate) fn values_matching(
        &self,
        events: usize,
        holds: impl Fn(&str) -> bool,
    ) -> impl Iterator<Item = Bitmap> {
        let columns = self.columns.iter().map(|(_, column)| column.matching(events, &holds));
        let others = self
            .others
            .iter()
            .map(|others| Bitmap::from_fn(events, |event| others.of(event).any(|(_, value)| holds(&value))));
        columns.chain(others).collect::<Vec<_>>().into_iter()
    }

    /// The attributes of an event by ascending name.
    pub(crate) fn of(&self, event: usize) -> Vec<(String, String)> {
        let named =
            self.columns.iter().filter_map(|(name, column)| Some((Cow::Borrowed(*name), column.get(event)?)));
        let others = self.others.iter().flat_map(|others| others.of(event));
        let owned = |(name, value): (Cow<'_, str>, Cow<'_, str>)| (name.into_owned(), value.into_owned());
        let mut attributes: Vec<_> = named.chain(others).map(owned).collect();
        attributes.sort_unstable();
        attributes
    }
}
