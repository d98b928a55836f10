//! Errors of the store, classified by what the caller can do about them. Each one carries the whole chain of
//! its causes, including the message of the database server.

use tokio_postgres::error::SqlState;

/// Why an operation of the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is unavailable or overloaded, or the transaction conflicted with others. A retry may
    /// succeed.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A statement exceeded its time limit. A retry may take as long.
    #[error("the database took too long: {0}")]
    TimedOut(String),
    /// A partition that existed before is missing, because it was dropped.
    #[error("a partition is missing: {0}")]
    PartitionMissing(String),
    /// A unique key exists already.
    #[error("the key exists already: {0}")]
    Duplicate(String),
    /// The database rejects the data or the statement. A retry would fail as well.
    #[error("the database rejected the operation: {0}")]
    Refused(String),
}

impl StoreError {
    /// A [`Refused`](Self::Refused) error with the whole chain of its causes.
    pub(crate) fn refused(error: &dyn std::error::Error) -> Self {
        Self::Refused(chain(error))
    }

    /// Whether a retry may succeed.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_) | Self::PartitionMissing(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(database) = error.as_db_error() else {
            // Not an error of the server, but of the connection or of the encoding of a value.
            let own_defect = std::error::Error::source(&error)
                .is_some_and(|source| source.downcast_ref::<tokio_postgres::types::WrongType>().is_some());
            return if own_defect { Self::Refused(chain(&error)) } else { Self::Unavailable(chain(&error)) };
        };
        let code = database.code();
        let text = format!("{} ({})", database.message(), code.code());
        if *code == SqlState::UNIQUE_VIOLATION {
            return Self::Duplicate(text);
        }
        if *code == SqlState::QUERY_CANCELED {
            return Self::TimedOut(text);
        }
        if *code == SqlState::CHECK_VIOLATION && database.message().starts_with("no partition") {
            return Self::PartitionMissing(text);
        }
        // Only errors of the data itself are permanent: data exceptions, violated constraints and exceeded
        // limits. An operator must fix a missing table, a missing privilege or a read-only standby, and no
        // data is given up.
        let is_permanent = ["22", "23", "54"].iter().any(|class| code.code().starts_with(class));
        if is_permanent { Self::Refused(text) } else { Self::Unavailable(text) }
    }
}

impl From<flowmeter_segment::Corrupt> for StoreError {
    fn from(error: flowmeter_segment::Corrupt) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => match Self::from(error) {
                // An operator must fix a wrong password, so the error is transient.
                Self::Refused(text) => Self::Unavailable(text),
                other => other,
            },
            other => Self::Unavailable(chain(&other)),
        }
    }
}

/// An error and all of its causes in one line.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failure {
        text: &'static str,
        source: Option<Box<Failure>>,
    }

    #[test]
    fn an_error_carries_the_whole_chain_of_its_causes() {
        let cause = Failure { text: "column \"x\" does not exist", source: None };
        let error = Failure { text: "db error", source: Some(Box::new(cause)) };
        let error = Failure { text: "migration V1 failed", source: Some(Box::new(error)) };
        assert_eq!(
            StoreError::refused(&error).to_string(),
            "the database rejected the operation: migration V1 failed: db error: column \"x\" does not exist"
        );
    }
}
