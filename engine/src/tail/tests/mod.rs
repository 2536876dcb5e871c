//! The tail against its promises.

mod model;
mod rules;
mod stress;

use std::io;
use std::sync::Arc as StdArc;

use super::{Tail, TailStart};
use crate::buffer::{Budget, HeapMemory, Pool};
use crate::durability::Durability;
use crate::format::frame::{self, Header, Kind, Place};
use crate::format::plan::Plan;
use crate::format::record::Record;
use crate::ids::{Generation, PartitionId, TopicId};
use crate::io::File;
use crate::segment::{Chain, PreparedSegment, Segment};
use crate::sync::Arc;

pub(super) const PARTITION: PartitionId = PartitionId { topic: TopicId(7), partition: 3 };

/// A file that nobody should touch: the tail does no I/O.
struct NoFile;

impl File for NoFile {
    fn read_at(&self, _position: u64, _into: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn write_at(&self, _position: u64, _from: &[u8], _durable: bool) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn sync(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn reserve(&self, _size: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn set_size(&self, _size: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
    fn size(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

pub(super) fn prepared(sequence: u32, capacity: u64) -> PreparedSegment {
    let generation = Generation(0x5eed_0000 + u64::from(sequence));
    PreparedSegment { sequence, generation, capacity, file: StdArc::new(NoFile) }
}

pub(super) fn tail_at(next_offset: u64, memory: usize) -> Tail {
    let pool = Pool::new(Budget::new(memory, 0), Box::new(HeapMemory));
    let start = TailStart { partition: PARTITION, durability: Durability::Durable, next_offset, last_time: 0 };
    Tail::new(start, pool, Arc::new(Chain::new(Vec::new())))
}

pub(super) fn plan<'a>(value: &'a [u8]) -> (Plan, [Record<'a>; 1]) {
    let records = [Record::new(value)];
    (Plan::new(&records).expect("the record is within limits"), records)
}

/// The size of a value whose frame has exactly `size` bytes.
pub(super) fn value_for(size: usize) -> usize {
    size - frame::HEADER_SIZE
}

/// Appends one value, inside the lock.
pub(super) fn append(tail: &Tail, value: &[u8]) -> Result<super::Appended, super::Refusal> {
    let (plan, records) = plan(value);
    tail.append(&plan, &records, 1000)
}

/// Reads the bytes `from..to` of a segment out of its blocks.
pub(super) fn bytes_of(segment: &Segment, from: u64, to: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut position = from;
    let blocks = segment.blocks();
    while position < to {
        let block = segment.block_at(position).expect("the range is in memory");
        let next = blocks.iter().map(|block| block.position()).find(|start| *start > position).unwrap_or(u64::MAX);
        let end = to.min(next).min(block.position() + block.capacity() as u64);
        let at = (position - block.position()) as usize;
        // SAFETY: the range is below the published prefix.
        bytes.extend_from_slice(unsafe { block.bytes(at, (end - position) as usize) });
        position = end;
    }
    bytes
}

/// A frame as it was found.
pub(super) struct Found {
    pub position: u64,
    pub header: Header,
    pub bytes: Vec<u8>,
}

impl Found {
    pub(super) fn is_data(&self) -> bool {
        self.header.kind == Kind::Data
    }

    /// The body without its padding.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[frame::HEADER_SIZE..self.bytes.len() - self.header.pad()]
    }
}

/// Parses frames that follow each other without a gap.
pub(super) fn frames(segment: &Segment, from: u64, bytes: &[u8]) -> Vec<Found> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let position = from + at as u64;
        let place = Place {
            partition: segment.partition,
            generation: segment.generation,
            position,
            segment_base: segment.base_offset,
        };
        let header = frame::verify(&bytes[at..], &place).expect("published frames are whole");
        let size = header.size as usize;
        found.push(Found { position, header, bytes: bytes[at..at + size].to_vec() });
        at += size;
    }
    found
}
