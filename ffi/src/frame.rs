//! Frames: what stands in a partition's segments, for people who look at what is on the device.

use std::ffi::c_char;
use std::ops::ControlFlow;

use thalweg::FrameInfo;

use crate::arguments::check;
use crate::call::call_on;
use crate::error::thalweg_error;
use crate::failure::Failure;
use crate::position::THALWEG_NO_OFFSET;
use crate::status::thalweg_status;
use crate::text::put_text;
use crate::topic::{TOPICS, thalweg_topic};

/// Frame kind: one that this version has no number for.
pub const THALWEG_FRAME_OTHER: u32 = 0;
/// Frame kind: records.
pub const THALWEG_FRAME_DATA: u32 = 1;
/// Frame kind: padding.
pub const THALWEG_FRAME_PAD: u32 = 2;
/// Frame kind: offsets without records.
pub const THALWEG_FRAME_VOID: u32 = 3;
/// Frame kind: what stands here is damaged, or the device does not give it; why says more.
pub const THALWEG_FRAME_DAMAGE: u32 = 4;

/// Frame flag: term is set.
pub const THALWEG_FRAME_HAS_TERM: u32 = 1;

/// A frame as it stands in its segment.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_frame {
    /// The segment's generation.
    pub generation: u64,
    /// Byte of the file where it begins.
    pub position: u64,
    /// Its bytes, header and padding counted.
    pub size: u64,
    /// The offset of its first record.
    pub base_offset: u64,
    /// Offsets that it takes.
    pub count: u64,
    /// When it was appended, in ms since 1970.
    pub append_time: i64,
    /// The term that its batch was given, if flags say so.
    pub term: u64,
    /// The offset below which the partition was durable when it was written, or THALWEG_NO_OFFSET if it does not say.
    pub durable: u64,
    /// The segment's number within its partition.
    pub segment: u32,
    /// THALWEG_FRAME_DATA and its like.
    pub kind: u32,
    /// THALWEG_FRAME_HAS_TERM, or 0.
    pub flags: u32,
    /// 0.
    pub reserved: u32,
    /// What is wrong with it, or empty. Ends with a zero byte.
    pub why: [c_char; 256],
}

impl From<&FrameInfo> for thalweg_frame {
    fn from(frame: &FrameInfo) -> thalweg_frame {
        let mut made = thalweg_frame {
            generation: frame.generation,
            position: frame.position,
            size: frame.size,
            base_offset: frame.base_offset,
            count: frame.count,
            append_time: frame.append_time,
            term: frame.term.unwrap_or(0),
            durable: frame.durable.unwrap_or(THALWEG_NO_OFFSET),
            segment: frame.segment,
            kind: match frame.kind {
                "data" => THALWEG_FRAME_DATA,
                "pad" => THALWEG_FRAME_PAD,
                "void" => THALWEG_FRAME_VOID,
                "damage" => THALWEG_FRAME_DAMAGE,
                _ => THALWEG_FRAME_OTHER,
            },
            flags: if frame.term.is_some() { THALWEG_FRAME_HAS_TERM } else { 0 },
            reserved: 0,
            why: [0; 256],
        };
        put_text(&mut made.why, frame.damage.as_deref().unwrap_or_default());
        made
    }
}

/// The frames of a partition as they stand in its segments: from the one that holds the offset from, up to the first that
/// begins at the offset until or beyond. What is on the device is read from there, past the cache, and checked; damage is
/// told in its place. frames gets as many as capacity allows, count how many there are.
///
/// Blocks: reads the device. Any thread. Errors: NOT_FOUND for a partition that the topic does not have; NO_MEMORY if
/// batches that are held leave no memory for it; INVALID_ARGUMENT; DELETED; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_topic_list_frames(
    topic: *mut thalweg_topic,
    partition: u32,
    from: u64,
    until: u64,
    frames: *mut thalweg_frame,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&TOPICS, topic, error, |object| {
            if capacity > 0 {
                check(frames, "frames")?;
            }
            check(count, "count")?;
            let mut found = 0;
            let walked = object.topic.dump_frames(partition, from, |frame| {
                if frame.base_offset >= until {
                    return ControlFlow::Break(());
                }
                if found < capacity {
                    frames.add(found).write(thalweg_frame::from(frame));
                }
                found += 1;
                ControlFlow::Continue(())
            });
            walked.map_err(Failure::of_read)?;
            count.write(found);
            Ok(())
        })
    }
}
