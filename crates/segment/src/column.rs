//! The columns of a segment.

use flowmeter_core::usage::{Field, TextField};

/// One column of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// The times of the events, ascending.
    Times,
    /// What tells apart events of one time. Together with the times these are the ids.
    Ids,
    /// A field of text.
    Text(TextField),
    /// The HTTP status codes.
    HttpStatus,
    /// The durations in milliseconds.
    Duration,
    /// The sizes of the responses in bytes.
    ResponseSize,
    /// The values, which are exact decimals.
    Value,
    /// The attributes, all names together.
    Attributes,
}

impl Column {
    /// The number of columns.
    pub const COUNT: usize = 7 + TextField::ALL.len();

    /// Every column, each at its [`index`](Self::index).
    pub const ALL: [Self; Self::COUNT] = {
        let mut all = [Self::Times; Self::COUNT];
        all[Self::Ids.index()] = Self::Ids;
        let mut text = 0;
        while text < TextField::ALL.len() {
            all[2 + text] = Self::Text(TextField::ALL[text]);
            text += 1;
        }
        all[2 + text] = Self::HttpStatus;
        all[3 + text] = Self::Duration;
        all[4 + text] = Self::ResponseSize;
        all[5 + text] = Self::Value;
        all[6 + text] = Self::Attributes;
        all
    };

    /// The column that holds a field.
    #[must_use]
    pub const fn of(field: &Field) -> Self {
        match field {
            Field::Text(text) => Self::Text(*text),
            Field::HttpStatus => Self::HttpStatus,
            Field::Duration => Self::Duration,
            Field::ResponseSize => Self::ResponseSize,
            Field::Value => Self::Value,
            Field::Attribute(_) => Self::Attributes,
        }
    }

    /// The place of the column among [`ALL`](Self::ALL).
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Times => 0,
            Self::Ids => 1,
            Self::Text(text) => 2 + text as usize,
            Self::HttpStatus => Self::COUNT - 5,
            Self::Duration => Self::COUNT - 4,
            Self::ResponseSize => Self::COUNT - 3,
            Self::Value => Self::COUNT - 2,
            Self::Attributes => Self::COUNT - 1,
        }
    }

    /// The name of the column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Times => "times",
            Self::Ids => "ids",
            Self::Text(text) => text.name(),
            Self::HttpStatus => "httpstatus",
            Self::Duration => "duration",
            Self::ResponseSize => "response_size",
            Self::Value => "value",
            Self::Attributes => "attributes",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_stands_at_its_index() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column.index(), index, "{}", column.name());
        }
    }
}
