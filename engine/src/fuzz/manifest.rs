//! Root slots, edits, commits, and the image that edits add up to.

use super::choice;
use crate::format::file::set_version;
use crate::format::manifest::{
    self, Edit, ROOT_SIZE, Root, SLOT_SIZE, Slot, append_commit, append_edit, log_start, parse_edit, read_commit,
};
use crate::ids::DurablePrimitive;
use crate::limits::SECTOR;
use crate::manifest::Manifest;

const STORE: u64 = 0x5707_e000_0000_0001;
const LOG: u32 = 3;

/// Root slots, edits, commits, and the image that edits add up to.
pub fn manifest(data: &[u8]) {
    let (mode, data) = choice(data);
    let mut bytes = data.to_vec();
    match mode % 6 {
        0 => check_root(&bytes),
        1 => {
            bytes.resize(ROOT_SIZE, 0);
            set_version(&mut bytes, 1);
            check_root(&bytes);
        }
        2 => check_log(&mut bytes, false),
        3 => check_log(&mut bytes, true),
        4 => check_commit(&bytes),
        _ => check_copies(data),
    }
}

fn check_root(bytes: &[u8]) {
    let Ok(root) = Root::parse(bytes) else { return };
    let mut again = vec![0; SLOT_SIZE];
    root.encode(&mut again);
    assert_eq!(Slot::parse(&again), Ok(Slot { newest: root, whole: true, same: true }));
}

/// Reads edits one after the other, as far as they go. With `forged`, the checksum of each says yes.
fn check_log(bytes: &mut [u8], forged: bool) {
    let mut image = Manifest::new(STORE, SECTOR as u32, DurablePrimitive::DurableWrite);
    let (mut at, mut previous) = (0, log_start(STORE, LOG));
    for sequence in 1.. {
        if forged {
            if let Some(number) = bytes.get_mut(at + 8..at + 16) {
                number.copy_from_slice(&u64::to_le_bytes(sequence));
            }
            manifest::forge(&mut bytes[at..], previous);
        }
        let Ok(logged) = parse_edit(&bytes[at..], sequence, previous) else { break };
        assert!(logged.size > 0 && at + logged.size <= bytes.len());
        if logged.edit != Edit::Padding {
            let mut again = Vec::new();
            assert_eq!(append_edit(&mut again, &logged.edit, sequence, previous), logged.crc);
            assert_eq!(again, bytes[at..at + logged.size]);
        }
        // An edit that does not fit those before ends the reading, as it does when a store is opened.
        let before = image.clone();
        if image.apply(&logged.edit).is_err() {
            image = before;
            break;
        }
        (at, previous) = (at + logged.size, logged.crc);
    }
    check_snapshot(&image);
}

/// What is read as a commit is what its undamaged sectors hold.
fn check_commit(bytes: &[u8]) {
    let Ok(commit) = read_commit(bytes, 0, log_start(STORE, LOG)) else { return };
    let mut again = Vec::new();
    let end = append_commit(&mut again, &commit.edits, 0, log_start(STORE, LOG));
    assert!(commit.size <= bytes.len() && commit.damaged.iter().all(|range| range.end <= commit.size));
    // Its padding may be longer than any that this build writes.
    if again.len() == commit.size {
        assert_eq!(end, (commit.sequence, commit.crc));
        for at in (0..commit.size).step_by(SECTOR as usize) {
            let sector = at..at + SECTOR as usize;
            let damaged = commit.damaged.iter().any(|range| range.contains(&at));
            assert_eq!(again[sector.clone()] != bytes[sector], damaged);
        }
    }
}

/// A commit of which anything was written over both copies, piece by piece: a copy, a place, a size, the bytes.
fn check_copies(mut data: &[u8]) {
    let edits: Vec<Edit> = (1..40).map(|id| Edit::TopicDeleted { id: crate::ids::TopicId(id) }).collect();
    let mut bytes = Vec::new();
    for _ in 0..6 {
        append_commit(&mut bytes, &edits, 0, log_start(STORE, LOG));
    }
    while let Some(([low, high, size], rest)) = data.split_first_chunk::<3>() {
        let at = usize::from(u16::from_le_bytes([*low, *high])) % bytes.len();
        let (piece, rest) = rest.split_at(rest.len().min(usize::from(*size)).min(bytes.len() - at));
        bytes[at..at + piece.len()].copy_from_slice(piece);
        data = rest;
    }
    check_commit(&bytes);
}

/// A snapshot says what the image says.
fn check_snapshot(image: &Manifest) {
    let snapshot = image.snapshot();
    let mut again = Manifest::new(STORE, SECTOR as u32, DurablePrimitive::DurableWrite);
    for edit in &snapshot {
        again.apply(edit).expect("a snapshot is made of edits that fit");
    }
    assert_eq!(again.snapshot(), snapshot);
}
