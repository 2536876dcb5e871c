//! The on-disk format, version 1: bytes in, bytes out. `docs/FORMAT.md` is its normative text.
//!
//! Nothing here reads a file, a clock or another level. What is parsed may be hostile: every length is checked before
//! it is believed, and no input makes these functions panic.

pub(crate) mod file;
pub(crate) mod frame;
pub(crate) mod journal;
pub(crate) mod manifest;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod segment;
pub(crate) mod source;
pub(crate) mod view;

#[cfg(test)]
mod tests;

/// The version that this build writes, and the only one it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;
