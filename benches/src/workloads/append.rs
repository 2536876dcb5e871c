//! Bulk appends: as many under way as the memory takes.

use crate::plan::Case;

/// One thread and as many as there are cores, one partition and one for each thread, per call and batched.
pub(super) fn cases() -> Vec<Case> {
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get() as u32).max(2);
    let shapes = [(1, 1), (cores, 1), (cores, cores)];
    let case = |((threads, partitions), batch)| Case { threads, partitions, batch, in_flight: 0, ..Case::default() };
    shapes.into_iter().flat_map(|shape| [1, 100].map(|batch| (shape, batch))).map(case).collect()
}
