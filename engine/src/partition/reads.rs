//! What is read of a partition, by where it was found.

use crate::sync::Counter;

/// Where a batch was found that is lent to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadFrom {
    /// In a block that is appended to.
    Appenders,
    /// In the cache, without waiting.
    Cache,
    /// The device was waited for.
    Device,
}

/// What was read since the partition was opened. Readers meet at the pins of its blocks as well.
#[derive(Debug, Default)]
pub(crate) struct ReadCounts {
    batches: [Counter; 3],
    bytes: Counter,
}

/// The same, as it was at a time, or of several partitions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadTotals {
    pub(crate) from_appenders: u64,
    pub(crate) from_cache: u64,
    pub(crate) from_device: u64,
    pub(crate) bytes: u64,
}

impl ReadCounts {
    /// A batch of so many bytes was lent.
    pub(crate) fn count(&self, from: ReadFrom, bytes: u64) {
        self.batches[from as usize].add(1);
        self.bytes.add(bytes);
    }

    pub(crate) fn totals(&self) -> ReadTotals {
        let [from_appenders, from_cache, from_device] = self.batches.each_ref().map(Counter::get);
        ReadTotals { from_appenders, from_cache, from_device, bytes: self.bytes.get() }
    }
}

impl ReadTotals {
    pub(crate) fn add(&mut self, other: ReadTotals) {
        self.from_appenders += other.from_appenders;
        self.from_cache += other.from_cache;
        self.from_device += other.from_device;
        self.bytes += other.bytes;
    }
}
