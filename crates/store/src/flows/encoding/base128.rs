//! Non-negative numbers in base 128: the lower digits come first, and every byte except the last has its eighth bit
//! set.

/// Appends a non-negative number.
pub(super) fn write(number: i64, bytes: &mut Vec<u8>) {
    let mut rest = number.unsigned_abs();
    while rest >= 0x80 {
        bytes.push(0x80 | low_byte(rest));
        rest >>= 7;
    }
    bytes.push(low_byte(rest));
}

/// Takes a number from the front. None if the bytes do not begin with an output of [`write`].
#[inline]
pub(super) fn read(bytes: &mut &[u8]) -> Option<i64> {
    let mut byte = take(bytes)?;
    let mut number = i64::from(byte & 0x7f);
    let mut shift = 7;
    while byte & 0x80 != 0 {
        byte = take(bytes)?;
        // 63 bits are at most 9 digits, and the highest digit is not 0.
        if shift == 63 || byte == 0 {
            return None;
        }
        number |= i64::from(byte & 0x7f) << shift;
        shift += 7;
    }
    Some(number)
}

/// Takes a byte from the front.
#[inline]
pub(super) fn take(bytes: &mut &[u8]) -> Option<u8> {
    let (byte, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(*byte)
}

fn low_byte(number: u64) -> u8 {
    number.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_bytes_are_rejected() {
        for malformed in [&[][..], &[0x80], &[0xff; 9], &[0xff; 10], &[0x80, 0]] {
            assert_eq!(read(&mut &*malformed), None, "{malformed:?}");
        }
    }

    proptest! {
        #[test]
        fn written_numbers_are_read_again(numbers in prop::collection::vec((0..=i64::MAX, 0..63), 0..9)) {
            // The shift makes every length equally likely.
            let numbers: Vec<_> = numbers.into_iter().map(|(number, shift)| number >> shift).collect();
            let mut bytes = Vec::new();
            for number in &numbers {
                write(*number, &mut bytes);
            }
            let mut rest = &*bytes;
            for number in numbers {
                prop_assert_eq!(read(&mut rest), Some(number));
            }
            prop_assert!(rest.is_empty());
        }
    }
}
