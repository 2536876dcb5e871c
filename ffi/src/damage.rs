//! Offsets that are damaged.

use std::ffi::c_char;

use thalweg::DamagedRange;

use crate::text::put_text;

/// Offsets of a partition whose acknowledged data is damaged or cannot be read.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_damaged_range {
    /// The first damaged offset.
    pub start: u64,
    /// The first offset after the damage.
    pub end: u64,
    /// The partition's index.
    pub partition: u32,
    /// 0.
    pub reserved: u32,
    /// The topic's name. Ends with a zero byte.
    pub topic: [c_char; 256],
}

impl From<&DamagedRange> for thalweg_damaged_range {
    fn from(range: &DamagedRange) -> thalweg_damaged_range {
        let DamagedRange { topic, partition, start, end } = range;
        let (start, end, partition) = (*start, *end, *partition);
        let mut made = thalweg_damaged_range { start, end, partition, reserved: 0, topic: [0; 256] };
        put_text(&mut made.topic, topic);
        made
    }
}
