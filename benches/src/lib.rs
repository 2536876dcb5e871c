//! Baselines for the benches, and the table that sets ours beside them.
//!
//! Method, for every bench: ours and its baseline are criterion functions of one group, in one run, on one file system.
//! Ours goes through the public API and is timed until the last record is durable (or read). After the run, [`report`]
//! prints each figure as a ratio to its group's baseline; absolute figures of two runs are not to be compared.

mod bare;
mod report;

pub use bare::{BareFile, Prepared, memcpy_crc, walk};
pub use report::{report, scratch};
