//! What keeps a directory from becoming a store: somebody else's files.

use crate::error::{Error, ErrorKind, Result};
use crate::io::{Disk, lock};
use crate::manifest::{ManifestStore, names};

/// What a new file system holds.
const LOST_AND_FOUND: &str = "lost+found";

/// Refuses a directory without a store in which there are files that no store makes: more likely the path is wrong
/// than that somebody wants segments among them.
pub(crate) fn check(disk: &dyn Disk) -> Result<()> {
    if ManifestStore::exists(disk)? {
        return Ok(());
    }
    let names = disk.list(names::HOME).map_err(|e| Error::os("listing the store's directory", &e))?;
    let Some(foreign) = names.iter().filter(|name| !is_own(name)).min() else { return Ok(()) };
    let message = format!(
        "the directory holds no store but other files, such as {foreign:?}; name an empty directory, or one that does \
         not exist yet"
    );
    Err(Error::new(ErrorKind::InvalidArgument, message))
}

/// Refuses a directory without a manifest in which there are segments.
pub(crate) fn check_not_lost(disk: &dyn Disk) -> Result<()> {
    let segments = match disk.list(names::SEGMENTS) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        listed => listed.map_err(|e| Error::os("listing the segments", &e))?,
    };
    if segments.is_empty() {
        return Ok(());
    }
    let why = "the directory holds segments but no manifest: it belongs to a store that has lost its own; put it back";
    Err(Error::new(ErrorKind::Corrupt, why))
}

/// Whether the name is one that an interrupted creation leaves behind.
fn is_own(name: &str) -> bool {
    [lock::NAME, names::ROOT_UNFINISHED, names::JOURNAL, names::SEGMENTS, names::POOL, LOST_AND_FOUND].contains(&name)
        || names::parse_log(name).is_some()
}
