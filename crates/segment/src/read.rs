//! Reading a segment: its ids, and events as they were written.

use std::cell::OnceCell;

use flowmeter_core::ids::EventId;
use flowmeter_core::quantity::Quantity;
use flowmeter_core::timestamp::Timestamp;
use flowmeter_core::usage::{Field, TextField, UsageEvent};

use crate::MAX_EVENTS;
use crate::attributes::{AllAttributes, Attributes};
use crate::bytes::Corrupt;
use crate::column::Column;
use crate::numbers::{self, Measured, Numbers};
use crate::text::TextColumn;

/// A segment whose columns are decoded as they are needed, each once.
#[derive(Debug)]
pub struct SegmentReader<'a> {
    events: usize,
    columns: [Option<&'a [u8]>; Column::COUNT],
    times: OnceCell<Vec<Timestamp>>,
    distinct: OnceCell<Vec<u64>>,
    texts: [OnceCell<TextColumn<'a>>; TextField::ALL.len()],
    attributes: OnceCell<AllAttributes<'a>>,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The id, which carries the timestamp.
    pub id: EventId,
    /// The fields of text by [`TextField`]; empty where absent.
    pub texts: [String; TextField::ALL.len()],
    /// The HTTP status code.
    pub http_status: Option<i32>,
    /// The execution time in milliseconds.
    pub duration_ms: Option<i64>,
    /// The size of the response in bytes.
    pub response_bytes: Option<i64>,
    /// The value.
    pub value: Option<Quantity>,
    /// Further attributes by ascending name.
    pub attributes: Vec<(String, String)>,
}

impl Event {
    /// The event as it was reported, except for the name that its sender gave it.
    #[must_use]
    pub fn borrowed(&self) -> UsageEvent<'_> {
        UsageEvent {
            event_id: "",
            timestamp: Some(self.id.timestamp()),
            texts: std::array::from_fn(|index| self.texts[index].as_str()),
            http_status: self.http_status,
            duration_ms: self.duration_ms,
            response_bytes: self.response_bytes,
            value: self.value,
            attributes: self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}

/// The ids of a segment, ascending.
#[derive(Debug, Clone, Copy)]
pub struct Ids<'a> {
    times: &'a [Timestamp],
    distinct: &'a [u64],
}

impl Ids<'_> {
    /// The id of an event. None if the segment has fewer events.
    #[must_use]
    pub fn get(self, event: usize) -> Option<EventId> {
        Some(EventId::from_parts(*self.times.get(event)?, *self.distinct.get(event)?))
    }

    /// All ids.
    pub fn iter(self) -> impl Iterator<Item = EventId> {
        let pairs = self.times.iter().zip(self.distinct);
        pairs.map(|(time, distinct)| EventId::from_parts(*time, *distinct))
    }

    /// The number of ids that are less.
    #[must_use]
    pub fn count_before(self, id: EventId) -> usize {
        let time = id.timestamp();
        let (mut low, mut high) = (self.times.partition_point(|other| *other < time), self.times.len());
        // Few events have the same time.
        high = low + self.times[low..high].partition_point(|other| *other == time);
        while low < high && EventId::from_parts(time, self.distinct[low]) < id {
            low += 1;
        }
        low
    }
}

/// The value of a cell, which is made when it is first needed.
fn once<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T, Corrupt>) -> Result<&T, Corrupt> {
    if let Some(value) = cell.get() {
        return Ok(value);
    }
    let value = make()?;
    Ok(cell.get_or_init(|| value))
}

impl<'a> SegmentReader<'a> {
    /// A segment of so many events, whose columns are added by [`with`](Self::with).
    pub fn new(events: usize) -> Result<Self, Corrupt> {
        if events > MAX_EVENTS {
            return Err(Corrupt("it has too many events"));
        }
        Ok(Self {
            events,
            columns: [None; Column::COUNT],
            times: OnceCell::new(),
            distinct: OnceCell::new(),
            texts: [const { OnceCell::new() }; TextField::ALL.len()],
            attributes: OnceCell::new(),
        })
    }

    /// The same segment with the bytes of a column.
    #[must_use]
    pub fn with(mut self, column: Column, bytes: &'a [u8]) -> Self {
        self.columns[column.index()] = Some(bytes);
        self
    }

    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events
    }

    /// The times of the events.
    pub fn times(&self) -> Result<&[Timestamp], Corrupt> {
        let read = || crate::ids::read_times(self.bytes(Column::Times)?, self.events);
        once(&self.times, read).map(Vec::as_slice)
    }

    /// The ids of the events.
    pub fn ids(&self) -> Result<Ids<'_>, Corrupt> {
        let read = || crate::ids::read_distinct(self.bytes(Column::Ids)?, self.events);
        Ok(Ids { times: self.times()?, distinct: once(&self.distinct, read)? })
    }

    /// A field of text.
    pub(crate) fn text(&self, field: TextField) -> Result<&TextColumn<'a>, Corrupt> {
        let read = || TextColumn::read(self.bytes(Column::Text(field))?, self.events);
        once(&self.texts[field as usize], read)
    }

    /// The values of an attribute.
    pub(crate) fn attribute(&self, name: &str) -> Result<TextColumn<'a>, Corrupt> {
        Attributes::read(self.bytes(Column::Attributes)?, self.events)?.named(name)
    }

    /// A field of whole numbers.
    pub(crate) fn whole(&self, field: &Field) -> Result<Numbers<i64>, Corrupt> {
        numbers::read_whole(self.bytes(Column::of(field))?, self.events)
    }

    /// The numbers of a field, if it is a field of numbers; otherwise no event has any.
    pub fn measured(&self, field: &Field) -> Result<Measured, Corrupt> {
        match field {
            Field::Value => self.values().map(Measured::Decimal),
            Field::HttpStatus | Field::Duration | Field::ResponseSize => {
                self.whole(field).map(Measured::Whole)
            }
            Field::Text(_) | Field::Attribute(_) => {
                numbers::read_whole(&[], self.events).map(Measured::Whole)
            }
        }
    }

    /// The values.
    pub(crate) fn values(&self) -> Result<Numbers<Quantity>, Corrupt> {
        numbers::read_decimals(self.bytes(Column::Value)?, self.events)
    }

    /// The events at some positions, which needs every column.
    pub fn rows(&self, positions: impl IntoIterator<Item = usize>) -> Result<Vec<Event>, Corrupt> {
        let ids = self.ids()?;
        let mut texts = Vec::with_capacity(TextField::ALL.len());
        for field in TextField::ALL {
            texts.push(self.text(field)?);
        }
        let statuses = self.whole(&Field::HttpStatus)?;
        let durations = self.whole(&Field::Duration)?;
        let sizes = self.whole(&Field::ResponseSize)?;
        let values = self.values()?;
        let attributes = self.all_attributes()?;
        let row = |event: usize| {
            let id = ids.get(event).ok_or(Corrupt("there is no event at this position"))?;
            let text = |index: usize| texts[index].get(event).unwrap_or_default().into_owned();
            let http_status = statuses.get(event).map(i32::try_from).transpose();
            Ok(Event {
                id,
                texts: std::array::from_fn(text),
                http_status: http_status.map_err(|_| Corrupt("a status is too large"))?,
                duration_ms: durations.get(event),
                response_bytes: sizes.get(event),
                value: values.get(event),
                attributes: attributes.of(event),
            })
        };
        positions.into_iter().map(row).collect()
    }

    pub(crate) fn all_attributes(&self) -> Result<&AllAttributes<'a>, Corrupt> {
        once(&self.attributes, || Attributes::read(self.bytes(Column::Attributes)?, self.events)?.all())
    }

    fn bytes(&self, column: Column) -> Result<&'a [u8], Corrupt> {
        self.columns[column.index()].ok_or(Corrupt("a column that is needed was not given"))
    }
}
