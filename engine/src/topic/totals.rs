//! What happened to a topic since it was opened.

use super::state::TopicState;
use crate::partition::ReadTotals;
use crate::tail::AppendTotals;

/// What was appended to partitions and read from them, all together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) appends: AppendTotals,
    pub(crate) reads: ReadTotals,
}

impl Totals {
    pub(crate) fn add(&mut self, other: Totals) {
        self.appends.add(other.appends);
        self.reads.add(other.reads);
    }
}

impl TopicState {
    /// Of its partitions that have been used.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for partition in self.used() {
            totals.add(Totals { appends: partition.tail().appended(), reads: partition.reads().totals() });
        }
        totals
    }
}
