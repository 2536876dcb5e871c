//! Repair of what the engine keeps for itself.

use thalweg::Repaired;

use crate::arguments::{self, Prefixed};
use crate::call::call_on;
use crate::engine::{ENGINES, thalweg_engine};
use crate::error::thalweg_error;
use crate::status::thalweg_status;

/// What was left of damaged positions or key-values. Make it ready with thalweg_repaired_init before the call.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_repaired {
    /// sizeof(thalweg_repaired).
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Entries that are there now.
    pub kept: u64,
    /// How many of them may be older than what was acknowledged last, or may have been deleted since.
    pub uncertain: u64,
    /// Changes that were lost; all ones if nobody knows how many.
    pub lost: u64,
}

// SAFETY: integers without padding.
unsafe impl Prefixed for thalweg_repaired {
    const NAME: &'static str = "thalweg_repaired";
}

/// Makes the struct ready to be filled. size is sizeof(thalweg_repaired). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_repaired_init(repaired: *mut thalweg_repaired, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(repaired, size) };
}

impl From<&Repaired> for thalweg_repaired {
    fn from(repaired: &Repaired) -> thalweg_repaired {
        let sizes = repaired.lost.iter().map(|range| range.end.saturating_sub(range.start));
        let lost = sizes.fold(0, u64::saturating_add);
        thalweg_repaired { size: 0, reserved: 0, kept: repaired.kept, uncertain: repaired.uncertain, lost }
    }
}

/// Where damage on the device keeps the positions of all consumers from being read (CORRUPT): goes on with those that can
/// be read. What is lost leaves the position before it, so that a consumer may read records again. Durable when it returns,
/// all or nothing. Without damage it only rewrites the log. repaired: gets what was left.
///
/// Blocks: reads and writes the device. Any thread. Errors: those of thalweg_topic_append; INVALID_ARGUMENT; CLOSED,
/// FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_position_repair(
    engine: *mut thalweg_engine,
    repaired: *mut thalweg_repaired,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let place = arguments::filled(repaired)?;
            place.put(&thalweg_repaired::from(&object.engine.positions().repair()?));
            Ok(())
        })
    }
}

/// As thalweg_position_repair, for the key-values of all topics.
///
/// Blocks: reads and writes the device. Any thread. Errors: as thalweg_position_repair. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_key_values_repair(
    engine: *mut thalweg_engine,
    repaired: *mut thalweg_repaired,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&ENGINES, engine, error, |object| {
            let place = arguments::filled(repaired)?;
            place.put(&thalweg_repaired::from(&object.engine.repair_key_values()?));
            Ok(())
        })
    }
}
