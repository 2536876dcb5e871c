//! What an engine counts of itself.

use std::ffi::c_char;

use crate::arguments::{self, Prefixed, check};
use crate::call::call_on;
use crate::engine::{ENGINES, EngineObject, thalweg_engine};
use crate::error::thalweg_error;
use crate::status::thalweg_status;
use crate::text::copy_text;

/// What an engine counts of itself. Make it ready with thalweg_metrics_init before the call. Counters are since it was opened
/// and only grow; sizes are bytes. What concerns shards, topics, partitions and consumers is in
/// thalweg_engine_metrics_json.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_metrics {
    /// sizeof(thalweg_metrics).
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Since the engine was opened. ns.
    pub open_ns: u64,
    /// Batches that were appended, the engine's own (positions, key-values) among them. By topic, in the metrics' text, they
    /// are not.
    pub appends: u64,
    /// Records in them.
    pub appended_records: u64,
    /// Bytes of their keys, values and headers.
    pub appended_bytes: u64,
    /// Batches that were read from blocks being appended to.
    pub reads_from_appenders: u64,
    /// Batches that were read from the cache.
    pub reads_from_cache: u64,
    /// Batches that were read from the device.
    pub reads_from_device: u64,
    /// Bytes of all these batches.
    pub read_bytes: u64,
    /// Written to the journal.
    pub written_journal: u64,
    /// Written to segments, straight from the appenders' memory.
    pub written_direct: u64,
    /// Written to segments, after the journal.
    pub written_destaged: u64,
    /// Written to the manifest, and headers and indexes of segments.
    pub written_metadata: u64,
    /// Zeros, written once for each new journal file.
    pub written_journal_files: u64,
    /// Events that nobody took in time.
    pub events_dropped: u64,
    /// The memory budget.
    pub memory_budget: u64,
    /// Of it: staging of the journal, and reads when nothing else is left.
    pub memory_reserve: u64,
    /// Of it: appended to, or waiting to be written.
    pub memory_appenders: u64,
    /// Of it: on the device too, and dropped when others need the memory.
    pub memory_cache: u64,
    /// Of it: pinned by batches that are held.
    pub memory_pins: u64,
    /// The most that batches which are held can pin.
    pub memory_pins_limit: u64,
    /// Of it: kept for the next use.
    pub memory_idle: u64,
    /// Beside it: small batches that were copied for readers.
    pub memory_copies: u64,
    /// Beside it: indexes of sealed segments.
    pub memory_indexes: u64,
    /// Beside it: entries of batches that are held.
    pub memory_entries: u64,
    /// Beyond this, reads answer NO_MEMORY until batches are released.
    pub memory_entries_limit: u64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_metrics {
    const NAME: &'static str = "thalweg_metrics";
}

/// Makes metrics ready to be filled. size is sizeof(thalweg_metrics). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_metrics_init(metrics: *mut thalweg_metrics, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(metrics, size) };
}

fn metrics(object: &EngineObject) -> thalweg_metrics {
    let engine = object.engine.metrics().engine;
    let memory = engine.memory;
    thalweg_metrics {
        size: 0,
        reserved: 0,
        open_ns: (engine.open_seconds * 1e9) as u64,
        appends: engine.appends.appends,
        appended_records: engine.appends.records,
        appended_bytes: engine.appends.bytes,
        reads_from_appenders: engine.reads.from_appenders,
        reads_from_cache: engine.reads.from_cache,
        reads_from_device: engine.reads.from_device,
        read_bytes: engine.reads.bytes,
        written_journal: engine.written.journal,
        written_direct: engine.written.direct,
        written_destaged: engine.written.destaged,
        written_metadata: engine.written.metadata,
        written_journal_files: engine.written.journal_files,
        events_dropped: engine.events_dropped,
        memory_budget: memory.budget,
        memory_reserve: memory.reserve.used,
        memory_appenders: memory.appenders.used,
        memory_cache: memory.cache.used,
        memory_pins: memory.pins.used,
        memory_pins_limit: memory.pins.limit,
        memory_idle: memory.idle,
        memory_copies: memory.copies.used,
        memory_indexes: memory.indexes.used,
        memory_entries: object.indexes.used(),
        memory_entries_limit: object.indexes.limit(),
    }
}

/// What an engine counts of itself, as it is now. into: gets it. Appends and reads do not wait for it.
///
/// Blocks: the first call reads the named positions from the device. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED.
/// Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_metrics(
    engine: *mut thalweg_engine,
    into: *mut thalweg_metrics,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            arguments::filled(into)?.put(&metrics(object));
            Ok(())
        })
    }
}

/// All that an engine counts of itself, as one line of JSON: docs/METRICS.md has the names. Written to buffer, cut to capacity, with a zero byte at its
/// end; size gets how long all of it is, without that byte. With NULL and capacity 0 only size is told; the next call may
/// need more.
///
/// Blocks: as thalweg_engine_metrics. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_metrics_json(
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
            size.write(copy_text(&object.engine.metrics().to_json(), buffer, capacity)?);
            Ok(())
        })
    }
}

/// As thalweg_engine_metrics_json, as Prometheus scrapes it: text exposition format, version 0.0.4.
///
/// Blocks: as thalweg_engine_metrics. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_metrics_prometheus(
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
            size.write(copy_text(&object.engine.metrics().to_prometheus(), buffer, capacity)?);
            Ok(())
        })
    }
}
