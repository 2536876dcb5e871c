//! Tests of the format as a whole: what is written comes back, what is changed is noticed, what is hostile is survived.

mod arbitrary;
mod commits;
mod frames;
mod golden;
mod journals;
mod limits;
mod manifests;
mod segments;

use crate::ids::{PartitionId, TopicId};

fn partition(topic: u32, partition: u32) -> PartitionId {
    PartitionId { topic: TopicId(topic), partition }
}

/// Asserts that `notices` says yes to every change of any one byte of `bytes`.
fn every_changed_byte(bytes: &[u8], notices: impl Fn(&[u8]) -> bool) {
    let mut changed = bytes.to_vec();
    for at in 0..bytes.len() {
        // Each single bit, the byte below, the byte above, all bits: what rot and shifted copies make of a byte.
        let flips = (0..8).map(|bit| bytes[at] ^ (1 << bit));
        for byte in flips.chain([bytes[at].wrapping_sub(1), bytes[at].wrapping_add(1), !bytes[at], 0, 0xff]) {
            if byte != bytes[at] {
                changed[at] = byte;
                assert!(notices(&changed), "byte {at} changed from {:#04x} to {byte:#04x}", bytes[at]);
            }
        }
        changed[at] = bytes[at];
    }
}
