//! Which library this is.

use std::ffi::{c_char, c_void};

/// The version that this header is of.
pub const THALWEG_VERSION_MAJOR: u32 = 0;
/// The version that this header is of.
pub const THALWEG_VERSION_MINOR: u32 = 1;
/// The version that this header is of.
pub const THALWEG_VERSION_PATCH: u32 = 0;

/// The version of the library that is loaded: major * 1000000 + minor * 1000 + patch.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn thalweg_version_number() -> u32 {
    THALWEG_VERSION_MAJOR * 1_000_000 + THALWEG_VERSION_MINOR * 1_000 + THALWEG_VERSION_PATCH
}

/// The version of the library that is loaded, such as "0.1.0". Static, ends with a zero byte.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn thalweg_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// How the library that is loaded was built: one line to show in a bug report. Static, ends with a zero byte.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn thalweg_build_info() -> *const c_char {
    // Text is put together when it is compiled, so both are.
    let text = match cfg!(debug_assertions) {
        true => concat!("thalweg ", env!("CARGO_PKG_VERSION"), " for ", env!("THALWEG_TARGET"), ", with assertions\0"),
        false => concat!("thalweg ", env!("CARGO_PKG_VERSION"), " for ", env!("THALWEG_TARGET"), "\0"),
    };
    text.as_ptr().cast()
}

/// The murmur2 hash of a key, exactly as Kafka's Java client computes it: what chooses the partition of a key. NULL is
/// allowed with size 0.
///
/// Does not block. Any thread. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_murmur2(key: *const c_void, key_size: usize) -> i32 {
    if key.is_null() || key_size > isize::MAX as usize {
        return thalweg::murmur2(&[]);
    }
    // SAFETY: the caller's key is readable.
    thalweg::murmur2(unsafe { std::slice::from_raw_parts(key.cast(), key_size) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_package() {
        let parts = [THALWEG_VERSION_MAJOR, THALWEG_VERSION_MINOR, THALWEG_VERSION_PATCH];
        assert_eq!(parts.map(|part| part.to_string()).join("."), env!("CARGO_PKG_VERSION"));
    }
}
