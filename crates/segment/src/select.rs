//! Evaluates conditions on the columns of a segment.

use flowmeter_core::filter::{Condition, Filter, Operator, Value};
use flowmeter_core::quantity::Quantity;
use flowmeter_core::usage::{Field, TextField};

use crate::bitmap::Bitmap;
use crate::bytes::Corrupt;
use crate::read::SegmentReader;
use crate::text::TextColumn;

/// The events that satisfy a filter. It needs the columns of the filter's fields.
pub fn select(filter: &Filter, segment: &SegmentReader<'_>) -> Result<Bitmap, Corrupt> {
    satisfying(filter.condition(), segment)
}

/// The events in which each of the words occurs in some text or attribute, with A to Z in lower case. It needs all
/// columns of text.
pub fn search(words: &[String], segment: &SegmentReader<'_>) -> Result<Bitmap, Corrupt> {
    let events = segment.events();
    let mut all = Bitmap::filled(events, true);
    for word in words {
        let holds = |text: &str| text.to_ascii_lowercase().contains(word.as_str());
        let mut any = Bitmap::filled(events, false);
        for field in TextField::ALL {
            any.unite(&segment.text(field)?.matching(events, holds));
        }
        for column in segment.all_attributes()?.values_matching(events, holds) {
            any.unite(&column);
        }
        all.intersect(&any);
    }
    Ok(all)
}

/// The events whose text in a field satisfies `holds`. An absent text counts as empty. Each distinct text of a
/// dictionary is looked at once.
pub fn matching(
    field: TextField,
    segment: &SegmentReader<'_>,
    holds: impl FnMut(&str) -> bool,
) -> Result<Bitmap, Corrupt> {
    Ok(segment.text(field)?.matching(segment.events(), holds))
}

fn satisfying(condition: &Condition, segment: &SegmentReader<'_>) -> Result<Bitmap, Corrupt> {
    let events = segment.events();
    match condition {
        Condition::All(parts) => {
            let mut all = Bitmap::filled(events, true);
            for part in parts {
                if all.is_empty() {
                    break;
                }
                all.intersect(&satisfying(part, segment)?);
            }
            Ok(all)
        }
        Condition::Any(parts) => {
            let mut any = Bitmap::filled(events, false);
            for part in parts {
                any.unite(&satisfying(part, segment)?);
            }
            Ok(any)
        }
        Condition::Not(inner) => {
            let mut bitmap = satisfying(inner, segment)?;
            bitmap.negate();
            Ok(bitmap)
        }
        leaf => {
            let Some(field) = leaf.field() else { return Ok(Bitmap::filled(events, true)) };
            match field {
                Field::Text(text) => Ok(text_leaf(leaf, segment.text(*text)?, events)),
                Field::Attribute(name) => Ok(text_leaf(leaf, &segment.attribute(name)?, events)),
                Field::Value => {
                    Ok(segment.values()?.matching(events, |number| leaf.holds_for_number(number)))
                }
                Field::HttpStatus | Field::Duration | Field::ResponseSize => {
                    let holds = |number: Option<i64>| leaf.holds_for_number(number.map(Quantity::from));
                    Ok(segment.whole(field)?.matching(events, holds))
                }
            }
        }
    }
}

fn text_leaf(leaf: &Condition, column: &TextColumn<'_>, events: usize) -> Bitmap {
    match leaf {
        Condition::Compare { operator: Operator::Equal, value: Value::Text(wanted), .. } => {
            column.equal(events, wanted)
        }
        _ => column.matching(events, |text| leaf.holds_for_text(text)),
    }
}
