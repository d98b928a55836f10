//! What can go wrong with the store, by what one can do about it.

use tokio_postgres::error::SqlState;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is away, overloaded or in conflict with others. The same again may
    /// succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database took longer than a statement may. The same again may take as long.
    #[error("the database took too long")]
    TimedOut,
    /// A partition is missing that was there before: somebody let go of it.
    #[error("a partition is missing")]
    PartitionMissing,
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
        matches!(self, Self::Unavailable(_) | Self::TimedOut | Self::PartitionMissing)
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
        if *code == SqlState::QUERY_CANCELED {
            return Self::TimedOut;
        }
        if *code == SqlState::CHECK_VIOLATION && database.message().starts_with("no partition") {
            return Self::PartitionMissing;
        }
        // Only what is wrong with the data itself stays wrong: data exceptions, broken
        // constraints and exceeded limits. A missing table, a lost grant or a standby that
        // takes no writes is for an operator to put right, and no reason to give up data.
        let of_the_data = ["22", "23", "54"].iter().any(|class| code.code().starts_with(class));
        let text = format!("{} ({})", database.message(), code.code());
        if of_the_data { Self::Refused(text) } else { Self::Unavailable(text) }
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
