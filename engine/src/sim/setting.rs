//! What one world is like: sizes, faults and habits, drawn from its seed.

use super::faults::Faults;
use super::oracle::Promise;
use super::rng::{Rng, scramble};
use super::workload::Sizes;

/// The fixed circumstances of a world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    pub(crate) faults: Faults,
    pub(crate) sizes: Sizes,
    /// Of a segment file. Bytes.
    pub(crate) first_segment: u64,
    pub(crate) largest_segment: u64,
    /// Of a journal file, and how many each shard has. Bytes.
    pub(crate) journal_size: u64,
    pub(crate) journal_files: u32,
    pub(crate) topics: u64,
    pub(crate) partitions: u64,
    /// One topic in so many promises less than durability; 0 for none.
    pub(crate) weaker_one_in: u64,
    /// Crashes and closes before the world ends.
    pub(crate) lives: u64,
    /// The longest life. Steps.
    pub(crate) steps: u64,
    /// One crash in so many is a kill; the others cut power.
    pub(crate) kill_one_in: u64,
    /// One life in so many ends with a close.
    pub(crate) close_one_in: u64,
    /// One open in so many is interrupted by a crash.
    pub(crate) interrupted_one_in: u64,
    /// Chance that a batch is made of what stands in the store's files, per million.
    pub(crate) loot: u32,
    /// One step in so many truncates a partition; 0 for none.
    pub(crate) truncate_one_in: u64,
    /// Chance that a write or flush has no descriptor, per million.
    pub(crate) starved: u32,
}

impl Setting {
    pub(crate) fn draw(rng: &mut Rng) -> Setting {
        let sizes = Sizes::draw(rng);
        let mut faults = Faults::draw(rng);
        if rng.one_in(8) {
            // A little more than the manifest reserves for itself, so that segments and journals are what it is short of.
            faults.capacity = Some(rng.between(1_650, 2_600) << 10);
        }
        Setting {
            faults,
            sizes,
            first_segment: *rng.pick(&[16, 32, 64, 128]) << 10,
            largest_segment: *rng.pick(&[32, 64, 128, 128]) << 10,
            journal_size: *rng.pick(&[64, 64, 96]) << 10,
            journal_files: rng.between(2, 3) as u32,
            topics: rng.between(1, 2),
            partitions: rng.between(1, 3),
            weaker_one_in: *rng.pick(&[0, 0, 3]),
            lives: rng.between(6, 14),
            steps: *rng.pick(&[10, 10, 30, 30, 80, 300]),
            kill_one_in: *rng.pick(&[2, 4, 10]),
            close_one_in: *rng.pick(&[6, 12, 30]),
            interrupted_one_in: *rng.pick(&[3, 6, 20]),
            loot: if rng.one_in(4) { 30_000 } else { 0 },
            // Drawn beside the others: worlds without truncations are what they would be if there were none.
            truncate_one_in: *Rng::new(scramble(rng.clone().next())).pick(&[0, 20, 60]),
            starved: *Rng::new(scramble(rng.clone().next() ^ 1)).pick(&[0, 0, 30_000, 300_000]),
        }
    }

    /// The promise of a new topic.
    pub(crate) fn promise(&self, rng: &mut Rng) -> Promise {
        if self.weaker_one_in > 0 && rng.one_in(self.weaker_one_in) {
            *rng.pick(&[Promise::Kill, Promise::Nothing])
        } else {
            Promise::PowerCut
        }
    }
}
