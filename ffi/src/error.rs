//! The caller's place for what went wrong.

use std::ffi::c_char;

use crate::failure::Failure;
use crate::status::thalweg_status;
use crate::text::{put_message, put_text};

/// Where a call tells what went wrong: the last argument of each call that can fail, or NULL if nobody asks. It is
/// written only on failure, and only if size is right: set it with thalweg_error_init, or size by hand.
#[repr(C)]
pub struct thalweg_error {
    /// sizeof(thalweg_error).
    pub size: u32,
    /// What the call answered.
    pub status: thalweg_status,
    /// The operating system's error number (errno) where it reported this, else 0.
    pub os_error: i32,
    /// With topic: the partition in which acknowledged records are damaged or cannot be read.
    pub partition: u32,
    /// The first of their offsets.
    pub start: u64,
    /// The offset after the last of them. Equal to start if the error is of another kind.
    pub end: u64,
    /// Their topic, or empty. Ends with a zero byte.
    pub topic: [c_char; 256],
    /// A sentence to show: UTF-8, ends with a zero byte, without its middle where it is longer.
    pub message: [c_char; 1024],
}

/// Makes an error ready for use. NULL is allowed.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_error_init(error: *mut thalweg_error) {
    if !error.is_null() {
        // SAFETY: the caller's error is valid for writes; all its fields may be zero.
        unsafe {
            error.write_bytes(0, 1);
            (*error).size = size_of::<thalweg_error>() as u32;
        }
    }
}

/// Whether the caller's error is there and ready.
///
/// # Safety
/// `error` is NULL or valid for reads of its size.
pub(crate) unsafe fn has_room(error: *const thalweg_error) -> bool {
    // SAFETY: the first field of what the caller has is the size.
    !error.is_null() && error.is_aligned() && unsafe { (*error).size } as usize >= size_of::<thalweg_error>()
}

/// Tells a failure in the caller's error, if there is one.
///
/// # Safety
/// `error` is NULL or valid for writes.
#[cold]
pub(crate) unsafe fn tell(error: *mut thalweg_error, failure: &Failure) -> thalweg_status {
    // SAFETY: as the caller says.
    if unsafe { has_room(error) } {
        // SAFETY: the caller has this version's struct, or a larger one.
        let error = unsafe { &mut *error };
        let engine = failure.engine();
        let damaged = engine.and_then(thalweg::Error::damaged);
        error.status = failure.status();
        error.os_error = engine.and_then(thalweg::Error::os_code).unwrap_or(0);
        error.partition = damaged.map_or(0, |range| range.partition);
        error.start = damaged.map_or(0, |range| range.start);
        error.end = damaged.map_or(0, |range| range.end);
        put_text(&mut error.topic, damaged.map_or("", |range| &range.topic));
        put_message(&mut error.message, failure.text());
    }
    failure.status()
}
