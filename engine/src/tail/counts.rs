//! What was appended to a partition since it was opened.

use crate::sync::Counter;

/// Counted under the append lock, where the lines are at hand anyway, and read without it.
#[derive(Debug, Default)]
pub(super) struct Counts {
    appends: Counter,
    records: Counter,
    bytes: Counter,
}

/// A batch, as it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    pub records: u16,
    /// Of keys, values and headers.
    pub bytes: u32,
}

/// What was appended since the partition was opened, or to several of them together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AppendTotals {
    /// Batches.
    pub appends: u64,
    pub records: u64,
    /// Of keys, values and headers.
    pub bytes: u64,
}

impl Counts {
    /// A batch was appended. Under the append lock.
    #[inline]
    pub(super) fn count(&self, batch: Batch) {
        self.appends.add_alone(1);
        self.records.add_alone(u64::from(batch.records));
        self.bytes.add_alone(u64::from(batch.bytes));
    }

    pub(super) fn totals(&self) -> AppendTotals {
        AppendTotals { appends: self.appends.get(), records: self.records.get(), bytes: self.bytes.get() }
    }
}

impl From<AppendTotals> for Counts {
    fn from(before: AppendTotals) -> Counts {
        let counts = Counts::default();
        counts.appends.set(before.appends);
        counts.records.set(before.records);
        counts.bytes.set(before.bytes);
        counts
    }
}

impl AppendTotals {
    pub(crate) fn add(&mut self, other: AppendTotals) {
        self.appends += other.appends;
        self.records += other.records;
        self.bytes += other.bytes;
    }
}
