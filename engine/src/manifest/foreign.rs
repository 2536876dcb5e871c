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

/// Whether the name is one that an interrupted creation leaves behind.
fn is_own(name: &str) -> bool {
    [lock::NAME, names::ROOT_UNFINISHED, names::JOURNAL, names::SEGMENTS, names::POOL, LOST_AND_FOUND].contains(&name)
        || names::parse_log(name).is_some()
}
