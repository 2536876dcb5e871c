//! What a repair came to.

use crate::error::DamagedRange;

/// What was left of a damaged log. Made by [`Positions::repair`](crate::Positions::repair) and
/// [`Engine::repair_key_values`](crate::Engine::repair_key_values).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Repaired {
    /// Entries that are there now.
    pub kept: u64,
    /// How many of them may be older than what was acknowledged last, or may have been deleted since: a change that was
    /// lost came after the last one that is known.
    pub uncertain: u64,
    /// The changes that were lost: offsets in the engine's own log.
    pub lost: Vec<DamagedRange>,
}
