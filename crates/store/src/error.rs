//! What can go wrong with the store, by what one can do about it.

use tokio_postgres::error::SqlState;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded or in conflict with others. The same again may
    /// succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A key is there already.
    #[error("the key is taken")]
    Duplicate,
    /// The database refuses it, and will the next time.
    #[error("the database refuses it: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same again may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // Not the database speaking: the connection, or our own encoding of a value.
            let own_defect = std::error::Error::source(&error)
                .is_some_and(|source| source.downcast_ref::<tokio_postgres::types::WrongType>().is_some());
            return if own_defect { Self::Refused(chain(&error)) } else { Self::Unavailable(chain(&error)) };
        };
        let code = database.code();
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Duplicate;
        }
        // Connection, rollback, resources, operator intervention and system trouble; and a
        // partition that another worker is just making.
        let passing = ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.code().starts_with(class));
        let text = format!("{} ({})", database.message(), code.code());
        if passing { Self::Unavailable(text) } else { Self::Refused(text) }
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => match Self::from(error) {
                // A wrong password is an operator's mistake, not the request's: it passes.
                Self::Refused(text) => Self::Unavailable(text),
                other => other,
            },
            other => Self::Unavailable(chain(&other)),
        }
    }
}

/// An error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
