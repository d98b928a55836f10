//! Lists of unsigned integers: dictionary codes, lengths, deltas of time.

use pco::data_types::Number;
use pco::standalone::{simple_compress_into, simple_decompress_into};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use crate::bytes::{Corrupt, Input, put_counted, put_varint};

/// What integers stand for, which decides what the compressor looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Each is a name for something: only how often it occurs matters.
    Code,
    /// They count or measure: they may have a common factor, such as times that are all whole milliseconds.
    Amount,
}

/// The same integer throughout.
const CONSTANT: u8 = 0;
/// Each by itself, seven bits to a byte.
const VARINTS: u8 = 1;
/// Compressed as 32-bit integers.
const NARROW: u8 = 2;
/// Compressed as 64-bit integers.
const WIDE: u8 = 3;

/// Lists shorter than this are not compressed: the header would take what is gained.
const MIN_COMPRESSED: usize = 48;

/// pco's default is 8; 4 measured twice as fast at 1 % more bytes.
const LEVEL: usize = 4;

/// Appends integers, of which there is at least one. Their number is for the reader to know.
pub(crate) fn put(out: &mut Vec<u8>, values: &[u64], kind: Kind) {
    let Some((first, rest)) = values.split_first() else { return };
    if rest.iter().all(|value| value == first) {
        out.push(CONSTANT);
        return put_varint(out, *first);
    }
    if values.len() >= MIN_COMPRESSED {
        let narrow: Option<Vec<u32>> = values.iter().map(|value| u32::try_from(*value).ok()).collect();
        let (form, compressed) = match narrow {
            Some(narrow) => (NARROW, compressed(&narrow, kind)),
            None => (WIDE, compressed(values, kind)),
        };
        if let Some(compressed) = compressed {
            out.push(form);
            return put_counted(out, &compressed);
        }
    }
    out.push(VARINTS);
    for value in values {
        put_varint(out, *value);
    }
}

fn compressed<T: Number>(values: &[T], kind: Kind) -> Option<Vec<u8>> {
    let mode = match kind {
        Kind::Code => ModeSpec::Classic,
        Kind::Amount => ModeSpec::Auto,
    };
    let config = ChunkConfig::default()
        .with_compression_level(LEVEL)
        .with_mode_spec(mode)
        .with_delta_spec(DeltaSpec::NoOp);
    simple_compress_into(values, &config, Vec::new()).ok()
}

/// Reads `count` integers.
pub(crate) fn read(input: &mut Input<'_>, count: usize) -> Result<Vec<u64>, Corrupt> {
    if count == 0 {
        return Ok(Vec::new());
    }
    match input.byte()? {
        CONSTANT => Ok(vec![input.varint()?; count]),
        VARINTS => (0..count).map(|_| input.varint()).collect(),
        NARROW => Ok(decompressed::<u32>(input, count)?.into_iter().map(u64::from).collect()),
        WIDE => decompressed(input, count),
        _ => Err(Corrupt("integers have an unknown form")),
    }
}

/// Reads `count` integers, none of which may be above `max`.
pub(crate) fn read_small(input: &mut Input<'_>, count: usize, max: u32) -> Result<Vec<u32>, Corrupt> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let small = |value: u64| u32::try_from(value).map_err(|_| Corrupt("an integer is too large"));
    let values = match input.byte()? {
        CONSTANT => vec![small(input.varint()?)?; count],
        VARINTS => (0..count).map(|_| small(input.varint()?)).collect::<Result<_, _>>()?,
        NARROW => decompressed::<u32>(input, count)?,
        _ => return Err(Corrupt("integers have an unknown form")),
    };
    if values.iter().all(|value| *value <= max) {
        Ok(values)
    } else {
        Err(Corrupt("an integer is too large"))
    }
}

fn decompressed<T: Number + Default>(input: &mut Input<'_>, count: usize) -> Result<Vec<T>, Corrupt> {
    let compressed = input.counted()?;
    let mut values = vec![T::default(); count];
    let progress = simple_decompress_into(compressed, &mut values)
        .map_err(|_| Corrupt("integers cannot be decompressed"))?;
    if progress.n_processed == count && progress.finished {
        Ok(values)
    } else {
        Err(Corrupt("integers have another number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lists() -> impl Strategy<Value = Vec<u64>> {
        prop_oneof![
            proptest::collection::vec(any::<u64>(), 1..200),
            proptest::collection::vec(0_u64..20, 1..200),
            (any::<u64>(), 1_usize..200).prop_map(|(value, count)| vec![value; count]),
            proptest::collection::vec(0_u64..1_000, 1..200).prop_map(|steps| steps
                .iter()
                .scan(1 << 50, |sum, step| {
                    *sum += step;
                    Some(*sum)
                })
                .collect()),
        ]
    }

    proptest! {
        #[test]
        fn integers_are_read_as_written(values in lists(), code: bool) {
            let mut out = Vec::new();
            put(&mut out, &values, if code { Kind::Code } else { Kind::Amount });
            let mut input = Input::new(&out);
            prop_assert_eq!(read(&mut input, values.len()), Ok(values.clone()));
            prop_assert!(input.end().is_ok());
            let small: Option<Vec<u32>> = values.iter().map(|value| u32::try_from(*value).ok()).collect();
            prop_assert_eq!(read_small(&mut Input::new(&out), values.len(), u32::MAX).ok(), small);
        }

        #[test]
        fn damaged_integers_never_panic(values in lists(), at: prop::sample::Index, flip in 1_u8.., count in 0_usize..300) {
            let mut out = Vec::new();
            put(&mut out, &values, Kind::Code);
            let at = at.index(out.len());
            out[at] ^= flip;
            let _ = read(&mut Input::new(&out), count);
            let _ = read(&mut Input::new(&out[..at]), count);
        }
    }
}
