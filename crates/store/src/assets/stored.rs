//! Values as they are read from the database.

use flowmeter_core::asset::{Number, Value};
use tokio_postgres::Row;

use crate::StoreError;

/// The list of columns that [`StoredValue::read`] reads.
pub(super) const COLUMNS: &str = "\"boolean\", trim_scale(\"number\")::text, \"text\"";

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoredValue {
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
    /// true or false.
    Boolean(bool),
}

impl StoredValue {
    /// Reads [`COLUMNS`], beginning at the index `first`.
    pub(super) fn read(row: &Row, first: usize) -> Result<Self, StoreError> {
        if let Some(boolean) = row.get(first) {
            return Ok(Self::Boolean(boolean));
        }
        if let Some(number) = row.get::<_, Option<&str>>(first + 1) {
            let number = number.parse().map_err(|error| {
                StoreError::Refused(format!("an asset has the unreadable number {number}: {error}"))
            })?;
            return Ok(Self::Number(number));
        }
        let text: Option<String> = row.get(first + 2);
        text.map(Self::Text).ok_or_else(|| StoreError::Refused("a metric of an asset has no value".into()))
    }

    /// The value as the domain represents it.
    #[must_use]
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Text(text) => Value::Text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Boolean(boolean) => Value::Boolean(*boolean),
        }
    }
}
