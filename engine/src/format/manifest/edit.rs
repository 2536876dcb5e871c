//! The edits: every change to what the store consists of.

use super::EditError;
use super::body::{Body, NAME_MAX, put_name, put_partition, put_u32, put_u64};
use crate::durability::Durability;
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::limits::{PARTITIONS_MAX, TOPIC_NAME_MAX};

/// How far a partition's journalled bytes had reached their segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CheckpointEntry {
    pub partition: PartitionId,
    /// Of the segment that `position` is in.
    pub generation: Generation,
    /// Durable up to this byte of the segment file.
    pub position: u64,
    /// Offset there.
    pub offset: u64,
    /// An append time that no frame below it exceeds; ms since 1970.
    pub time: i64,
}

/// A change to what the store consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing: ends each copy of a commit at a sector.
    Padding,
    /// The first edit of every log.
    Store {
        id: u64,
        sector: u32,
        durable: DurablePrimitive,
    },
    TopicCreated {
        id: TopicId,
        name: String,
        partitions: u32,
        durability: Durability,
    },
    TopicDeleted {
        id: TopicId,
    },
    /// The topic has this many partitions from now on.
    PartitionsAdded {
        id: TopicId,
        partitions: u32,
    },
    /// A segment takes appends from now on. With `gap`, its base may lie above the end of the one before.
    SegmentActivated {
        partition: PartitionId,
        sequence: u32,
        generation: Generation,
        base_offset: u64,
        base_time: i64,
        capacity: u64,
        gap: bool,
    },
    /// A segment ended here. `footer_size` is 0 where no footer was written.
    SegmentSealed {
        generation: Generation,
        partition: PartitionId,
        end_position: u64,
        end_offset: u64,
        end_time: i64,
        footer_size: u32,
    },
    /// A segment's offsets are below the log start; its file is free.
    SegmentRemoved {
        partition: PartitionId,
        generation: Generation,
    },
    /// A segment beyond a cut tail: evidence at most, never data.
    SegmentDropped {
        partition: PartitionId,
        generation: Generation,
    },
    LogStart {
        partition: PartitionId,
        offset: u64,
    },
    /// Acknowledged offsets `start..end` are damaged.
    Damaged {
        partition: PartitionId,
        generation: Generation,
        start: u64,
        end: u64,
    },
    /// Recovery of a shard's journal may begin at `lsn`, and of these partitions at these positions. Partitions that
    /// are not named keep the position named last.
    Checkpoint {
        set: u64,
        shard: u32,
        lsn: Lsn,
        entries: Vec<CheckpointEntry>,
    },
    /// The journal consists of this set from now on, one journal per shard.
    JournalSet {
        set: u64,
        shards: u32,
    },
    /// A file is written in by a journal of the current set: as long as the set is current, it has to be there.
    JournalFile {
        set: u64,
        number: u32,
        size: u64,
    },
    /// A file in journal format whose writes, `first_lsn` up to below `end_lsn`, overlay segments until it is released.
    JournalKept {
        set: u64,
        number: u32,
        shard: u32,
        generation: Generation,
        first_lsn: Lsn,
        end_lsn: Lsn,
    },
    JournalReleased {
        set: u64,
        number: u32,
    },
    /// Why durable writes are made as [`Edit::Store`] says. For people.
    DurableReason {
        reason: String,
    },
    /// Whether the store was closed cleanly. Every open commits `false` before its first write.
    Clean(bool),
}

impl Edit {
    /// The number that stands for the kind in the log.
    pub(super) fn kind(&self) -> u32 {
        match self {
            Edit::Padding => 0,
            Edit::Store { .. } => 1,
            Edit::TopicCreated { .. } => 2,
            Edit::TopicDeleted { .. } => 3,
            Edit::PartitionsAdded { .. } => 4,
            Edit::SegmentActivated { .. } => 5,
            Edit::SegmentSealed { .. } => 6,
            Edit::SegmentRemoved { .. } => 7,
            Edit::SegmentDropped { .. } => 8,
            Edit::LogStart { .. } => 9,
            Edit::Damaged { .. } => 10,
            Edit::Checkpoint { .. } => 11,
            Edit::JournalSet { .. } => 12,
            Edit::JournalKept { .. } => 13,
            Edit::JournalReleased { .. } => 14,
            Edit::Clean(_) => 15,
            Edit::JournalFile { .. } => 16,
            Edit::DurableReason { .. } => 17,
        }
    }

    /// Appends the body.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Edit::Padding => {}
            Edit::Store { id, sector, durable } => {
                put_u64(out, *id);
                put_u32(out, *sector);
                out.push(match durable {
                    DurablePrimitive::DurableWrite => 1,
                    DurablePrimitive::WriteThenSync => 2,
                });
            }
            Edit::TopicCreated { id, name, partitions, durability } => {
                put_u32(out, id.0);
                put_u32(out, *partitions);
                out.push(*durability as u8);
                put_name(out, name);
            }
            Edit::TopicDeleted { id } => put_u32(out, id.0),
            Edit::PartitionsAdded { id, partitions } => {
                put_u32(out, id.0);
                put_u32(out, *partitions);
            }
            Edit::SegmentActivated { partition, sequence, generation, base_offset, base_time, capacity, gap } => {
                put_partition(out, *partition);
                put_u32(out, *sequence);
                put_u64(out, generation.0);
                put_u64(out, *base_offset);
                put_u64(out, *base_time as u64);
                put_u64(out, *capacity);
                out.push(u8::from(*gap));
            }
            Edit::SegmentSealed { generation, partition, end_position, end_offset, end_time, footer_size } => {
                put_partition(out, *partition);
                put_u64(out, generation.0);
                put_u64(out, *end_position);
                put_u64(out, *end_offset);
                put_u64(out, *end_time as u64);
                put_u32(out, *footer_size);
            }
            Edit::SegmentRemoved { partition, generation } | Edit::SegmentDropped { partition, generation } => {
                put_partition(out, *partition);
                put_u64(out, generation.0);
            }
            Edit::LogStart { partition, offset } => {
                put_partition(out, *partition);
                put_u64(out, *offset);
            }
            Edit::Damaged { partition, generation, start, end } => {
                put_partition(out, *partition);
                put_u64(out, generation.0);
                put_u64(out, *start);
                put_u64(out, *end);
            }
            Edit::Checkpoint { set, shard, lsn, entries } => {
                put_u64(out, *set);
                put_u32(out, *shard);
                put_u64(out, lsn.0);
                encode_entries(out, entries);
            }
            Edit::JournalSet { set, shards } => {
                put_u64(out, *set);
                put_u32(out, *shards);
            }
            Edit::JournalKept { set, number, shard, generation, first_lsn, end_lsn } => {
                put_u64(out, *set);
                put_u32(out, *number);
                put_u32(out, *shard);
                put_u64(out, generation.0);
                put_u64(out, first_lsn.0);
                put_u64(out, end_lsn.0);
            }
            Edit::JournalFile { set, number, size } => {
                put_u64(out, *set);
                put_u32(out, *number);
                put_u64(out, *size);
            }
            Edit::JournalReleased { set, number } => {
                put_u64(out, *set);
                put_u32(out, *number);
            }
            Edit::DurableReason { reason } => {
                let fits = (0..=reason.len().min(NAME_MAX)).rev().find(|at| reason.is_char_boundary(*at));
                put_name(out, &reason[..fits.unwrap_or(0)]);
            }
            Edit::Clean(clean) => out.push(u8::from(*clean)),
        }
    }

    /// Reads the body of an edit whose checksum is valid.
    pub(super) fn decode(kind: u32, bytes: &[u8]) -> Result<Edit, EditError> {
        let mut body = Body::new(bytes);
        let edit = match kind {
            0 => {
                let rest = body.bytes(body.left())?;
                if rest.iter().any(|byte| *byte != 0) {
                    return Err(EditError::Damaged);
                }
                Edit::Padding
            }
            1 => Edit::Store { id: body.u64()?, sector: body.u32()?, durable: durable(body.u8()?)? },
            2 => topic_created(&mut body)?,
            3 => Edit::TopicDeleted { id: body.topic()? },
            4 => Edit::PartitionsAdded { id: body.topic()?, partitions: partitions(body.u32()?)? },
            5 => Edit::SegmentActivated {
                partition: body.partition()?,
                sequence: body.u32()?,
                generation: body.generation()?,
                base_offset: body.u64()?,
                base_time: body.i64()?,
                capacity: body.u64()?,
                gap: body.flag()?,
            },
            6 => Edit::SegmentSealed {
                partition: body.partition()?,
                generation: body.generation()?,
                end_position: body.u64()?,
                end_offset: body.u64()?,
                end_time: body.i64()?,
                footer_size: body.u32()?,
            },
            7 => Edit::SegmentRemoved { partition: body.partition()?, generation: body.generation()? },
            8 => Edit::SegmentDropped { partition: body.partition()?, generation: body.generation()? },
            9 => Edit::LogStart { partition: body.partition()?, offset: body.u64()? },
            10 => Edit::Damaged {
                partition: body.partition()?,
                generation: body.generation()?,
                start: body.u64()?,
                end: body.u64()?,
            },
            11 => Edit::Checkpoint {
                set: body.u64()?,
                shard: body.u32()?,
                lsn: body.lsn()?,
                entries: decode_entries(&mut body)?,
            },
            12 => Edit::JournalSet { set: body.u64()?, shards: body.u32()? },
            13 => Edit::JournalKept {
                set: body.u64()?,
                number: body.u32()?,
                shard: body.u32()?,
                generation: body.generation()?,
                first_lsn: body.lsn()?,
                end_lsn: body.lsn()?,
            },
            14 => Edit::JournalReleased { set: body.u64()?, number: body.u32()? },
            15 => Edit::Clean(body.flag()?),
            16 => Edit::JournalFile { set: body.u64()?, number: body.u32()?, size: body.u64()? },
            17 => Edit::DurableReason { reason: body.name()?.into() },
            _ => return Err(EditError::Unsupported(format!("this build does not know manifest edits of kind {kind}"))),
        };
        if body.left() == 0 { Ok(edit) } else { Err(EditError::Damaged) }
    }
}

fn durable(number: u8) -> Result<DurablePrimitive, EditError> {
    match number {
        1 => Ok(DurablePrimitive::DurableWrite),
        2 => Ok(DurablePrimitive::WriteThenSync),
        _ => Err(EditError::Unsupported(format!("this build does not know durable primitive {number}"))),
    }
}

fn partitions(number: u32) -> Result<u32, EditError> {
    if (1..=PARTITIONS_MAX).contains(&number) { Ok(number) } else { Err(EditError::Damaged) }
}

fn topic_created(body: &mut Body<'_>) -> Result<Edit, EditError> {
    let id = body.topic()?;
    let partitions = partitions(body.u32()?)?;
    let number = body.u8()?;
    let durability = Durability::from_u8(number)
        .ok_or_else(|| EditError::Unsupported(format!("this build does not know durability {number}")))?;
    let name = body.name()?;
    if !(1..=TOPIC_NAME_MAX).contains(&name.len()) {
        return Err(EditError::Damaged);
    }
    Ok(Edit::TopicCreated { id, name: name.into(), partitions, durability })
}

fn encode_entries(out: &mut Vec<u8>, entries: &[CheckpointEntry]) {
    put_u32(out, u32::try_from(entries.len()).expect("an edit is within its limit"));
    for entry in entries {
        put_partition(out, entry.partition);
        put_u64(out, entry.generation.0);
        put_u64(out, entry.position);
        put_u64(out, entry.offset);
        put_u64(out, entry.time as u64);
    }
}

fn decode_entries(body: &mut Body<'_>) -> Result<Vec<CheckpointEntry>, EditError> {
    /// Bytes of one entry.
    const ENTRY: usize = 40;
    let count = body.u32()? as usize;
    if body.left() != count.saturating_mul(ENTRY) {
        return Err(EditError::Damaged);
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(CheckpointEntry {
            partition: body.partition()?,
            generation: body.generation()?,
            position: body.u64()?,
            offset: body.u64()?,
            time: body.i64()?,
        });
    }
    Ok(entries)
}
