//! Writing and reading the bodies of edits: fields one after the other, little-endian, without padding.

use super::EditError;
use crate::ids::{Generation, Lsn, PartitionId, TopicId};

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_partition(out: &mut Vec<u8>, partition: PartitionId) {
    put_u32(out, partition.topic.0);
    put_u32(out, partition.partition);
}

/// The longest name, in bytes.
pub(super) const NAME_MAX: usize = u8::MAX as usize;

pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    out.push(u8::try_from(name.len()).expect("a name is within its limit"));
    out.extend_from_slice(name.as_bytes());
}

/// Takes fields off the front of a body. A body that ends too early is damaged.
pub(super) struct Body<'a> {
    rest: &'a [u8],
}

impl<'a> Body<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Body<'a> {
        Body { rest }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EditError> {
        let (array, rest) = self.rest.split_first_chunk::<N>().ok_or(EditError::Damaged)?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn bytes(&mut self, size: usize) -> Result<&'a [u8], EditError> {
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or(EditError::Damaged)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, EditError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn flag(&mut self) -> Result<bool, EditError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(EditError::Damaged),
        }
    }

    pub(super) fn name(&mut self) -> Result<&'a str, EditError> {
        let size = usize::from(self.u8()?);
        core::str::from_utf8(self.bytes(size)?).map_err(|_| EditError::Damaged)
    }

    pub(super) fn u32(&mut self) -> Result<u32, EditError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, EditError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn i64(&mut self) -> Result<i64, EditError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    pub(super) fn topic(&mut self) -> Result<TopicId, EditError> {
        Ok(TopicId(self.u32()?))
    }

    pub(super) fn partition(&mut self) -> Result<PartitionId, EditError> {
        Ok(PartitionId { topic: self.topic()?, partition: self.u32()? })
    }

    pub(super) fn generation(&mut self) -> Result<Generation, EditError> {
        Ok(Generation(self.u64()?))
    }

    pub(super) fn lsn(&mut self) -> Result<Lsn, EditError> {
        Ok(Lsn(self.u64()?))
    }

    /// Bytes not yet taken.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }
}
