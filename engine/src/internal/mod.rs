//! What the engine keeps for itself in topics of its own: named positions and key-values.
//!
//! They are records like any others, so that they go through the same appends, journal and recovery. The names of
//! these topics begin with a character that users' names cannot have.

mod key_values;
mod log;
mod positions;
mod repaired;
mod table;

pub use key_values::{KeyValue, KeyValues, Write};
pub(crate) use log::Found;
pub(crate) use positions::{OpenName, PositionStore, Saved, check_name};
pub use repaired::Repaired;
pub(crate) use table::Table;
