//! Baselines for the benches, the measure that sets ours beside them, and the table.
//!
//! `docs/BENCHMARKS.md` has the method. In short: one iteration runs the baseline and ours one after the other and gives
//! their ratio; criterion repeats it; the table has the median. Absolute figures of two runs are not to be compared.

mod bare;
mod bench;
mod busy;
mod c_caller;
mod measure;
mod memory;
mod row;
mod sweep;

pub use bare::{BareFiles, Buffers, Prepared};
pub use bench::{Bench, Pair, Settings, scratch};
pub use busy::Busy;
pub use c_caller::CCaller;
pub use measure::{Times, thread_time};
pub use memory::{memcpy_crc, sum, walk};
pub use row::{Row, Target};
pub use sweep::{Shape, best_read, best_write};
