//! Columns of text. A text can be absent, which is not the same as empty.

use std::borrow::Cow;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::bitmap::Bitmap;
use crate::bytes::{Corrupt, Input, put_block, put_counted, put_varint};
use crate::codes::{self, Codes};
use crate::hex::{HexTexts, Shape};
use crate::integers::{self, Kind};

/// All events have the same text.
const CONSTANT: u8 = 1;
/// Distinct texts, and a code for each event.
const DICTIONARY: u8 = 2;
/// One text after the other.
const PLAIN: u8 = 3;
/// Hexadecimal digits between characters that all texts share.
const HEX: u8 = 4;

/// After this many distinct texts, of which none has come twice, the writer takes them for ids, which never repeat.
const MANY_UNIQUE: usize = 512;
/// After this many distinct texts the writer looks whether they repeat often enough. Earlier it could not tell: of the
/// first 700 events of 1,000 users, 500 have a user of their own.
const MANY_DISTINCT: usize = 4_096;

/// Texts one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    bytes: String,
    ends: Vec<usize>,
}

impl Texts {
    pub(crate) fn push(&mut self, text: &str) {
        self.bytes.push_str(text);
        self.ends.push(self.bytes.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[index]]
    }

    /// The text of a code: none for 0, else the one whose index is one less.
    fn coded(&self, code: u32) -> Option<&str> {
        let index = (code as usize).checked_sub(1)?;
        (index < self.len()).then(|| self.get(index))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    fn read(input: &mut Input<'_>, lengths: impl Iterator<Item = usize>) -> Result<Self, Corrupt> {
        let bytes =
            String::from_utf8(input.block()?.into_owned()).map_err(|_| Corrupt("a text is not UTF-8"))?;
        let mut end = 0_usize;
        let ends = lengths.map(|length| {
            end = end.saturating_add(length);
            if bytes.is_char_boundary(end) { Ok(end) } else { Err(Corrupt("a text has another length")) }
        });
        let ends = ends.collect::<Result<Vec<_>, _>>()?;
        if end == bytes.len() { Ok(Self { bytes, ends }) } else { Err(Corrupt("a text has another length")) }
    }
}

/// Collects the texts of a column, one for each event.
#[derive(Debug, Default)]
pub(crate) struct TextWriter {
    /// The distinct texts in the order in which they came; all texts once `repeats` is false.
    values: Texts,
    /// The indexes of `values`.
    index: HashTable<u32>,
    /// For each event 0 where the text is absent, else its index in `values` plus 1.
    codes: Vec<u32>,
    /// The number of events that have a text.
    present: usize,
    /// Whether texts repeat too rarely for a dictionary.
    is_plain: bool,
}

impl TextWriter {
    /// The number of events so far.
    pub(crate) fn len(&self) -> usize {
        self.codes.len()
    }

    /// Adds the text of the next event.
    pub(crate) fn push(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.codes.push(0) };
        self.present += 1;
        // Neighbours often have the same text.
        if let Some(last) = self.codes.last().copied()
            && self.values.coded(last) == Some(text)
        {
            return self.codes.push(last);
        }
        let code = if self.is_plain { self.append(text) } else { self.intern(text) };
        self.codes.push(code);
        let distinct = self.values.len();
        self.is_plain |= distinct >= MANY_UNIQUE && distinct == self.present
            || distinct >= MANY_DISTINCT && distinct > self.present / 5 * 4;
    }

    /// Adds the texts of other columns: for each event the index of its column, and its position there.
    pub(crate) fn extend(&mut self, columns: &[&TextColumn<'_>], events: &[(u32, u32)]) {
        // What the code of a dictionary is here, once its text has come.
        let dictionary = |column: &&TextColumn<'_>| match column {
            TextColumn::Dictionary { values, .. } => vec![0; values.len() + 1],
            _ => Vec::new(),
        };
        let mut codes: Vec<Vec<u32>> = columns.iter().map(dictionary).collect();
        for (column, event) in events {
            let (index, event) = (*column as usize, *event as usize);
            match columns[index] {
                TextColumn::Dictionary { values, codes: theirs } => {
                    let their = theirs.get(event);
                    match codes[index].get_mut(their as usize) {
                        Some(code @ 1..) => {
                            self.present += 1;
                            self.codes.push(*code);
                        }
                        unknown => {
                            self.push(values.coded(their));
                            if let (Some(unknown), Some(code)) = (unknown, self.codes.last()) {
                                *unknown = *code;
                            }
                        }
                    }
                }
                other => self.push(other.get(event).as_deref()),
            }
        }
    }

    /// Lets the text be absent up to `events`.
    pub(crate) fn pad(&mut self, events: usize) {
        self.codes.resize(events, 0);
    }

    fn append(&mut self, text: &str) -> u32 {
        self.values.push(text);
        u32::try_from(self.values.len()).expect("a segment has fewer events")
    }

    fn intern(&mut self, text: &str) -> u32 {
        let hash = |text: &str| FixedState::default().hash_one(text);
        let Self { values, index, .. } = self;
        if let Some(known) = index.find(hash(text), |known| values.get(*known as usize) == text) {
            return known + 1;
        }
        let new = u32::try_from(values.len()).expect("a segment has fewer events");
        index.insert_unique(hash(text), new, |known| hash(values.get(*known as usize)));
        self.append(text)
    }

    /// The bytes of the column; none where all texts are absent.
    pub(crate) fn finish(self, compressor: &mut zstd::bulk::Compressor<'static>) -> Vec<u8> {
        let mut out = Vec::new();
        let Self { values, codes, .. } = self;
        if values.len() == 0 {
            return out;
        }
        if values.len() == 1 && codes.iter().all(|code| *code == 1) {
            out.push(CONSTANT);
            put_counted(&mut out, values.get(0).as_bytes());
        } else if values.len() > codes.len() / 2 {
            let texts = || codes.iter().map(|code| values.coded(*code));
            if let Some(shape) = Shape::of(texts()) {
                out.push(HEX);
                shape.put(&mut out, texts().map(Option::unwrap_or_default), compressor);
            } else {
                put_plain(&mut out, texts(), compressor);
            }
        } else {
            out.push(DICTIONARY);
            put_varint(&mut out, values.len() as u64);
            let lengths: Vec<_> = values.iter().map(|text| text.len() as u64).collect();
            integers::put(&mut out, &lengths, Kind::Amount);
            put_block(&mut out, values.bytes.as_bytes(), compressor);
            codes::put(&mut out, &codes, u32::try_from(values.len()).expect("a segment has fewer events"));
        }
        out
    }
}

fn put_plain<'a>(
    out: &mut Vec<u8>,
    texts: impl Iterator<Item = Option<&'a str>>,
    compressor: &mut zstd::bulk::Compressor<'static>,
) {
    let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
    for text in texts {
        lengths.push(text.map_or(0, |text| text.len() as u64 + 1));
        bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }
    out.push(PLAIN);
    integers::put(out, &lengths, Kind::Code);
    put_block(out, &bytes, compressor);
}

/// A decoded column of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextColumn<'a> {
    Absent,
    Constant(String),
    Dictionary {
        values: Texts,
        /// For each event 0 where the text is absent, else its index in `values` plus 1.
        codes: Codes<'a>,
    },
    Plain {
        texts: Texts,
        present: Bitmap,
    },
    Hex(HexTexts<'a>),
}

impl<'a> TextColumn<'a> {
    pub(crate) fn read(column: &'a [u8], events: usize) -> Result<Self, Corrupt> {
        let mut input = Input::new(column);
        if input.is_empty() {
            return Ok(Self::Absent);
        }
        let read = match input.byte()? {
            CONSTANT => {
                let text =
                    std::str::from_utf8(input.counted()?).map_err(|_| Corrupt("a text is not UTF-8"))?;
                Self::Constant(text.to_owned())
            }
            DICTIONARY => {
                let count = input.count(events)?;
                let lengths = integers::read_small(&mut input, count, u32::MAX)?;
                let values = Texts::read(&mut input, lengths.into_iter().map(|length| length as usize))?;
                let codes = Codes::read(&mut input, events, u32::try_from(count).unwrap_or(u32::MAX))?;
                Self::Dictionary { values, codes }
            }
            PLAIN => {
                let lengths = integers::read_small(&mut input, events, u32::MAX)?;
                let present = Bitmap::from_fn(events, |event| lengths[event] > 0);
                let lengths = lengths.into_iter().map(|length| length.saturating_sub(1) as usize);
                Self::Plain { texts: Texts::read(&mut input, lengths)?, present }
            }
            HEX => Self::Hex(HexTexts::read(&mut input, events)?),
            _ => return Err(Corrupt("texts have an unknown form")),
        };
        input.end()?;
        Ok(read)
    }

    /// The same column, independent of the bytes that it was read from.
    pub(crate) fn into_owned(self) -> TextColumn<'static> {
        match self {
            Self::Absent => TextColumn::Absent,
            Self::Constant(text) => TextColumn::Constant(text),
            Self::Dictionary { values, codes } => {
                TextColumn::Dictionary { values, codes: codes.into_owned() }
            }
            Self::Plain { texts, present } => TextColumn::Plain { texts, present },
            Self::Hex(texts) => TextColumn::Hex(texts.into_owned()),
        }
    }

    /// The text of an event.
    pub(crate) fn get(&self, event: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Absent => None,
            Self::Constant(text) => Some(Cow::Borrowed(text)),
            Self::Dictionary { values, codes } => values.coded(codes.get(event)).map(Cow::Borrowed),
            Self::Plain { texts, present } => {
                present.contains(event).then(|| Cow::Borrowed(texts.get(event)))
            }
            Self::Hex(texts) => Some(Cow::Owned(texts.get(event))),
        }
    }

    /// The events whose text satisfies `holds`. An absent text counts as empty. Each distinct text of a
    /// dictionary is looked at once.
    pub(crate) fn matching(&self, events: usize, mut holds: impl FnMut(&str) -> bool) -> Bitmap {
        match self {
            Self::Absent => Bitmap::filled(events, holds("")),
            Self::Constant(text) => Bitmap::filled(events, holds(text)),
            Self::Dictionary { values, codes } => {
                let by_code: Vec<_> = std::iter::once("").chain(values.iter()).map(holds).collect();
                if by_code.iter().all(|holds| *holds == by_code[0]) {
                    return Bitmap::filled(events, by_code[0]);
                }
                codes.matching(events, &by_code)
            }
            Self::Plain { texts, .. } => Bitmap::from_fn(events, |event| holds(texts.get(event))),
            Self::Hex(texts) => Bitmap::from_fn(events, |event| holds(&texts.get(event))),
        }
    }

    /// The events whose text is `wanted`, which is quicker than [`matching`](Self::matching). An absent text counts
    /// as empty.
    pub(crate) fn equal(&self, events: usize, wanted: &str) -> Bitmap {
        match self {
            Self::Hex(texts) => texts.equal(wanted),
            other => other.matching(events, |text| text == wanted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(texts: &[Option<String>]) -> Vec<u8> {
        let mut writer = TextWriter::default();
        for text in texts {
            writer.push(text.as_deref());
        }
        writer.finish(&mut crate::bytes::compressor())
    }

    fn columns() -> impl Strategy<Value = Vec<Option<String>>> {
        let column = |text: BoxedStrategy<Option<String>>| proptest::collection::vec(text, 1..200);
        prop_oneof![
            column(proptest::option::of("\\PC{0,20}").boxed()),
            column(proptest::option::of("[ab]{0,2}").boxed()),
            column("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}".prop_map(Some).boxed()),
            ("[a-c]{0,3}", 1_usize..200).prop_map(|(text, count)| vec![Some(text); count]),
            (1_usize..200).prop_map(|count| vec![None; count]),
        ]
    }

    proptest! {
        #[test]
        fn texts_are_read_as_written(texts in columns(), wanted: prop::sample::Index) {
            let bytes = written(&texts);
            let column = TextColumn::read(&bytes, texts.len()).unwrap();
            let read: Vec<_> = (0..texts.len()).map(|event| column.get(event).map(Cow::into_owned)).collect();
            prop_assert_eq!(&read, &texts);
            let text = |event: usize| texts[event].as_deref().unwrap_or_default();
            for wanted in [text(wanted.index(texts.len())), "", "deadbeef-0000-4000"] {
                let expected = Bitmap::from_fn(texts.len(), |event| text(event) == wanted);
                prop_assert_eq!(&column.equal(texts.len(), wanted), &expected);
                prop_assert_eq!(&column.matching(texts.len(), |text| text == wanted), &expected);
            }
        }

        #[test]
        fn damaged_texts_never_panic(texts in columns(), at: prop::sample::Index, flip in 1_u8.., events in 0_usize..300) {
            let mut bytes = written(&texts);
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
                let events = if flip % 2 == 0 { events } else { texts.len() };
                if let Ok(column) = TextColumn::read(&bytes, events) {
                    (0..events).for_each(|event| drop(column.get(event)));
                }
                let _ = TextColumn::read(&bytes[..at], events);
            }
        }
    }

    #[test]
    fn many_texts_that_hardly_repeat_take_little_more_than_their_bytes() {
        let texts: Vec<_> = (0..5_000).map(|number| Some(format!("user {}", number * 7_919))).collect();
        let bytes = written(&texts);
        let column = TextColumn::read(&bytes, texts.len()).unwrap();
        assert!(matches!(column, TextColumn::Plain { .. }));
        assert_eq!(column.get(4_999).as_deref(), texts[4_999].as_deref());
    }

    #[test]
    fn texts_that_repeat_are_a_dictionary_even_if_the_first_ones_do_not() {
        let texts: Vec<_> = (0..20_000_u64)
            .map(|number| Some(format!("user {}", FixedState::with_seed(7).hash_one(number) % 1_000)))
            .collect();
        let bytes = written(&texts);
        assert!(matches!(TextColumn::read(&bytes, texts.len()), Ok(TextColumn::Dictionary { .. })));
        assert!(bytes.len() < 20_000 * 11 / 8 + 5_000, "{}", bytes.len());
    }

    #[test]
    fn random_ids_take_half_a_byte_a_digit() {
        let digest = |number: u64| FixedState::with_seed(7).hash_one(number);
        let texts: Vec<_> = (0..4_000)
            .map(|number| Some(format!("{:016x}-{:016x}", digest(number), digest(!number))))
            .collect();
        let bytes = written(&texts);
        assert!(bytes.len() < 4_000 * 16 + 200, "{}", bytes.len());
    }
}
