//! Merges segments into one.

use flowmeter_core::usage::{Field, TextField};

use crate::attributes::AttributesWriter;
use crate::bytes::{self, Corrupt};
use crate::column::Column;
use crate::read::SegmentReader;
use crate::text::TextWriter;
use crate::write::Segment;
use crate::{MAX_EVENTS, ids, numbers};

/// Merges segments, of which every column was given, into one in the order of ids. `text_bytes` is the sum of theirs.
/// None if they have no events. It goes column by column, so it takes little memory beyond the result.
pub fn merge(segments: &[SegmentReader<'_>], text_bytes: usize) -> Result<Option<Segment>, Corrupt> {
    if segments.iter().map(SegmentReader::events).sum::<usize>() > MAX_EVENTS {
        return Err(Corrupt("it would have too many events"));
    }
    let mut events = Vec::new();
    for (index, segment) in (0..).zip(segments) {
        events.extend(segment.ids()?.iter().zip(0..).map(|(id, event)| (id, (index, event))));
    }
    // Stable and nearly linear: what was sorted already stays in runs.
    events.sort_by_key(|(id, _)| *id);
    let (ids, events): (Vec<_>, Vec<(u32, u32)>) = events.into_iter().unzip();
    let (Some(first), Some(last)) = (ids.first().copied(), ids.last().copied()) else { return Ok(None) };

    let compressor = &mut bytes::compressor();
    let mut columns = [const { Vec::new() }; Column::COUNT];
    ids::put_times(&mut columns[Column::Times.index()], &ids);
    ids::put_distinct(&mut columns[Column::Ids.index()], &ids);
    for field in TextField::ALL {
        let texts = segments.iter().map(|segment| segment.text(field));
        let texts = texts.collect::<Result<Vec<_>, _>>()?;
        let mut writer = TextWriter::default();
        writer.extend(&texts, &events);
        columns[Column::Text(field).index()] = writer.finish(compressor);
    }
    for field in [Field::HttpStatus, Field::Duration, Field::ResponseSize] {
        let all = segments.iter().map(|segment| segment.whole(&field)).collect::<Result<Vec<_>, _>>()?;
        let number = |(segment, event): &(u32, u32)| all[*segment as usize].get(*event as usize);
        let merged: Vec<_> = events.iter().map(number).collect();
        numbers::put_whole(&mut columns[Column::of(&field).index()], &merged);
    }
    let all = segments.iter().map(SegmentReader::values).collect::<Result<Vec<_>, _>>()?;
    let value = |(segment, event): &(u32, u32)| all[*segment as usize].get(*event as usize);
    numbers::put_decimals(&mut columns[Column::Value.index()], &events.iter().map(value).collect::<Vec<_>>());
    columns[Column::Attributes.index()] = merged_attributes(segments, &events, compressor)?;
    Ok(Some(Segment { first, last, events: ids.len(), text_bytes, columns }))
}

fn merged_attributes(
    segments: &[SegmentReader<'_>],
    events: &[(u32, u32)],
    compressor: &mut zstd::bulk::Compressor<'static>,
) -> Result<Vec<u8>, Corrupt> {
    let all = segments.iter().map(SegmentReader::all_attributes).collect::<Result<Vec<_>, _>>()?;
    if all.iter().all(|attributes| attributes.are_absent()) {
        return Ok(Vec::new());
    }
    let mut writer = AttributesWriter::default();
    for (segment, event) in events {
        let attributes = all[*segment as usize].of(*event as usize);
        writer.push(attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    Ok(writer.finish(compressor))
}
