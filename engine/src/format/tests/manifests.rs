//! Root slots and edits.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{every_changed_byte, partition};
use crate::durability::Durability;
use crate::format::file::{FileError, set_version};
use crate::format::manifest::{
    CheckpointEntry, EDIT_HEADER, Edit, EditError, ROOT_SIZE, Root, SLOT_SIZE, Slot, append_edit, append_padding,
    forge, log_start, parse_edit,
};
use crate::ids::{DurablePrimitive, Generation, Lsn, PartitionId, TopicId};
use crate::limits::{PARTITIONS_MAX, SECTOR, TOPIC_NAME_MAX};

fn root() -> Root {
    Root { store: 1, commit: 2, log_number: 3, log_length: 4096, last_sequence: 5, last_crc: 6 }
}

fn place() -> impl Strategy<Value = (PartitionId, Generation)> {
    (any::<u32>(), any::<u32>(), any::<u64>()).prop_map(|(t, p, g)| (partition(t, p), Generation(g)))
}

fn durability() -> impl Strategy<Value = Durability> {
    prop_oneof![Just(Durability::LoseOnKill), Just(Durability::LoseOnPowerCut), Just(Durability::Durable)]
}

fn durable() -> impl Strategy<Value = DurablePrimitive> {
    prop_oneof![Just(DurablePrimitive::DurableWrite), Just(DurablePrimitive::WriteThenSync)]
}

fn checkpoint_entry() -> impl Strategy<Value = CheckpointEntry> {
    (place(), any::<u64>(), any::<u64>(), any::<i64>()).prop_map(|((partition, generation), position, offset, time)| {
        CheckpointEntry { partition, generation, position, offset, time }
    })
}

/// Every edit there is.
pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let n = any::<u64>;
    let m = any::<u32>;
    let topic = || any::<u32>().prop_map(TopicId);
    let lsn = || any::<u64>().prop_map(Lsn);
    prop_oneof![
        Just(Edit::Padding),
        (n(), m(), durable()).prop_map(|(id, sector, durable)| Edit::Store { id, sector, durable }),
        (topic(), "[a-zA-Z0-9._-]{1,249}", 1..=PARTITIONS_MAX, durability())
            .prop_map(|(id, name, partitions, durability)| Edit::TopicCreated { id, name, partitions, durability }),
        topic().prop_map(|id| Edit::TopicDeleted { id }),
        (topic(), 1..=PARTITIONS_MAX).prop_map(|(id, partitions)| Edit::PartitionsAdded { id, partitions }),
        (place(), m(), n(), any::<i64>(), n(), any::<bool>()).prop_map(
            |((partition, generation), sequence, base_offset, base_time, capacity, gap)| Edit::SegmentActivated {
                partition,
                sequence,
                generation,
                base_offset,
                base_time,
                capacity,
                gap,
            }
        ),
        (place(), n(), n(), any::<i64>(), m()).prop_map(
            |((partition, generation), end_position, end_offset, end_time, footer_size)| Edit::SegmentSealed {
                generation,
                partition,
                end_position,
                end_offset,
                end_time,
                footer_size,
            }
        ),
        place().prop_map(|(partition, generation)| Edit::SegmentRemoved { partition, generation }),
        place().prop_map(|(partition, generation)| Edit::SegmentDropped { partition, generation }),
        (place(), n()).prop_map(|((partition, _), offset)| Edit::LogStart { partition, offset }),
        (place(), n(), n()).prop_map(|((partition, generation), start, end)| Edit::Damaged {
            partition,
            generation,
            start,
            end
        }),
        (n(), m(), lsn(), vec(checkpoint_entry(), 0..20)).prop_map(|(set, shard, lsn, entries)| Edit::Checkpoint {
            set,
            shard,
            lsn,
            entries
        }),
        (n(), m()).prop_map(|(set, shards)| Edit::JournalSet { set, shards }),
        (n(), m(), m(), n(), lsn(), lsn()).prop_map(|(set, number, shard, generation, first_lsn, end_lsn)| {
            Edit::JournalKept { set, number, shard, generation: Generation(generation), first_lsn, end_lsn }
        }),
        (n(), m()).prop_map(|(set, number)| Edit::JournalReleased { set, number }),
        (n(), m(), n()).prop_map(|(set, number, size)| Edit::JournalFile { set, number, size }),
        "\\PC{0,60}".prop_map(|reason| Edit::DurableReason { reason }),
        any::<bool>().prop_map(Edit::Clean),
    ]
}

proptest! {
    #[test]
    fn edits_come_back_in_order(edits in vec(edit(), 0..20), store: u64, number: u32) {
        let mut log = Vec::new();
        let mut crc = log_start(store, number);
        for (sequence, edit) in edits.iter().enumerate() {
            crc = append_edit(&mut log, edit, sequence as u64, crc);
            prop_assert!(log.len().is_multiple_of(8));
        }
        let last = append_padding(&mut log, edits.len() as u64, crc);
        prop_assert!(log.len().is_multiple_of(SECTOR as usize));

        let (mut at, mut previous) = (0, log_start(store, number));
        for (sequence, edit) in edits.iter().chain([&Edit::Padding]).enumerate() {
            let read = parse_edit(&log[at..], sequence as u64, previous).expect("the edit is whole");
            prop_assert_eq!((&read.edit, read.sequence), (edit, sequence as u64));
            (at, previous) = (at + read.size, read.crc);
        }
        prop_assert_eq!((at, previous), (log.len(), last));
    }

    #[test]
    fn a_changed_edit_is_noticed(edit in edit(), at: prop::sample::Index, by in 1u8..) {
        let mut log = Vec::new();
        append_edit(&mut log, &edit, 7, 8);
        let at = at.index(log.len());
        log[at] ^= by;
        prop_assert!(parse_edit(&log, 7, 8).is_err());
    }

    #[test]
    fn an_edit_has_its_place_in_the_log(edit in edit(), sequence: u64, previous: u32, other: u32) {
        let mut log = Vec::new();
        append_edit(&mut log, &edit, sequence, previous);
        prop_assert_eq!(parse_edit(&log, sequence.wrapping_add(1), previous), Err(EditError::Damaged));
        prop_assume!(other != previous);
        prop_assert_eq!(parse_edit(&log, sequence, other), Err(EditError::Damaged));
    }

    #[test]
    fn a_torn_edit_is_not_whole(edit in edit(), at: prop::sample::Index) {
        let mut log = Vec::new();
        append_edit(&mut log, &edit, 7, 8);
        let there = at.index(log.len());
        match parse_edit(&log[..there], 7, 8) {
            Err(EditError::Incomplete { needed }) => prop_assert!(needed > there && needed <= log.len()),
            other => prop_assert!(false, "{other:?}"),
        }
    }

    /// Bodies under a valid checksum that no writer made: refused, or read as an edit that comes back the same.
    #[test]
    fn hostile_edits_are_survived(edit in edit(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut log = Vec::new();
        append_edit(&mut log, &edit, 7, 8);
        for (at, byte) in changes {
            let at = at.index(log.len());
            log[at] = byte;
        }
        forge(&mut log, 8);
        if let Ok(read) = parse_edit(&log, 7, 8) {
            let mut again = Vec::new();
            append_edit(&mut again, &read.edit, 7, 8);
            let padding = matches!(read.edit, Edit::Padding);
            prop_assert!(padding || again == log[..read.size]);
        }
    }

    #[test]
    fn noise_is_no_manifest(bytes in vec(any::<u8>(), 0..5000)) {
        prop_assert!(Root::parse(&bytes).is_err());
        prop_assert!(parse_edit(&bytes, 1, 2).is_err());
    }
}

#[test]
fn roots_come_back_and_notice_every_changed_byte() {
    let mut sector = vec![0xa5; SLOT_SIZE];
    root().encode(&mut sector);
    let whole = Slot { newest: root(), whole: true, same: true };
    assert_eq!(Slot::parse(&sector), Ok(whole));
    assert!(Root::parse(&sector[..ROOT_SIZE - 1]).is_err());
    every_changed_byte(&sector[..ROOT_SIZE], |changed| Root::parse(changed).is_err());
    every_changed_byte(&sector, |changed| Slot::parse(changed) == Ok(Slot { whole: false, ..whole }));
    for at in (0..SLOT_SIZE).step_by(ROOT_SIZE) {
        let mut later = sector.clone();
        set_version(&mut later[at..at + ROOT_SIZE], 2);
        assert!(matches!(Slot::parse(&later), Err(FileError::Unsupported(_))));
    }
    sector.chunks_mut(ROOT_SIZE).for_each(|copy| copy[ROOT_SIZE / 2] = 1);
    assert!(matches!(Slot::parse(&sector), Err(FileError::Damaged(_))));
}

/// Wherever a write over an older root is cut off, one of the two is read.
#[test]
fn a_torn_root_is_the_old_one_or_the_new_one() {
    let (mut old, mut new) = (vec![0; SLOT_SIZE], vec![0; SLOT_SIZE]);
    let later = Root { commit: 3, log_length: 8192, ..root() };
    root().encode(&mut old);
    later.encode(&mut new);
    for cut in 0..=SLOT_SIZE {
        for (head, tail) in [(&new, &old), (&old, &new)] {
            let torn = [&head[..cut], &tail[cut..]].concat();
            let slot = Slot::parse(&torn).expect("a copy is whole");
            let piece = cut % ROOT_SIZE == 0 || !torn[..].chunks(ROOT_SIZE).any(|copy| Root::parse(copy).is_err());
            assert_eq!(slot.whole, piece, "cut at {cut}");
            assert!([root(), later].contains(&slot.newest));
            assert_eq!(
                slot.same,
                torn.chunks(ROOT_SIZE).filter_map(|copy| Root::parse(copy).ok()).all(|root| root == slot.newest)
            );
        }
    }
}

#[test]
fn every_changed_byte_of_an_edit_is_noticed() {
    let entry = CheckpointEntry {
        partition: partition(1, 2),
        generation: Generation(3),
        position: 4096,
        offset: 5,
        time: 1_700_000_000_000,
    };
    for edit in [
        Edit::Clean(true),
        Edit::Checkpoint { set: 1, shard: 2, lsn: Lsn(3), entries: vec![entry; 2] },
        Edit::TopicCreated { id: TopicId(1), name: "n".into(), partitions: 1, durability: Durability::Durable },
    ] {
        let mut log = Vec::new();
        append_edit(&mut log, &edit, 7, 8);
        every_changed_byte(&log, |changed| parse_edit(changed, 7, 8).is_err());
    }
}

/// An edit of `kind` with a body as given, its checksum valid.
fn raw(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut log = vec![0; (EDIT_HEADER + body.len()).next_multiple_of(8)];
    let size = log.len() as u32;
    log[..4].copy_from_slice(&size.to_le_bytes());
    log[8..16].copy_from_slice(&7u64.to_le_bytes());
    log[16..20].copy_from_slice(&kind.to_le_bytes());
    log[20..24].copy_from_slice(&(body.len() as u32).to_le_bytes());
    log[EDIT_HEADER..EDIT_HEADER + body.len()].copy_from_slice(body);
    forge(&mut log, 8);
    log
}

#[test]
fn edits_of_later_builds_are_unsupported() {
    let store = |primitive: u8| [&[0; 12][..], &[primitive]].concat();
    let topic = |durability: u8| [&[1, 0, 0, 0, 1, 0, 0, 0, durability, 1][..], b"t"].concat();
    assert!(parse_edit(&raw(1, &store(1)), 7, 8).is_ok());
    assert!(parse_edit(&raw(2, &topic(3)), 7, 8).is_ok());
    for (kind, body) in [(18, vec![]), (u32::MAX, vec![1, 2, 3]), (1, store(3)), (2, topic(0)), (2, topic(4))] {
        assert!(matches!(parse_edit(&raw(kind, &body), 7, 8), Err(EditError::Unsupported(_))), "{kind} {body:?}");
    }
}

#[test]
fn bodies_that_do_not_add_up_are_refused() {
    let topic = |partitions: u32, size: u8, name: &[u8]| {
        [&[1, 0, 0, 0][..], &partitions.to_le_bytes(), &[3, size], name].concat()
    };
    let long = vec![b'n'; TOPIC_NAME_MAX + 1];
    assert!(parse_edit(&raw(2, &topic(PARTITIONS_MAX, 249, &long[1..])), 7, 8).is_ok());
    let checkpoint = |count: u32, bytes: usize| [&[0; 20][..], &count.to_le_bytes(), &vec![0; bytes]].concat();
    assert!(parse_edit(&raw(11, &checkpoint(2, 80)), 7, 8).is_ok());
    let bodies = [
        (15, vec![2]),
        (15, vec![]),
        (15, vec![1, 0]),
        (0, vec![0, 1]),
        (2, topic(0, 1, b"n")),
        (2, topic(PARTITIONS_MAX + 1, 1, b"n")),
        (2, topic(1, 0, b"")),
        (2, topic(1, 250, &long)),
        (2, topic(1, 2, b"n")),
        (2, topic(1, 1, &[0xff])),
        (4, vec![0; 8]),
        (11, checkpoint(2, 79)),
        (11, checkpoint(u32::MAX, 40)),
        (11, checkpoint(1, 80)),
    ];
    for (kind, body) in bodies {
        assert_eq!(parse_edit(&raw(kind, &body), 7, 8), Err(EditError::Damaged), "{kind} {body:?}");
    }
    // Something in the bytes that only fill up to the alignment.
    let mut log = raw(15, &[1]);
    *log.last_mut().expect("an edit has bytes") = 1;
    forge(&mut log, 8);
    assert_eq!(parse_edit(&log, 7, 8), Err(EditError::Damaged));
}

#[test]
fn padding_reaches_the_sector_from_everywhere() {
    for length in (0..=2 * SECTOR as usize).step_by(8) {
        let mut log = vec![0xa5; length];
        let crc = append_padding(&mut log, 3, 4);
        assert!(log.len().is_multiple_of(SECTOR as usize) && log.len() > length);
        let read = parse_edit(&log[length..], 3, 4).expect("the padding is whole");
        assert_eq!((read.edit, read.crc, read.size), (Edit::Padding, crc, log.len() - length));
    }
}
