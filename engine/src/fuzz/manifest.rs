//! Root slots, edits, and the image that edits add up to.

use super::choice;
use crate::format::file::set_version;
use crate::format::manifest::{self, Edit, Root, append_edit, log_start, parse_edit};
use crate::ids::DurablePrimitive;
use crate::limits::SECTOR;
use crate::manifest::Manifest;

const STORE: u64 = 0x5707_e000_0000_0001;
const LOG: u32 = 3;

/// Root slots, edits, and the image that edits add up to.
pub fn manifest(data: &[u8]) {
    let (mode, data) = choice(data);
    let mut bytes = data.to_vec();
    match mode % 4 {
        0 => check_root(&bytes),
        1 => {
            bytes.resize(SECTOR as usize, 0);
            set_version(&mut bytes, 1);
            check_root(&bytes);
        }
        2 => check_log(&mut bytes, false),
        _ => check_log(&mut bytes, true),
    }
}

fn check_root(bytes: &[u8]) {
    let Ok(root) = Root::parse(bytes) else { return };
    let mut again = vec![0; SECTOR as usize];
    root.encode(&mut again);
    assert_eq!(Root::parse(&again), Ok(root));
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

/// A snapshot says what the image says.
fn check_snapshot(image: &Manifest) {
    let snapshot = image.snapshot();
    let mut again = Manifest::new(STORE, SECTOR as u32, DurablePrimitive::DurableWrite);
    for edit in &snapshot {
        again.apply(edit).expect("a snapshot is made of edits that fit");
    }
    assert_eq!(again.snapshot(), snapshot);
}
