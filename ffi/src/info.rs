//! How an engine works, and what opening found.

use std::ffi::c_char;
use std::fmt::Write;

use crate::arguments::{self, Prefixed, check, put_all};
use crate::call::call_on;
use crate::damage::thalweg_damaged_range;
use crate::engine::{ENGINES, THALWEG_RUNTIME_POSIX, THALWEG_RUNTIME_URING, thalweg_engine};
use crate::error::thalweg_error;
use crate::status::thalweg_status;
use crate::text::copy_text;

/// How an engine works. Make it ready with thalweg_info_init before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_info {
    /// sizeof(thalweg_info).
    pub size: u32,
    /// THALWEG_RUNTIME_URING or THALWEG_RUNTIME_POSIX.
    pub runtime: u32,
    /// The store's identity: chosen at random when it was created.
    pub store_id: u64,
    /// All memory that grows with load. Bytes.
    pub memory_budget: u64,
    /// Memory that is registered with io_uring. Bytes.
    pub registered_memory: u64,
    /// What transfers are aligned to. Bytes.
    pub alignment: u64,
    /// Bytes that the store can still grow by; all ones if the file system does not say.
    pub free_space: u64,
    /// Threads that write and read the device.
    pub shards: u32,
    /// Segment files that stay open at most.
    pub open_files: u32,
    /// 1: transfers go past the page cache. 0: through it.
    pub direct_io: u32,
    /// 1: the store is only read.
    pub read_only: u32,
    /// 1: the store had been closed cleanly, or is new.
    pub recovered_clean: u32,
    /// Acknowledged ranges that recovery found missing or damaged: thalweg_engine_list_damaged tells them.
    pub recovered_damaged: u32,
    /// How long it took to make the store ready. ns.
    pub recovery_ns: u64,
    /// Partitions that hold records.
    pub recovered_partitions: u64,
    /// Partitions whose ends were found by reading: they were being written when the process ended.
    pub recovered_tails: u64,
    /// Partitions whose files refused to be made durable.
    pub recovered_unavailable: u64,
    /// Journals in which durable writes cannot be read, or that were given up.
    pub recovered_damaged_journals: u64,
    /// Places of the manifest that cannot be read; the second copy of each was used.
    pub recovered_damaged_copies: u64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_info {
    const NAME: &'static str = "thalweg_info";
}

/// Makes information ready to be filled. size is sizeof(thalweg_info). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_info_init(info: *mut thalweg_info, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(info, size) };
}

impl From<&thalweg::Info> for thalweg_info {
    fn from(info: &thalweg::Info) -> thalweg_info {
        let recovery = &info.recovery;
        thalweg_info {
            size: 0,
            runtime: if info.runtime == "uring" { THALWEG_RUNTIME_URING } else { THALWEG_RUNTIME_POSIX },
            store_id: info.store_id,
            memory_budget: info.memory_budget,
            registered_memory: info.registered_memory,
            alignment: info.alignment,
            free_space: info.free_space.unwrap_or(u64::MAX),
            shards: info.shards,
            open_files: info.open_files,
            direct_io: info.direct_io.into(),
            read_only: info.read_only.into(),
            recovered_clean: recovery.clean.into(),
            recovered_damaged: u32::try_from(recovery.damaged.len()).unwrap_or(u32::MAX),
            recovery_ns: u64::try_from(recovery.duration.as_nanos()).unwrap_or(u64::MAX),
            recovered_partitions: recovery.partitions as u64,
            recovered_tails: recovery.tails as u64,
            recovered_unavailable: recovery.unavailable.len() as u64,
            recovered_damaged_journals: recovery.damaged_journals.len() as u64,
            recovered_damaged_copies: recovery.damaged_copies.len() as u64,
        }
    }
}

/// One line for each thing that the struct has a number for only.
fn text(info: &thalweg::Info) -> String {
    let mut text = format!("path: {}\n", info.path.display());
    let mut line = |name: &str, what: &dyn std::fmt::Display, why: &str| {
        // Writing to a string does not fail.
        let _written = writeln!(text, "{name}: {what} ({why})");
    };
    line("runtime", &info.runtime, &info.runtime_reason);
    line("durable primitive", &info.durable_primitive, &info.durable_reason);
    line("direct I/O", &info.direct_io, &info.direct_io_reason);
    line("registered memory", &info.registered_memory, &info.registered_reason);
    let recovery = &info.recovery;
    for (name, lines) in [
        ("unavailable", &recovery.unavailable),
        ("damaged journal", &recovery.damaged_journals),
        ("damaged copy", &recovery.damaged_copies),
    ] {
        lines.iter().for_each(|why| text += &format!("{name}: {why}\n"));
    }
    text
}

/// How an engine works: info gets it.
///
/// Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_info(
    engine: *mut thalweg_engine,
    info: *mut thalweg_info,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            arguments::filled(info)?.put(&thalweg_info::from(&object.engine.info()));
            Ok(())
        })
    }
}

/// Why an engine works as it does: lines to show, such as "runtime: posix (io_uring is forbidden here)". Written to
/// buffer, cut to capacity, with a zero byte at its end; size gets how long all of it is, without that byte. With NULL and
/// capacity 0 only size is told.
///
/// Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_info_text(
    engine: *mut thalweg_engine,
    buffer: *mut c_char,
    capacity: usize,
    size: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            check(size, "size")?;
            size.write(copy_text(&text(&object.engine.info()), buffer, capacity)?);
            Ok(())
        })
    }
}

/// Acknowledged offsets that recovery found missing or damaged when the engine was opened. ranges gets as many as
/// capacity allows, count how many there are.
///
/// Blocks: asks the file system for its free space. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_list_damaged(
    engine: *mut thalweg_engine,
    ranges: *mut thalweg_damaged_range,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let damaged = object.engine.info().recovery.damaged;
            put_all(ranges, capacity, count, damaged.iter().map(thalweg_damaged_range::from))
        })
    }
}
