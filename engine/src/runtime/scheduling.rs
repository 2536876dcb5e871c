//! How the kernel schedules a shard's thread.

use crate::io::os::check;

/// The scheduler's slice for a shard's thread. Short turns come soon instead of long ones late: beside busy threads,
/// the default slice of some ms is what a durable write waits for. ns.
const SLICE_NS: u64 = 100_000;

/// Asks for a short slice. Kernels before 6.12 have none for ordinary threads; then everything stays as it is.
pub(super) fn short_slice() {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut wanted: libc::sched_attr = unsafe { core::mem::zeroed() };
    let size = size_of::<libc::sched_attr>();
    // SAFETY: `wanted` is a live value of the given size that the call fills for the calling thread.
    if unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &raw mut wanted, size, 0) } < 0 {
        return;
    }
    if !matches!(i32::try_from(wanted.sched_policy), Ok(libc::SCHED_OTHER | libc::SCHED_BATCH)) {
        // The host program chose something stronger for its threads.
        return;
    }
    wanted.sched_runtime = SLICE_NS;
    wanted.sched_flags = 0;
    // SAFETY: `wanted` is a live value that states its own size.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const wanted, 0) };
}

/// Binds the calling thread to one of the processors that it may use, the `index`-th, counted round.
pub(super) fn pin(index: usize) {
    // SAFETY: all-zero is the empty set.
    let mut allowed: libc::cpu_set_t = unsafe { core::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: `allowed` is a live value of the given size that the call fills.
    if check(unsafe { libc::sched_getaffinity(0, size, &raw mut allowed) }).is_err() {
        return;
    }
    // SAFETY: the numbers are below the set's size.
    let numbers: Vec<usize> = (0..size * 8).filter(|number| unsafe { libc::CPU_ISSET(*number, &allowed) }).collect();
    let Some(number) = numbers.get(index % numbers.len().max(1)) else { return };
    // SAFETY: all-zero is the empty set, and the number is below its size.
    let one = unsafe {
        let mut one: libc::cpu_set_t = core::mem::zeroed();
        libc::CPU_SET(*number, &mut one);
        one
    };
    // SAFETY: `one` is a live value of the given size.
    unsafe { libc::sched_setaffinity(0, size, &raw const one) };
}
