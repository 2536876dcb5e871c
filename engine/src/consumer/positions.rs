//! Where a consumer is, and making it durable.

use super::consumer::Consumer;
use super::slot::Slot;
use crate::error::{Error, ErrorKind, Result};
use crate::internal::{PositionStore, Saved};
use crate::sync::Arc;
use crate::topic::Topic;

/// A position to [commit](Consumer::commit_positions).
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// The topic.
    pub topic: &'a Topic,
    /// The partition's index.
    pub partition: u32,
    /// The offset to go on at: one after the last record that was handled.
    pub offset: u64,
    /// Up to 4,096 bytes that are kept with it, and mean nothing to the engine.
    pub metadata: &'a [u8],
}

/// Where a consumer is in a partition. Made by [`Consumer::positions`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerPosition {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: u32,
    /// The offset that is read next.
    pub offset: u64,
    /// The offset that is committed under the consumer's name.
    pub committed: Option<u64>,
    /// Offsets from there to the high watermark: what is still to be read.
    pub lag: u64,
}

impl Consumer {
    /// Where it is, by topic number and partition.
    pub fn positions(&self) -> Vec<ConsumerPosition> {
        let slots = self.by_partition.values().filter_map(|index| self.slots.get(index));
        let position = |slot: &super::slot::Slot| ConsumerPosition {
            topic: slot.topic.name().to_owned(),
            partition: slot.id().partition,
            offset: slot.offset(),
            committed: slot.committed(),
            lag: slot.source.current().watermark().high().saturating_sub(slot.offset()),
        };
        slots.map(position).collect()
    }

    /// What is still to be read of all partitions together. Offsets, of which some may have no record.
    pub fn lag(&self) -> u64 {
        self.positions().iter().map(|position| position.lag).sum()
    }

    /// Makes durable, under the consumer's name, that everything which polls have returned is handled: all partitions
    /// or none, whatever crashes. Returns when it is. Positions that did not move are not written again, and those before
    /// which the log was cut are not written: other records stand there. They are written without metadata, also where
    /// [`commit_positions`](Consumer::commit_positions) had given some. Now and then it takes some milliseconds more, to
    /// rewrite the log of the positions. In a topic of a weaker mode it first makes durable what the position stands
    /// behind. A [`truncate_after`](crate::Topic::truncate_after) that is under way is waited for.
    ///
    /// # Errors
    /// [`InvalidArgument`](ErrorKind::InvalidArgument) for a consumer without a name;
    /// [`TooLarge`](ErrorKind::TooLarge) for more than 65,535 positions at once, one fewer than the partitions that a
    /// topic can have ([`commit_positions`](Consumer::commit_positions) takes them in parts), or when all positions of
    /// the store together would exceed 8 MiB; and those of [`Topic::append`]. After an error of the device it is not known
    /// whether they are committed; the next open tells.
    pub fn commit(&mut self) -> Result<()> {
        let common = Arc::clone(&self.common);
        common.gate.check()?;
        let _kept = common.without_cuts();
        let moved = |slot: &&Slot| slot.committed() != Some(slot.offset()) && !slot.is_cut();
        let moved: Vec<&Slot> = self.slots.values().filter(moved).collect();
        PositionStore::keep(&moved.iter().map(|slot| (slot.source.current(), slot.offset())).collect::<Vec<_>>())?;
        let saved = |slot: &Slot| Saved { partition: slot.id(), offset: slot.offset(), metadata: Vec::new() };
        let saved: Vec<Saved> = moved.into_iter().map(saved).collect();
        self.save(&saved)
    }

    /// As [`commit`](Consumer::commit), but these positions: of partitions that are read or are not, with metadata.
    /// Where the consumer reads on does not change.
    ///
    /// # Errors
    /// As [`commit`](Consumer::commit); [`NotFound`](ErrorKind::NotFound) for a partition that its topic does not
    /// have; [`TooLarge`](ErrorKind::TooLarge) for metadata beyond 4,096 bytes; [`OutOfRange`](ErrorKind::OutOfRange)
    /// for an offset above the high watermark, to which no reader can have come. One below the log start is taken.
    pub fn commit_positions(&mut self, positions: &[Position<'_>]) -> Result<()> {
        let common = Arc::clone(&self.common);
        common.gate.check()?;
        let _kept = common.without_cuts();
        let places = positions.iter().map(|position| {
            self.check(position.topic)?;
            let partition = position.topic.source(position.partition)?.partition;
            partition.check_reached(position.offset)?;
            Ok((partition, position.offset))
        });
        let places = places.collect::<Result<Vec<_>>>()?;
        PositionStore::keep(&places)?;
        let saved = positions.iter().zip(places).map(|(position, (partition, offset))| Saved {
            partition: partition.id(),
            offset,
            metadata: position.metadata.to_vec(),
        });
        self.save(&saved.collect::<Vec<Saved>>())
    }

    fn save(&mut self, positions: &[Saved]) -> Result<()> {
        let Some(name) = &self.name else {
            let message = "a consumer without a name cannot commit; give it one in its options";
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        };
        self.store.commit(name.name(), positions)?;
        for saved in positions {
            let slot = self.by_partition.get(&saved.partition).and_then(|index| self.slots.get_mut(index));
            if let Some(slot) = slot {
                slot.commit(saved.offset);
            }
        }
        Ok(())
    }
}
