//! The way into every call: panics are caught, failures told.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::error::{tell, thalweg_error};
use crate::failure::{Answer, Failure};
use crate::handle::{Ref, Table};
use crate::status::{OK, PANIC, thalweg_status};

/// Runs a call that has no handle.
///
/// # Safety
/// `error` is NULL or valid for writes.
pub(crate) unsafe fn call(error: *mut thalweg_error, run: impl FnOnce() -> Answer) -> thalweg_status {
    let answer = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(answer) => answer,
        Err(_) => Err(panicked()),
    };
    // SAFETY: as the caller says.
    unsafe { answer_of(error, answer) }
}

/// Runs a call on a handle, which is poisoned if the call panics.
///
/// # Safety
/// `error` is NULL or valid for writes.
#[inline(always)]
pub(crate) unsafe fn call_on<H, T>(
    table: &'static Table<T>,
    handle: *mut H,
    error: *mut thalweg_error,
    run: impl FnOnce(&T) -> Answer,
) -> thalweg_status {
    let answer = match table.get(handle) {
        Ok(object) => match catch_unwind(AssertUnwindSafe(|| run(&object))) {
            Ok(answer) => answer,
            Err(_) => {
                object.poison();
                Err(panicked())
            }
        },
        Err(failure) => Err(failure),
    };
    // SAFETY: as the caller says.
    unsafe { answer_of(error, answer) }
}

/// Closes a handle. `end` runs once no new call can come in; the object goes after it, and after the calls that are in.
///
/// # Safety
/// `error` is NULL or valid for writes.
pub(crate) unsafe fn close<H, T>(
    table: &'static Table<T>,
    handle: *mut H,
    error: *mut thalweg_error,
    end: impl FnOnce(&T) -> Answer,
) -> thalweg_status {
    let run = || match table.close(handle)? {
        Some(object) => end(&object),
        None => Ok(()),
    };
    // SAFETY: as the caller says.
    unsafe { call(error, run) }
}

#[inline]
unsafe fn answer_of(error: *mut thalweg_error, answer: Answer) -> thalweg_status {
    match answer {
        Ok(()) => OK,
        // SAFETY: as the caller says.
        Err(failure) => unsafe { tell(error, &failure) },
    }
}

#[cold]
fn panicked() -> Failure {
    Failure::new(PANIC, "a bug in the library: the call has panicked, and said why on the standard error output")
}

/// Another handle that a call takes, behind the first.
pub(crate) fn other<H, T>(table: &'static Table<T>, handle: *mut H) -> Answer<Ref<T>> {
    table.get(handle)
}

/// A time-out in ms: negative is without end.
pub(crate) fn timeout(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{INVALID_ARGUMENT, NOT_FOUND};

    enum Opaque {}

    #[test]
    fn a_panic_is_an_answer_and_poisons_the_handle() {
        static TABLE: Table<u8> = Table::new(9, "a test");
        let handle: *mut Opaque = TABLE.open(1).expect("room");
        let error = std::ptr::null_mut();
        // SAFETY: NULL is allowed for the error.
        let call_with = |run: fn(&u8) -> Answer| unsafe { call_on(&TABLE, handle, error, run) };
        assert_eq!(call_with(|_| Err(Failure::new(NOT_FOUND, "nothing"))), NOT_FOUND);
        assert_eq!(call_with(|_| panic!("planted")), PANIC);
        assert_eq!(call_with(|_| Ok(())), PANIC);
        // SAFETY: as above.
        unsafe {
            assert_eq!(close(&TABLE, handle, error, |_| Ok(())), OK);
            assert_eq!(close(&TABLE, std::ptr::null_mut::<Opaque>(), error, |_| Ok(())), OK);
            assert_eq!(call(error, || panic!("planted")), PANIC);
        }
    }

    #[test]
    fn the_error_of_the_caller_is_filled() {
        // SAFETY: an error of zeros is one that nobody has made ready.
        let mut error: thalweg_error = unsafe { std::mem::zeroed() };
        let fail = || Err(Failure::new(INVALID_ARGUMENT, "why"));
        // SAFETY: the error is valid for writes.
        unsafe {
            assert_eq!(call(&raw mut error, fail), INVALID_ARGUMENT);
            assert_eq!(error.status, OK, "its size is not known");
            crate::error::thalweg_error_init(&raw mut error, size_of::<thalweg_error>());
            assert_eq!(call(&raw mut error, fail), INVALID_ARGUMENT);
        }
        assert_eq!(error.status, INVALID_ARGUMENT);
        assert_eq!(error.message[..4].iter().map(|c| *c as u8).collect::<Vec<_>>(), b"why\0");
    }
}
