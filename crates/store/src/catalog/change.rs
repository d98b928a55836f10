//! What became of a change.

/// What became of a change of something that has versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// It is done.
    Done(T),
    /// There is nothing of that name.
    NotFound,
    /// The name is taken.
    Taken,
    /// It has been changed since: this is the current version.
    OtherVersion(i32),
    /// There are as many as there may be.
    TooMany {
        /// How many there may be.
        limit: i64,
        /// Of what.
        of: &'static str,
    },
}
