//! Texts of hexadecimal digits in one shape, such as UUIDs and trace ids: half a byte a digit, and found by comparing
//! bytes.

use std::borrow::Cow;

use crate::bitmap::Bitmap;
use crate::bytes::{Corrupt, Input, put_block, put_counted};

/// The longest text that can have a shape: far above the 36 characters of a UUID.
const MAX_LENGTH: usize = 128;

/// With fewer digits other forms are smaller.
const MIN_DIGITS: usize = 8;

/// Where texts have digits, and what stands between these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// ASCII characters; a NUL stands for a digit.
    template: Vec<u8>,
}

impl Shape {
    /// The shape that all texts have, if there is one.
    pub(crate) fn of<'a>(mut texts: impl Iterator<Item = Option<&'a str>>) -> Option<Self> {
        let first = texts.next()??;
        if first.len() > MAX_LENGTH || !first.is_ascii() || first.contains('\0') {
            return None;
        }
        let template = first.bytes().map(|byte| if digit(byte).is_some() { 0 } else { byte }).collect();
        let shape = Self { template };
        let fits =
            shape.digits() >= MIN_DIGITS && texts.all(|text| text.is_some_and(|text| shape.fits(text)));
        fits.then_some(shape)
    }

    fn fits(&self, text: &str) -> bool {
        let fits =
            |(byte, wanted): (u8, &u8)| if *wanted == 0 { digit(byte).is_some() } else { byte == *wanted };
        text.len() == self.template.len() && text.bytes().zip(&self.template).all(fits)
    }

    fn digits(&self) -> usize {
        self.template.split(|byte| *byte == 0).count() - 1
    }

    /// The values of the digits of a text that fits.
    fn digits_of<'a>(&'a self, text: &'a str) -> impl Iterator<Item = u8> + 'a {
        let digits = text.bytes().zip(&self.template).filter(|(_, wanted)| **wanted == 0);
        digits.map(|(byte, _)| digit(byte).unwrap_or(0))
    }

    /// The bytes of a text, two digits each; the last one may have one digit.
    fn packed(&self, text: &str) -> Option<Vec<u8>> {
        if !self.fits(text) {
            return None;
        }
        let digits: Vec<_> = self.digits_of(text).collect();
        Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect())
    }

    /// Appends texts of this shape: all first bytes, then all second ones and so on, so that what texts have in
    /// common stands together.
    pub(crate) fn put<'a>(
        &self,
        out: &mut Vec<u8>,
        texts: impl ExactSizeIterator<Item = &'a str>,
        compressor: &mut zstd::bulk::Compressor<'static>,
    ) {
        let count = texts.len();
        let mut planes = vec![vec![0_u8; count]; self.digits().div_ceil(2)];
        for (index, text) in texts.enumerate() {
            let mut digits = self.digits_of(text);
            for plane in &mut planes {
                let (high, low) = (digits.next().unwrap_or(0), digits.next().unwrap_or(0));
                plane[index] = high << 4 | low;
            }
        }
        put_counted(out, &self.template);
        for plane in planes {
            put_block(out, &plane, compressor);
        }
    }
}

/// The value of a digit. Upper-case ones are not meant: the text must come back as it was.
#[inline]
fn digit(byte: u8) -> Option<u8> {
    /// By the byte; above 15 for one that is not a digit.
    const DIGITS: [u8; 256] = {
        let mut digits = [u8::MAX; 256];
        let mut value = 0;
        while value < 16 {
            digits[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        digits
    };
    Some(DIGITS[usize::from(byte)]).filter(|digit| *digit < 16)
}

/// Decoded texts of one shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HexTexts<'a> {
    shape: Shape,
    /// For each place its bytes of all events.
    planes: Vec<Cow<'a, [u8]>>,
    events: usize,
}

impl<'a> HexTexts<'a> {
    pub(crate) fn read(input: &mut Input<'a>, events: usize) -> Result<Self, Corrupt> {
        let template = input.counted()?.to_vec();
        if template.len() > MAX_LENGTH || !template.is_ascii() {
            return Err(Corrupt("the shape of texts is not one"));
        }
        let shape = Shape { template };
        let plane = |_| {
            input.block().and_then(|plane| {
                if plane.len() == events { Ok(plane) } else { Err(Corrupt("digits have another number")) }
            })
        };
        let planes = (0..shape.digits().div_ceil(2)).map(plane).collect::<Result<_, _>>()?;
        Ok(Self { shape, planes, events })
    }

    pub(crate) fn into_owned(self) -> HexTexts<'static> {
        let planes = self.planes.into_iter().map(|plane| Cow::Owned(plane.into_owned())).collect();
        HexTexts { shape: self.shape, planes, events: self.events }
    }

    pub(crate) fn get(&self, event: usize) -> String {
        let mut digits = self.planes.iter().flat_map(|plane| [plane[event] >> 4, plane[event] & 0xf]);
        let mut char = |byte: &u8| match byte {
            0 => digits.next().and_then(|digit| char::from_digit(digit.into(), 16)).unwrap_or('0'),
            byte => char::from(*byte),
        };
        self.shape.template.iter().map(&mut char).collect()
    }

    /// The events whose text is `wanted`.
    pub(crate) fn equal(&self, wanted: &str) -> Bitmap {
        let Some(packed) = self.shape.packed(wanted) else { return Bitmap::filled(self.events, false) };
        let is_wanted =
            |event: usize| self.planes.iter().zip(&packed).all(|(plane, byte)| plane[event] == *byte);
        Bitmap::from_fn(self.events, is_wanted)
    }
}
