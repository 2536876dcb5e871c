//! Records copied to the caller's memory.

use std::ffi::c_void;

use crate::arguments::check;
use crate::batch::thalweg_entry;
use crate::failure::{Answer, Failure};
use crate::status::TOO_LARGE;
use crate::text::null;

/// Where copies go.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    buffer: *mut u8,
    capacity: usize,
    entries: *mut thalweg_entry,
    entry_capacity: usize,
}

/// What was copied.
pub(crate) struct Copied {
    pub(crate) count: usize,
}

impl Target {
    /// The caller's memory, which is valid for writes as far as the capacities say.
    pub(crate) fn check(
        buffer: *mut c_void,
        capacity: usize,
        entries: *mut thalweg_entry,
        entry_capacity: usize,
    ) -> Answer<Target> {
        if buffer.is_null() && capacity > 0 {
            return Err(null("buffer"));
        }
        check(entries, "entries")?;
        // Positions have 32 bits.
        let capacity = capacity.min(u32::MAX as usize);
        Ok(Target { buffer: buffer.cast(), capacity, entries, entry_capacity })
    }

    /// Copies as many of `entries`, whose bytes are in `memory`, as fit.
    pub(crate) fn copy(self, memory: &[u8], entries: &[thalweg_entry]) -> Answer<Copied> {
        let (mut size, mut count) = (0, 0);
        for entry in entries {
            let parts = [
                memory.get(entry.key_position as usize..).and_then(|rest| rest.get(..entry.key_size as usize)),
                memory.get(entry.value_position as usize..).and_then(|rest| rest.get(..entry.value_size as usize)),
                Some(headers(memory, entry)),
            ];
            let parts = parts.map(Option::unwrap_or_default);
            let needed: usize = parts.iter().map(|part| part.len()).sum();
            if count == self.entry_capacity || needed > self.capacity - size {
                if count == 0 {
                    let text = match self.entry_capacity {
                        0 => "there are records; entry_capacity is 0".into(),
                        _ => format!("a record has {needed} bytes; the buffer has {}", self.capacity),
                    };
                    return Err(Failure::new(TOO_LARGE, text));
                }
                break;
            }
            let mut at = size as u32;
            let positions = parts.map(|part| {
                let position = at;
                // SAFETY: within the capacity; the engine's bytes are not in the caller's buffer.
                unsafe {
                    if !part.is_empty() {
                        self.buffer.add(at as usize).copy_from_nonoverlapping(part.as_ptr(), part.len());
                    }
                }
                at += part.len() as u32;
                position
            });
            let [key_position, value_position, headers_position] = positions;
            // SAFETY: within the capacity.
            unsafe {
                let copied = thalweg_entry { key_position, value_position, headers_position, ..*entry };
                self.entries.add(count).write(copied);
            }
            size += needed;
            count += 1;
        }
        Ok(Copied { count })
    }
}

/// The stored headers of a record.
fn headers<'a>(memory: &'a [u8], entry: &thalweg_entry) -> &'a [u8] {
    let from = memory.get(entry.headers_position as usize..).unwrap_or_default();
    let mut size = 0;
    for _ in 0..entry.header_count {
        let Some([a, b, c, d, e, f]) = from.get(size..).and_then(|rest| rest.first_chunk::<6>()) else { break };
        let value = match u32::from_le_bytes([*c, *d, *e, *f]) {
            u32::MAX => 0,
            value => value as usize,
        };
        size += 6 + usize::from(u16::from_le_bytes([*a, *b])) + value;
    }
    from.get(..size).unwrap_or_default()
}
