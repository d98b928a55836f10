//! The outcome of a change of a definition.

/// The outcome of a change of a definition, which has versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed<T> {
    /// The change was made.
    Done(T),
    /// No definition has this name.
    NotFound,
    /// A definition with this name exists already.
    Taken,
    /// The definition has been changed since. This is its current version.
    OtherVersion(i32),
    /// The limit is reached.
    TooMany {
        /// The limit.
        limit: i64,
        /// What is limited.
        of: &'static str,
    },
}
