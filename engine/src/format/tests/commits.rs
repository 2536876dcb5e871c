//! Commits in two copies, of which one may rot.

use core::ops::Range;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::every_changed_byte;
use super::manifests::edit;
use crate::durability::Durability;
use crate::format::manifest::{Commit, Edit, EditError, append_commit, append_edit, read_commit};
use crate::ids::TopicId;
use crate::limits::SECTOR;

const SECTOR_SIZE: usize = SECTOR as usize;

fn edits(sizes: Range<usize>) -> impl Strategy<Value = Vec<Edit>> {
    vec(edit().prop_filter("padding ends a commit", |edit| *edit != Edit::Padding), sizes)
}

fn commit(edits: &[Edit]) -> Vec<u8> {
    let mut log = Vec::new();
    append_commit(&mut log, edits, 6, 8);
    log
}

/// Where each edit stands in a copy, the padding last.
fn places(edits: &[Edit], copy: usize) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut places: Vec<Range<usize>> = Vec::new();
    for edit in edits {
        let mut bytes = Vec::new();
        append_edit(&mut bytes, edit, 1, 1);
        places.push(at..at + bytes.len());
        at += bytes.len();
    }
    places.push(at..copy);
    places
}

/// The sectors in which `there` differs from `written`, neighbours together.
fn differing(written: &[u8], there: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for at in (0..written.len()).step_by(SECTOR_SIZE) {
        let sector = at..at + SECTOR_SIZE;
        if written[sector.clone()] != there[sector.clone()] {
            match ranges.last_mut() {
                Some(last) if last.end == at => last.end = sector.end,
                _ => ranges.push(sector),
            }
        }
    }
    ranges
}

fn assert_read(there: &[u8], written: &[u8], edits: &[Edit]) {
    let whole = read_commit(written, 6, 8).expect("nothing is damaged");
    let read = read_commit(there, 6, 8).expect("of every edit one copy is whole");
    assert_eq!(read.edits, edits);
    assert_eq!(read.damaged, differing(written, &there[..written.len()]));
    assert_eq!(Commit { damaged: Vec::new(), ..read }, whole);
}

proptest! {
    #[test]
    fn commits_come_back_in_order(first in edits(0..40), second in edits(0..40)) {
        let mut log = Vec::new();
        let (sequence, crc) = append_commit(&mut log, &first, 6, 8);
        let middle = log.len();
        let end = append_commit(&mut log, &second, sequence, crc);
        let a = read_commit(&log, 6, 8).expect("the commit is whole");
        prop_assert_eq!((&a.edits, a.size, a.sequence, a.crc), (&first, middle, sequence, crc));
        let b = read_commit(&log[middle..], a.sequence, a.crc).expect("the commit is whole");
        prop_assert_eq!((&b.edits, b.size, (b.sequence, b.crc)), (&second, log.len() - middle, end));
        prop_assert!(a.damaged.is_empty() && b.damaged.is_empty());
        prop_assert!(read_commit(&log[middle..], sequence, crc ^ 1).is_err());
        prop_assert!(read_commit(&log[..middle - SECTOR_SIZE], 6, 8).is_err());
    }

    /// Each edit may rot in either copy, as long as it does not in both.
    #[test]
    fn an_edit_that_is_whole_once_is_read(
        edits in edits(1..80),
        rot in vec((any::<Index>(), any::<bool>(), any::<Index>(), 1u8..), 0..12),
    ) {
        let written = commit(&edits);
        let places = places(&edits, written.len() / 2);
        let mut there = written.clone();
        let mut rotten = vec![None; places.len()];
        for (edit, second, byte, by) in rot {
            let index = edit.index(places.len());
            let second = *rotten[index].get_or_insert(second);
            let place = &places[index];
            let at = place.start + byte.index(place.len()) + usize::from(second) * written.len() / 2;
            there[at] = written[at] ^ by;
        }
        there.extend_from_slice(&commit(&[Edit::Clean(true)]));
        assert_read(&there, &written, &edits);
    }

    #[test]
    fn an_edit_that_is_whole_nowhere_is_damage(
        edits in edits(1..40), edit: Index, bytes in (any::<Index>(), any::<Index>()), by in (1u8.., 1u8..),
    ) {
        let mut log = commit(&edits);
        let half = log.len() / 2;
        let place = places(&edits, half).swap_remove(edit.index(edits.len() + 1));
        log[place.start + bytes.0.index(place.len())] ^= by.0;
        log[half + place.start + bytes.1.index(place.len())] ^= by.1;
        prop_assert!(read_commit(&log, 6, 8).is_err());
    }

    /// A write that a loss of power cuts up, over whatever was there: all of the commit or none of it.
    #[test]
    fn a_torn_commit_is_read_whole_or_not_at_all(
        edits in edits(1..120), pieces in vec(any::<bool>(), 1..64), unit in prop_oneof![Just(512), Just(4096)],
        before in prop_oneof![Just(0u8), any::<u8>()],
    ) {
        let written = commit(&edits);
        let mut there = vec![before; written.len()];
        let kept = written.chunks(unit).zip(pieces.iter().cycle());
        for (index, (piece, _)) in kept.enumerate().filter(|(_, (_, kept))| **kept) {
            there[index * unit..][..piece.len()].copy_from_slice(piece);
        }
        match read_commit(&there, 6, 8) {
            Ok(read) => {
                prop_assert_eq!(&read.edits, &edits);
                prop_assert_eq!(read.damaged, differing(&written, &there));
            }
            Err(error) => prop_assert!(!matches!(error.why, EditError::Unsupported(_))),
        }
    }

    #[test]
    fn noise_is_no_commit(bytes in vec(any::<u8>(), 0..20_000)) {
        prop_assert!(read_commit(&bytes, 1, 2).is_err());
    }
}

fn topics(count: u32) -> Vec<Edit> {
    let topic = |number| Edit::TopicCreated {
        id: TopicId(number),
        name: format!("{number:0>200}"),
        partitions: 1,
        durability: Durability::Durable,
    };
    (0..count).map(topic).collect()
}

#[test]
fn any_changed_byte_of_a_commit_costs_nothing() {
    let edits = topics(2);
    let written = commit(&edits);
    every_changed_byte(&written, |changed| {
        assert_read(changed, &written, &edits);
        true
    });
}

#[test]
fn any_lost_sector_of_a_commit_costs_nothing() {
    for count in [1, 15, 60] {
        let edits = topics(count);
        let written = commit(&edits);
        for at in (0..written.len()).step_by(SECTOR_SIZE) {
            for other in 0..written.len() / SECTOR_SIZE {
                let mut there = written.clone();
                there.copy_within(other * SECTOR_SIZE..(other + 1) * SECTOR_SIZE, at);
                assert_read(&there, &written, &edits);
            }
            for byte in [0, 0xff] {
                let mut there = written.clone();
                there[at..at + SECTOR_SIZE].fill(byte);
                assert_read(&there, &written, &edits);
            }
        }
    }
}

#[test]
fn a_commit_that_is_cut_short_is_not_whole() {
    let written = commit(&topics(30));
    for size in (0..written.len()).step_by(512) {
        assert!(read_commit(&written[..size], 6, 8).is_err(), "{size} bytes");
    }
}
