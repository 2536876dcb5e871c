//! Pointers of the caller, and structs that begin with their own size.

use crate::failure::{Answer, Failure};
use crate::status::{INVALID_ARGUMENT, TOO_LARGE, UNSUPPORTED};
use crate::text::null;

/// A struct that begins with its own size, in a u32, and may be all zeros.
///
/// # Safety
/// It is `repr(C)` without padding, and made of integers and pointers.
pub(crate) unsafe trait Prefixed: Copy {
    /// Its name in C.
    const NAME: &'static str;
}

/// No struct is ever larger. What says so was not made ready.
const SIZE_MAX: usize = 4096;
/// The size itself, and one field.
const SIZE_MIN: usize = 8;

/// Makes a struct of the caller ready, which may be of another version than this.
///
/// # Safety
/// NULL, or valid for writes of `size` bytes.
pub(crate) unsafe fn init<T: Prefixed>(pointer: *mut T, size: usize) {
    if !pointer.is_null() && pointer.is_aligned() && (SIZE_MIN..=SIZE_MAX).contains(&size) {
        // SAFETY: as the caller says.
        unsafe {
            pointer.cast::<u8>().write_bytes(0, size);
            pointer.cast::<u32>().write(size as u32);
        }
    }
}

fn check_size<T: Prefixed>(size: u32) -> Answer<usize> {
    let size = size as usize;
    if (SIZE_MIN..=SIZE_MAX).contains(&size) {
        return Ok(size);
    }
    let name = T::NAME;
    Err(Failure::new(
        INVALID_ARGUMENT,
        format!("the size in {name} is {size}; set it to sizeof({name}), or call {name}_init"),
    ))
}

/// The options of the caller, or all zeros for NULL. What a later version has added must be zero.
///
/// # Safety
/// NULL, or readable as far as its size says.
pub(crate) unsafe fn options<T: Prefixed>(pointer: *const T) -> Answer<T> {
    // SAFETY: the trait says that zeros are a value.
    let mut options: T = unsafe { std::mem::zeroed() };
    if pointer.is_null() {
        return Ok(options);
    }
    check_aligned(pointer, T::NAME)?;
    // SAFETY: the size is the first field of what the caller has.
    let size = check_size::<T>(unsafe { pointer.cast::<u32>().read() })?;
    let known = size.min(size_of::<T>());
    // SAFETY: as the caller says; `options` has as many bytes, any of which may have any value.
    let beyond = unsafe {
        (&raw mut options).cast::<u8>().copy_from_nonoverlapping(pointer.cast(), known);
        std::slice::from_raw_parts(pointer.cast::<u8>().add(known), size - known)
    };
    if beyond.iter().any(|byte| *byte != 0) {
        let text = format!("{} asks for something that this version of the library does not know", T::NAME);
        return Err(Failure::new(UNSUPPORTED, text));
    }
    Ok(options)
}

/// A struct of the caller to be filled: its size is there.
///
/// # Safety
/// NULL, or valid for reads and writes as far as its size says.
pub(crate) unsafe fn filled<T: Prefixed>(pointer: *mut T) -> Answer<Filled<T>> {
    check(pointer, T::NAME)?;
    // SAFETY: the size is the first field of what the caller has.
    let size = check_size::<T>(unsafe { pointer.cast::<u32>().read() })?;
    Ok(Filled { pointer, size })
}

/// See [`filled`].
pub(crate) struct Filled<T> {
    pointer: *mut T,
    size: usize,
}

impl<T: Prefixed> Filled<T> {
    /// Fills as much of it as the caller has; what a later version has added is zero. Its size stays.
    pub(crate) fn put(self, value: &T) {
        let known = self.size.min(size_of::<T>());
        let skip = size_of::<u32>();
        // SAFETY: the caller has said that so much is there.
        unsafe {
            let to = self.pointer.cast::<u8>();
            to.add(skip).copy_from_nonoverlapping(std::ptr::from_ref(value).cast::<u8>().add(skip), known - skip);
            to.add(known).write_bytes(0, self.size - known);
        }
    }
}

fn check_aligned<T>(pointer: *const T, name: &str) -> Answer {
    if pointer.is_aligned() {
        return Ok(());
    }
    Err(Failure::new(INVALID_ARGUMENT, format!("{name} is not aligned to {} bytes", align_of::<T>())))
}

/// Refuses NULL, and what is not aligned.
#[inline]
pub(crate) fn check<T>(pointer: *const T, name: &str) -> Answer {
    if pointer.is_null() {
        return Err(null(name));
    }
    check_aligned(pointer, name)
}

/// An array of the caller. NULL is allowed for none.
///
/// # Safety
/// Readable for as long as `'a`.
#[inline]
pub(crate) unsafe fn array<'a, T>(pointer: *const T, count: usize, limit: usize, name: &str) -> Answer<&'a [T]> {
    if count == 0 {
        return Ok(&[]);
    }
    if count > limit {
        return Err(Failure::new(TOO_LARGE, format!("{name} has {count} entries; the limit is {limit}")));
    }
    check(pointer, name)?;
    // SAFETY: as the caller says; no limit is beyond what a slice may have.
    Ok(unsafe { std::slice::from_raw_parts(pointer, count) })
}

/// Fills an array of the caller as far as it goes; tells how many there are.
///
/// # Safety
/// `pointer` is valid for writes of `capacity` entries, or NULL and `capacity` 0.
pub(crate) unsafe fn put_all<T>(
    pointer: *mut T,
    capacity: usize,
    count: *mut usize,
    values: impl IntoIterator<Item = T>,
) -> Answer {
    if capacity > 0 {
        check(pointer, "the array")?;
    }
    check(count, "count")?;
    let mut all = 0;
    for value in values {
        if all < capacity {
            // SAFETY: within the capacity.
            unsafe { pointer.add(all).write(value) };
        }
        all += 1;
    }
    // SAFETY: not NULL, and the caller's.
    unsafe { count.write(all) };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Old {
        size: u32,
        a: u32,
    }

    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct New {
        size: u32,
        a: u32,
        b: u64,
    }

    // SAFETY: integers without padding.
    unsafe impl Prefixed for Old {
        const NAME: &'static str = "old";
    }
    // SAFETY: integers without padding.
    unsafe impl Prefixed for New {
        const NAME: &'static str = "new";
    }

    #[test]
    fn versions_meet() {
        let status = |failure: Failure| failure.status();
        let mut new = New { size: 16, a: 1, b: 0 };
        // SAFETY: all pointers are of structs that are as large as they say.
        unsafe {
            let read: Old = options((&raw const new).cast()).map_err(status).expect("the rest is zero");
            assert_eq!(read.a, 1);
            new.b = 1;
            assert_eq!(options::<Old>((&raw const new).cast()).map_err(status), Err(UNSUPPORTED));
            filled::<Old>((&raw mut new).cast()).map_err(status).expect("a size").put(&Old { size: 8, a: 7 });
            assert_eq!(new, New { size: 16, a: 7, b: 0 });

            let mut pair = [Old { size: 8, a: 2 }, Old { size: 9, a: 9 }];
            // The same bytes, seen by a library that is newer.
            let aligned = &mut *(&raw mut pair).cast::<[u64; 2]>();
            let old = (&raw mut *aligned).cast::<New>();
            assert_eq!(options::<New>(old).map_err(status), Ok(New { size: 8, a: 2, b: 0 }));
            filled::<New>(old).map_err(status).expect("a size").put(&New { size: 16, a: 5, b: u64::MAX });
            assert_eq!(pair, [Old { size: 8, a: 5 }, Old { size: 9, a: 9 }]);

            for size in [0, 4, 4097, u32::MAX] {
                let bad = Old { size, a: 0 };
                assert_eq!(options(&raw const bad).map_err(status), Err(INVALID_ARGUMENT));
            }
            assert_eq!(options::<Old>(std::ptr::null()).map_err(status), Ok(Old { size: 0, a: 0 }));
        }
    }
}
