//! Giving back what was reserved for a segment that ended before it was full.

use crate::io::{Disk, OpenMode};

/// The part of a file that must be unused for it to be cut. What is nearly full stays as it is, for its next use.
const UNUSED_PART: u64 = 4;

/// Cuts a sealed segment's file at `end`, behind its footer. Nothing relies on that: where it fails, or a loss of power
/// undoes it, the space stays taken.
pub(crate) fn trim(disk: &dyn Disk, path: &str, end: u64) {
    let Ok(file) = disk.open_one_of_many(path, OpenMode::Write) else { return };
    if file.size().is_ok_and(|size| size.saturating_sub(end) > size / UNUSED_PART) {
        let _taken_until_it_is_removed = file.set_size(end);
    }
}
