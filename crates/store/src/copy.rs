//! PostgreSQL's binary COPY format. Rows are written directly into the buffers that are sent to the server.

use bytes::{BufMut, Bytes, BytesMut};
use flowmeter_core::asset::Number;
use flowmeter_core::timestamp::Timestamp;
use futures::SinkExt;
use tokio_postgres::CopyInSink;
use uuid::Uuid;

use crate::StoreError;

/// The size of a chunk: large enough that few messages are sent, small enough that the server parses one
/// chunk while the next one is written.
const CHUNK_BYTES: usize = 128 * 1024;

/// 2000-01-01, the epoch of PostgreSQL's timestamps.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

/// A running COPY.
pub(crate) struct BinaryCopy {
    sink: std::pin::Pin<Box<CopyInSink<Bytes>>>,
    buffer: BytesMut,
}

impl BinaryCopy {
    /// Begins with the header of the format.
    pub(crate) fn new(sink: CopyInSink<Bytes>) -> Self {
        let mut buffer = BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4);
        buffer.put_slice(b"PGCOPY\n\xff\r\n\0");
        buffer.put_i32(0); // flags
        buffer.put_i32(0); // header extension
        Self { sink: Box::pin(sink), buffer }
    }

    /// Begins a row. Each of its columns must then be written.
    pub(crate) fn row(&mut self, columns: i16) -> CopyRow<'_> {
        self.buffer.put_i16(columns);
        CopyRow { buffer: &mut self.buffer }
    }

    /// Sends the buffered rows if they fill a chunk. Must be called between rows.
    pub(crate) async fn flush_full(&mut self) -> Result<(), StoreError> {
        if self.buffer.len() >= CHUNK_BYTES {
            let chunk =
                std::mem::replace(&mut self.buffer, BytesMut::with_capacity(CHUNK_BYTES + CHUNK_BYTES / 4));
            self.sink.feed(chunk.freeze()).await?;
        }
        Ok(())
    }

    /// Sends the remaining rows, so that the server processes them while the caller does something else.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        self.buffer.put_i16(-1);
        let chunk = std::mem::take(&mut self.buffer);
        self.sink.send(chunk.freeze()).await?;
        Ok(())
    }

    /// Waits until the server has accepted every row. [`BinaryCopy::flush`] must be called before.
    pub(crate) async fn finish(mut self) -> Result<(), StoreError> {
        self.sink.as_mut().finish().await?;
        Ok(())
    }
}

/// One row. Its columns must be written in order.
pub(crate) struct CopyRow<'a> {
    buffer: &'a mut BytesMut,
}

impl CopyRow<'_> {
    pub(crate) fn null(&mut self) {
        self.buffer.put_i32(-1);
    }

    pub(crate) fn uuid(&mut self, uuid: Uuid) {
        self.buffer.put_i32(16);
        self.buffer.put_slice(uuid.as_bytes());
    }

    /// `text`. Empty text is written as NULL.
    pub(crate) fn text(&mut self, text: &str) {
        if text.is_empty() {
            return self.null();
        }
        self.bytes(text.as_bytes());
    }

    /// `bytea`.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.put_i32(i32::try_from(bytes.len()).expect("limits keep fields under 4 MiB"));
        self.buffer.put_slice(bytes);
    }

    pub(crate) fn smallint(&mut self, number: Option<i16>) {
        match number {
            Some(number) => {
                self.buffer.put_i32(2);
                self.buffer.put_i16(number);
            }
            None => self.null(),
        }
    }

    pub(crate) fn integer(&mut self, number: i32) {
        self.buffer.put_i32(4);
        self.buffer.put_i32(number);
    }

    pub(crate) fn bigint(&mut self, number: Option<i64>) {
        match number {
            Some(number) => {
                self.buffer.put_i32(8);
                self.buffer.put_i64(number);
            }
            None => self.null(),
        }
    }

    pub(crate) fn timestamp(&mut self, timestamp: Timestamp) {
        self.bigint(Some(timestamp.micros() - POSTGRES_EPOCH_MICROS));
    }

    pub(crate) fn boolean(&mut self, boolean: Option<bool>) {
        match boolean {
            Some(boolean) => {
                self.buffer.put_i32(1);
                self.buffer.put_u8(boolean.into());
            }
            None => self.null(),
        }
    }

    /// `numeric`.
    pub(crate) fn number(&mut self, number: Number) {
        let (digits, power) = number.digits_and_power();
        // The power of a group is a multiple of 4: 28 digits and 3 to pad the last group are 8 groups.
        let mut rest = digits.unsigned_abs() * 10_u128.pow(u32::from(power.rem_euclid(4).unsigned_abs()));
        let mut groups = [0_u16; 8];
        for group in groups.iter_mut().rev() {
            *group = (rest % 10_000) as u16;
            rest /= 10_000;
        }
        let scale = u16::try_from(-power).unwrap_or(0);
        self.numeric(&groups, power.div_euclid(4) + 7, digits < 0, scale);
    }

    /// `numeric`: digits in base 10,000, the power of 10,000 of the first digit (`weight`), and the number of decimal
    /// digits that are shown after the decimal point (`scale`).
    fn numeric(&mut self, groups: &[u16], weight: i16, negative: bool, scale: u16) {
        let first = groups.iter().position(|group| *group != 0).unwrap_or(groups.len());
        let last = groups.iter().rposition(|group| *group != 0).map_or(first, |last| last + 1);
        let digits = &groups[first..last];
        let count = i16::try_from(digits.len()).expect("there are few digits");
        self.buffer.put_i32(8 + 2 * i32::from(count));
        self.buffer.put_i16(count);
        self.buffer.put_i16(weight - i16::try_from(first).expect("there are few digits"));
        self.buffer.put_u16(if negative { 0x4000 } else { 0 });
        self.buffer.put_u16(scale);
        for digit in digits {
            self.buffer.put_u16(*digit);
        }
    }

    pub(crate) fn text_array(&mut self, texts: &[&str]) {
        const TEXT_OID: u32 = 25;
        let bytes: usize = texts.iter().map(|text| 4 + text.len()).sum();
        let header = if texts.is_empty() { 12 } else { 20 };
        self.buffer.put_i32(i32::try_from(header + bytes).expect("limits keep fields under 4 MiB"));
        self.buffer.put_i32(i32::from(!texts.is_empty())); // dimensions
        self.buffer.put_i32(0); // no nulls
        self.buffer.put_u32(TEXT_OID);
        if !texts.is_empty() {
            self.buffer.put_i32(i32::try_from(texts.len()).expect("there are few labels"));
            self.buffer.put_i32(1); // lower bound
        }
        for text in texts {
            self.bytes(text.as_bytes());
        }
    }
}
