//! What the device itself can do: bare io_uring loops, before anything is measured.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::scratch::scratch_in;
use crate::{BareFiles, Buffers, Grid, Prepared, best_read, best_write};

/// The device's limits, as a bare loop finds them in files that were written before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// One durable write of 4 KiB at a time. Microseconds.
    pub(crate) durable_write_p50_us: f64,
    pub(crate) durable_write_p99_us: f64,
    /// Durable writes of the best size and depth.
    pub(crate) write_bytes_per_second: f64,
    /// Direct reads of the best size and depth.
    pub(crate) read_bytes_per_second: f64,
}

/// What each shape moves. Bytes.
const SIZE: u64 = 32 << 20;
/// Single writes.
const WRITES: usize = 200;

impl Limits {
    /// Of the device that `dir` is on. Takes about a second.
    ///
    /// # Errors
    /// Those of a kernel without io_uring, or a file system without O_DIRECT.
    pub(crate) fn find(dir: &Path) -> io::Result<Limits> {
        let dir = scratch_in(dir)?;
        let file = BareFiles::new(dir.path(), 1, SIZE, Prepared::Written)?;
        let mut times = file.write(&mut Buffers::new(4096, 1, false)?, WRITES)?;
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100] as f64 / 1e3;
        let read = best_read(&file, SIZE, Grid::SHORT)?.best;
        let write = best_write(dir.path(), SIZE, Prepared::Written, Grid::SHORT)?.best;
        Ok(Limits {
            durable_write_p50_us: at(50),
            durable_write_p99_us: at(99),
            write_bytes_per_second: 1e9 / write.cost,
            read_bytes_per_second: 1e9 / read.cost,
        })
    }

    /// Names and what stands behind them.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let (p50, p99) = (self.durable_write_p50_us, self.durable_write_p99_us);
        let (write, read) = (self.write_bytes_per_second / 1e6, self.read_bytes_per_second / 1e6);
        vec![
            ("bare durable write of 4 KiB", format!("p50 {p50:.0} us, p99 {p99:.0} us")),
            ("bare durable writing", format!("{write:.0} MB/s")),
            ("bare reading", format!("{read:.0} MB/s")),
        ]
    }
}
