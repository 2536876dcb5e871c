//! Verification.

use crate::arguments::{self, Prefixed, check, put_all};
use crate::call::call_on;
use crate::damage::thalweg_damaged_range;
use crate::engine::{ENGINES, thalweg_engine};
use crate::error::thalweg_error;
use crate::status::thalweg_status;

/// What verification found. Make it ready with thalweg_verify_report_init before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_verify_report {
    /// sizeof(thalweg_verify_report).
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Topics looked at.
    pub topics: u64,
    /// Partitions that hold records.
    pub partitions: u64,
    /// Segments read.
    pub segments: u64,
    /// Batches that are whole.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Bytes of everything that is whole, padding counted.
    pub bytes: u64,
    /// Ranges of offsets that are damaged, or that the device refused to give.
    pub damaged: u64,
    /// Partitions that the device did not let be read to their end when the store was opened.
    pub unavailable: u64,
    /// Headers and footers of segments that are damaged. No record is lost by that: it is a copy less of what they say.
    pub damaged_copies: u64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_verify_report {
    const NAME: &'static str = "thalweg_verify_report";
}

/// Makes a report ready to be filled. size is sizeof(thalweg_verify_report). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_verify_report_init(report: *mut thalweg_verify_report, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(report, size) };
}

/// Reads everything that is on the device, and checks every checksum and every offset. report: gets the sums. Appends and
/// reads go on meanwhile. ranges gets as many damaged ranges as capacity allows, count how many there are; damage is no
/// error of this call.
///
/// Blocks: reads all of the store. Any thread. Errors: NO_MEMORY if batches that are held leave no memory for it;
/// INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_engine_verify(
    engine: *mut thalweg_engine,
    report: *mut thalweg_verify_report,
    ranges: *mut thalweg_damaged_range,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let place = arguments::filled(report)?;
            check(count, "count")?;
            if capacity > 0 {
                check(ranges, "ranges")?;
            }
            let found = object.engine.verify(|_| ()).map_err(crate::failure::Failure::of_read)?;
            put_all(ranges, capacity, count, found.damaged.iter().map(thalweg_damaged_range::from))?;
            place.put(&thalweg_verify_report {
                size: 0,
                reserved: 0,
                topics: found.topics,
                partitions: found.partitions,
                segments: found.segments,
                batches: found.batches,
                records: found.records,
                bytes: found.bytes,
                damaged: found.damaged.len() as u64,
                unavailable: found.unavailable.len() as u64,
                damaged_copies: found.damaged_copies.len() as u64,
            });
            Ok(())
        })
    }
}
