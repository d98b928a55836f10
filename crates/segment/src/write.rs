//! Writing a segment.

use flowmeter_core::ids::EventId;
use flowmeter_core::quantity::Quantity;
use flowmeter_core::usage::{TextField, UsageEvent};

use crate::attributes::AttributesWriter;
use crate::column::Column;
use crate::text::TextWriter;
use crate::{MAX_EVENTS, bytes, ids, numbers};

/// Encoded events: one or more, in the order of their ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The id of the first event.
    pub first: EventId,
    /// The id of the last event.
    pub last: EventId,
    /// The number of events.
    pub events: usize,
    /// The bytes of all texts, also of those that repeat: what the segment can take when it is decoded.
    pub text_bytes: usize,
    /// The bytes of each column, by its index. Empty where no event has the field.
    pub(crate) columns: [Vec<u8>; Column::COUNT],
}

impl Segment {
    /// The bytes of a column. Empty where no event has the field.
    #[must_use]
    pub fn column(&self, column: Column) -> &[u8] {
        &self.columns[column.index()]
    }

    /// The bytes of all columns together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(Vec::len).sum()
    }
}

/// Collects events into a segment.
#[derive(Debug, Default)]
pub struct SegmentWriter {
    ids: Vec<EventId>,
    texts: [TextWriter; TextField::ALL.len()],
    http_statuses: Vec<Option<i64>>,
    durations: Vec<Option<i64>>,
    response_sizes: Vec<Option<i64>>,
    values: Vec<Option<Quantity>>,
    attributes: AttributesWriter,
    text_bytes: usize,
}

impl SegmentWriter {
    /// The number of events so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no event yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The bytes of all texts so far, also of those that repeat.
    #[must_use]
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// Adds an event, than whose id none is greater so far.
    ///
    /// # Panics
    ///
    /// If the id is less than the one before, or if the segment has [`MAX_EVENTS`] already.
    pub fn push(&mut self, id: EventId, event: &UsageEvent<'_>) {
        assert!(self.ids.last().is_none_or(|last| *last <= id), "events come in the order of their ids");
        assert!(self.ids.len() < MAX_EVENTS, "a segment has at most {MAX_EVENTS} events");
        self.ids.push(id);
        let attributes = event.attributes.iter().map(|(name, value)| name.len() + value.len());
        self.text_bytes += event.texts.iter().map(|text| text.len()).chain(attributes).sum::<usize>();
        for (writer, text) in self.texts.iter_mut().zip(event.texts) {
            writer.push(Some(text).filter(|text| !text.is_empty()));
        }
        self.http_statuses.push(event.http_status.map(i64::from));
        self.durations.push(event.duration_ms);
        self.response_sizes.push(event.response_bytes);
        self.values.push(event.value);
        self.attributes.push(event.attributes.iter().copied());
    }

    /// The segment of all events. None if there are none.
    #[must_use]
    pub fn finish(self) -> Option<Segment> {
        let (first, last) = (*self.ids.first()?, *self.ids.last()?);
        let compressor = &mut bytes::compressor();
        let mut columns = [const { Vec::new() }; Column::COUNT];
        ids::put_times(&mut columns[Column::Times.index()], &self.ids);
        ids::put_distinct(&mut columns[Column::Ids.index()], &self.ids);
        for (field, writer) in TextField::ALL.into_iter().zip(self.texts) {
            columns[Column::Text(field).index()] = writer.finish(compressor);
        }
        numbers::put_whole(&mut columns[Column::HttpStatus.index()], &self.http_statuses);
        numbers::put_whole(&mut columns[Column::Duration.index()], &self.durations);
        numbers::put_whole(&mut columns[Column::ResponseSize.index()], &self.response_sizes);
        numbers::put_decimals(&mut columns[Column::Value.index()], &self.values);
        columns[Column::Attributes.index()] = self.attributes.finish(compressor);
        Some(Segment { first, last, events: self.ids.len(), text_bytes: self.text_bytes, columns })
    }
}
