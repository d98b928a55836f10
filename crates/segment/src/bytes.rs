//! The bytes of a column: variable-length integers, counted slices and compressed blocks.

use std::borrow::Cow;
use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

/// A column whose bytes are not what a [`SegmentWriter`](crate::SegmentWriter) of this or an earlier version wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the segment is corrupt: {0}")]
pub struct Corrupt(pub(crate) &'static str);

impl Corrupt {
    /// A number that is not one of its field.
    pub const NUMBER: Self = Self("a number does not fit its field");
}

/// The level at which zstd compresses. Higher ones gain little on blocks that a dictionary has thinned out.
const LEVEL: i32 = 1;

/// The most bytes that a compressed block can have when it is decompressed: a bound on memory.
const MAX_BLOCK_BYTES: usize = 1 << 27;

/// Blocks shorter than this are stored as they are: the frame would take what compression gains.
const MIN_COMPRESSED_BYTES: usize = 32;

thread_local! {
    /// Making one takes as long as decompressing a small block.
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Appends an integer, seven bits to a byte, the lowest first.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends bytes with their number before them.
pub(crate) fn put_counted(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a block that is compressed where that makes it smaller.
pub(crate) fn put_block(out: &mut Vec<u8>, block: &[u8], compressor: &mut Compressor<'static>) {
    put_varint(out, block.len() as u64);
    if block.len() >= MIN_COMPRESSED_BYTES
        && let Ok(compressed) = compressor.compress(block)
        && compressed.len() < block.len()
    {
        return put_counted(out, &compressed);
    }
    put_counted(out, block);
}

/// A compressor of blocks.
pub(crate) fn compressor() -> Compressor<'static> {
    Compressor::new(LEVEL).expect("the level is one of zstd's")
}

/// What is left of a column while it is decoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Corrupt> {
        let (first, rest) = self.0.split_first().ok_or(Corrupt("it ends too early"))?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Corrupt("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt("an integer is too long"))
    }

    /// A number of things, of which there are at most `limit`.
    pub(crate) fn count(&mut self, limit: usize) -> Result<usize, Corrupt> {
        let count = usize::try_from(self.varint()?).ok().filter(|count| *count <= limit);
        count.ok_or(Corrupt("a number is too large"))
    }

    pub(crate) fn counted(&mut self) -> Result<&'a [u8], Corrupt> {
        let count = self.count(self.0.len())?;
        self.take(count)
    }

    /// A block, decompressed if it is compressed.
    pub(crate) fn block(&mut self) -> Result<Cow<'a, [u8]>, Corrupt> {
        let bytes = self.count(MAX_BLOCK_BYTES)?;
        let stored = self.counted()?;
        if stored.len() == bytes {
            return Ok(Cow::Borrowed(stored));
        }
        let block = DECOMPRESSOR.with_borrow_mut(|decompressor| {
            if decompressor.is_none() {
                *decompressor = Decompressor::new().ok();
            }
            decompressor.as_mut().and_then(|decompressor| decompressor.decompress(stored, bytes).ok())
        });
        let block = block.ok_or(Corrupt("a block cannot be decompressed"))?;
        if block.len() == bytes { Ok(Cow::Owned(block)) } else { Err(Corrupt("a block has another length")) }
    }

    /// Nothing may be left.
    pub(crate) const fn end(self) -> Result<(), Corrupt> {
        if self.0.is_empty() { Ok(()) } else { Err(Corrupt("bytes are left over")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_and_blocks_are_read_as_written(value: u64, block: Vec<u8>, repeated in 0_usize..4) {
            let block = block.repeat(repeated);
            let mut out = Vec::new();
            put_varint(&mut out, value);
            put_block(&mut out, &block, &mut compressor());
            let mut input = Input::new(&out);
            prop_assert_eq!(input.varint(), Ok(value));
            prop_assert_eq!(input.block(), Ok(Cow::Owned(block)));
            prop_assert!(input.end().is_ok());
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Input::new(&bytes).varint();
            let _ = Input::new(&bytes).block();
        }
    }

    #[test]
    fn a_block_cannot_claim_more_than_its_limit() {
        let mut out = Vec::new();
        put_varint(&mut out, u64::MAX);
        put_counted(&mut out, b"x");
        assert!(Input::new(&out).block().is_err());
    }
}
