//! The frames of a partition, for people who look at what is on the device.

use std::ops::ControlFlow;

use super::state::TopicState;
use crate::error::Result;
use crate::format::frame::Kind;
use crate::reader::Surveyed;

/// A frame as it stands in its segment, or what stands in place of one. Made by
/// [`Topic::dump_frames`](crate::Topic::dump_frames).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FrameInfo {
    /// The segment's number within its partition.
    pub segment: u32,
    /// The segment's generation.
    pub generation: u64,
    /// Byte of the file where it begins.
    pub position: u64,
    /// Its bytes, header and padding counted.
    pub size: u64,
    /// `"data"`, `"pad"`, `"void"`, `"control"`, `"transaction"`, `"unknown"`, or `"damage"`.
    pub kind: &'static str,
    /// The offset of its first record.
    pub base_offset: u64,
    /// Offsets that it takes.
    pub count: u64,
    /// When it was appended, in ms since 1970.
    pub append_time: i64,
    /// The term that its batch was given.
    pub term: Option<u64>,
    /// The offset below which the partition was durable when it was written, if it says so.
    pub durable: Option<u64>,
    /// What is wrong with it.
    pub damage: Option<String>,
}

impl TopicState {
    /// Goes through the frames of a partition.
    pub(crate) fn dump_frames(
        &self,
        partition: u32,
        from: u64,
        visit: &mut dyn FnMut(&FrameInfo) -> ControlFlow<()>,
    ) -> Result<()> {
        self.check()?;
        self.common.lender.survey(self.seat(partition)?, from, &mut |segment, surveyed| {
            let empty = FrameInfo {
                segment: segment.sequence,
                generation: segment.generation.0,
                position: 0,
                size: 0,
                kind: "damage",
                base_offset: 0,
                count: 0,
                append_time: 0,
                durable: None,
                term: None,
                damage: None,
            };
            match surveyed {
                Surveyed::Frame(position, header) => visit(&FrameInfo {
                    position,
                    size: u64::from(header.size),
                    kind: kind(header.kind),
                    base_offset: header.base_offset,
                    count: u64::from(header.count),
                    append_time: header.append_time,
                    durable: header.durable(),
                    term: header.term,
                    ..empty
                }),
                Surveyed::Damage(damage) => visit(&FrameInfo {
                    position: damage.start,
                    size: damage.end - damage.start,
                    base_offset: damage.first,
                    count: damage.next - damage.first,
                    damage: Some(damage.reason()),
                    ..empty
                }),
                Surveyed::Refused(first, next, error) => visit(&FrameInfo {
                    base_offset: first,
                    count: next - first,
                    damage: Some(error.message().to_owned()),
                    ..empty
                }),
            }
        })
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Data => "data",
        Kind::Pad => "pad",
        Kind::Void => "void",
        Kind::Control => "control",
        Kind::Transaction => "transaction",
        Kind::Unknown(_) => "unknown",
    }
}
