//! Strings and bytes, in and out.

use std::ffi::{CStr, c_char, c_void};

use crate::failure::{Answer, Failure};
use crate::status::{INVALID_ARGUMENT, TOO_LARGE};

/// Bytes of the caller, or of a batch. data NULL means that there are none, which is not the same as empty ones (size 0).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_bytes {
    /// The first byte, or NULL.
    pub data: *const c_void,
    /// How many.
    pub size: usize,
}

impl thalweg_bytes {
    pub(crate) fn of(bytes: Option<&[u8]>) -> thalweg_bytes {
        match bytes {
            Some(bytes) => thalweg_bytes { data: bytes.as_ptr().cast(), size: bytes.len() },
            None => thalweg_bytes { data: std::ptr::null(), size: 0 },
        }
    }

    /// Refuses what has more bytes than `limit`, and NULL with a size.
    #[inline(always)]
    pub(crate) fn check(&self, limit: usize, name: &str) -> Answer {
        // Without a branch between what is there and what is not: a batch has both, one behind the other.
        if self.is_beyond(limit) {
            return Err(if self.size > limit { too_large(name, self.size, limit) } else { null(name) });
        }
        Ok(())
    }

    /// Whether [`check`](Self::check) refuses it.
    #[inline(always)]
    pub(crate) fn is_beyond(&self, limit: usize) -> bool {
        (self.size > limit) | (self.data.is_null() & (self.size != 0))
    }

    /// The bytes, if there are any.
    ///
    /// # Safety
    /// They were [checked](Self::check) against a limit that a slice may have, and are readable for as long as `'a`.
    #[inline(always)]
    pub(crate) unsafe fn checked<'a>(self) -> Option<&'a [u8]> {
        // SAFETY: as the caller says.
        (!self.data.is_null()).then(|| unsafe { std::slice::from_raw_parts(self.data.cast(), self.size) })
    }

    /// The bytes, if there are any. `limit`: beyond it they are not looked at.
    ///
    /// # Safety
    /// They are readable for as long as `'a`.
    #[inline(always)]
    pub(crate) unsafe fn read<'a>(self, limit: usize, name: &str) -> Answer<Option<&'a [u8]>> {
        self.check(limit, name)?;
        // SAFETY: as the caller says.
        Ok(unsafe { self.checked() })
    }
}

/// Bytes that have to be there; NULL is allowed for none.
///
/// # Safety
/// They are readable for as long as `'a`.
pub(crate) unsafe fn bytes<'a>(data: *const c_void, size: usize, limit: usize, name: &str) -> Answer<&'a [u8]> {
    // SAFETY: as the caller says.
    Ok(unsafe { thalweg_bytes { data, size }.read(limit, name) }?.unwrap_or_default())
}

/// A string of the caller.
///
/// # Safety
/// NULL, or a string that ends with a zero byte and stays for as long as `'a`.
pub(crate) unsafe fn string<'a>(pointer: *const c_char, name: &str) -> Answer<&'a str> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: as the caller says.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::new(INVALID_ARGUMENT, format!("{name} is not UTF-8")))
}

/// As [`string`], where there may be none.
///
/// # Safety
/// As [`string`].
pub(crate) unsafe fn optional_string<'a>(pointer: *const c_char, name: &str) -> Answer<Option<&'a str>> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller says.
    unsafe { string(pointer, name) }.map(Some)
}

/// Puts text into a field: cut between two characters where it is too long, and ended by a zero byte.
pub(crate) fn put_text(field: &mut [c_char], text: &str) {
    let mut size = text.len().min(field.len() - 1);
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    for (to, from) in field.iter_mut().zip(&text.as_bytes()[..size]) {
        *to = *from as c_char;
    }
    field[size] = 0;
}

/// As [`put_text`], but where it is too long the middle is left out: the end of a message says why.
pub(crate) fn put_message(field: &mut [c_char], text: &str) {
    const LEFT_OUT: &str = " ... ";
    let room = field.len() - 1;
    if text.len() <= room {
        return put_text(field, text);
    }
    let half = room.saturating_sub(LEFT_OUT.len()) / 2;
    let (mut begin, mut end) = (half, text.len() - half);
    while !text.is_char_boundary(begin) {
        begin -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    put_text(field, &[&text[..begin], LEFT_OUT, &text[end..]].concat());
}

/// Copies bytes to the caller's buffer, as many as fit; tells the size of all of them.
///
/// # Safety
/// `buffer` is valid for writes of `capacity` bytes, or NULL and `capacity` 0.
pub(crate) unsafe fn copy_bytes(from: &[u8], buffer: *mut c_void, capacity: usize) -> Answer<usize> {
    if buffer.is_null() && capacity > 0 {
        return Err(null("buffer"));
    }
    let size = from.len().min(capacity);
    if size > 0 {
        // SAFETY: the buffer has room, as the caller says, and the engine's bytes are not in it.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(from.as_ptr(), size) };
    }
    Ok(from.len())
}

/// Copies text to the caller's buffer as far as it fits, with a zero byte behind it; tells the size of all of it, without
/// that.
///
/// # Safety
/// As [`copy_bytes`].
pub(crate) unsafe fn copy_text(from: &str, buffer: *mut c_char, capacity: usize) -> Answer<usize> {
    if buffer.is_null() && capacity > 0 {
        return Err(null("buffer"));
    }
    if capacity > 0 {
        // No more is looked at than the text takes: a capacity may be larger than any object can be.
        let size = capacity.min(from.len() + 1);
        // SAFETY: the buffer has room, as the caller says.
        put_text(unsafe { std::slice::from_raw_parts_mut(buffer, size) }, from);
    }
    Ok(from.len())
}

#[cold]
pub(crate) fn null(name: &str) -> Failure {
    Failure::new(INVALID_ARGUMENT, format!("{name} is NULL"))
}

#[cold]
pub(crate) fn too_large(name: &str, size: usize, limit: usize) -> Failure {
    Failure::new(TOO_LARGE, format!("{name} has {size} bytes; the limit is {limit}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        let mut field = [1 as c_char; 5];
        put_text(&mut field, "aäöü");
        assert_eq!(field.map(|c| c as u8), [b'a', 0xc3, 0xa4, 0, 1]);
        put_text(&mut field, "");
        assert_eq!(field[0], 0);
        put_text(&mut field, "abcd");
        assert_eq!(field.map(|c| c as u8), *b"abcd\0");
    }

    #[test]
    fn a_message_that_is_too_long_keeps_its_end() {
        let mut field = [1 as c_char; 16];
        let mut put = |text: &str| {
            put_message(&mut field, text);
            field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect::<Vec<u8>>()
        };
        assert_eq!(put("123456789012345"), b"123456789012345");
        assert_eq!(put("1234567890123456"), b"12345 ... 23456");
        assert_eq!(put("1234ä567890123ä4567"), "1234 ... 4567".as_bytes(), "no character is divided");
    }

    #[test]
    fn a_capacity_beyond_any_object_is_allowed() {
        let mut memory = [1 as c_char; 4];
        // SAFETY: the text and its end take three bytes.
        let size = unsafe { copy_text("ab", memory.as_mut_ptr(), usize::MAX) }.expect("there is a buffer");
        assert_eq!((size, memory.map(|c| c as u8)), (2, [b'a', b'b', 0, 1]));
    }
}
