//! The caller's place for what went wrong.

use std::ffi::c_char;

use crate::arguments::{self, Prefixed};
use crate::failure::Failure;
use crate::status::thalweg_status;
use crate::text::{put_message, put_text};

/// As a partition in an error: it concerns none, or not one alone.
pub const THALWEG_NO_PARTITION: u32 = 0xffff_ffff;

/// Where a call tells what went wrong: the last argument of each call that can fail, or NULL if nobody asks. It is
/// written only on failure, as far as its size says, and only if that is one: set it with thalweg_error_init, or by hand.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct thalweg_error {
    /// sizeof(thalweg_error).
    pub size: u32,
    /// What the call answered.
    pub status: thalweg_status,
    /// The operating system's error number (errno) where it reported this, else 0.
    pub os_error: i32,
    /// With topic: the partition that the error concerns; THALWEG_NO_PARTITION if it concerns the whole topic, or none.
    pub partition: u32,
    /// Of that partition: the first offset that is damaged or cannot be read.
    pub start: u64,
    /// The offset after the last of them. Equal to start if the error is of another kind.
    pub end: u64,
    /// The topic that the error concerns. Empty if it concerns none, as where an argument is wrong, or the call's own
    /// arguments already name it. What a consumer's poll tells of one partition or topic names it, and so does what the
    /// device, the end of a log, a truncation or damage does to a partition. Ends with a zero byte.
    pub topic: [c_char; 256],
    /// A sentence to show: UTF-8, ends with a zero byte, without its middle where it is longer.
    pub message: [c_char; 1024],
}

// SAFETY: integers, none of them padded.
unsafe impl Prefixed for thalweg_error {
    const NAME: &'static str = "thalweg_error";
}

/// Makes an error ready for use. size is sizeof(thalweg_error). NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_error_init(error: *mut thalweg_error, size: usize) {
    // SAFETY: the caller's struct is as large as it says.
    unsafe { arguments::init(error, size) };
}

/// Tells a failure in the caller's error, if there is one and it is ready.
///
/// # Safety
/// `error` is NULL, or valid for reads and writes as far as its size says.
#[cold]
pub(crate) unsafe fn tell(error: *mut thalweg_error, failure: &Failure) -> thalweg_status {
    // SAFETY: as the caller says.
    if let Ok(room) = unsafe { arguments::filled(error) } {
        room.put(&thalweg_error::from(failure));
    }
    failure.status()
}

impl From<&Failure> for thalweg_error {
    fn from(failure: &Failure) -> thalweg_error {
        let engine = failure.engine();
        let damaged = engine.and_then(thalweg::Error::damaged);
        let mut error = thalweg_error {
            size: 0,
            status: failure.status(),
            os_error: engine.and_then(thalweg::Error::os_code).unwrap_or(0),
            partition: engine.and_then(thalweg::Error::partition).unwrap_or(THALWEG_NO_PARTITION),
            start: damaged.map_or(0, |range| range.start),
            end: damaged.map_or(0, |range| range.end),
            topic: [0; 256],
            message: [0; 1024],
        };
        put_text(&mut error.topic, engine.and_then(thalweg::Error::topic).unwrap_or(""));
        put_message(&mut error.message, failure.text());
        error
    }
}
