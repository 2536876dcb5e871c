//! Errors: a sentence for the user.

/// Anything that went wrong.
pub(crate) type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of whatever can go wrong.
pub(crate) type Result<T> = std::result::Result<T, Error>;
