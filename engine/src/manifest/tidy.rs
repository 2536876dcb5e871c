//! What an open finds left over, and puts away: files that the manifest does not know.
//!
//! Nothing here decides anything: a file is left over if the manifest, as committed, does not name it. That is how
//! interrupted creations, deletions and rewrites finish. A failure leaves it to the next open.

use crate::error::{Error, Result};
use crate::ids::{PartitionId, TopicId};
use crate::io::Disk;
use crate::manifest::pool::Pool;
use crate::manifest::{Manifest, ManifestStore, names, store};

/// Removes logs that no root names, and files that were being created.
pub(super) fn home(store: &ManifestStore) {
    let disk = store.disk();
    let mut changed = false;
    for name in disk.list(names::HOME).unwrap_or_default() {
        let leftover =
            names::parse_log(&name).is_some_and(|number| !store.needs_log(number)) || name == names::ROOT_UNFINISHED;
        changed |= leftover && disk.remove(&name).is_ok();
    }
    for name in disk.list(names::JOURNAL).unwrap_or_default() {
        if names::parse_journal(&name).is_none() {
            let _ = disk.remove(&format!("{}/{name}", names::JOURNAL));
        }
    }
    if changed {
        let _ = store.sync_dir(names::HOME);
    }
}

/// Gives away segment files that the manifest does not name, and removes directories of topics that are gone.
pub(super) fn segments(disk: &dyn Disk, image: &Manifest, pool: &mut Pool) -> Result<()> {
    for name in disk.list(names::SEGMENTS).map_err(|e| Error::os("listing the topics' directories", &e))? {
        let Some(topic) = names::parse_topic(&name) else { continue };
        if !image.topics.contains_key(&topic) {
            empty_topic(disk, topic, pool, |_| false);
            continue;
        }
        let path = names::topic(topic);
        for file in disk.list(&path).unwrap_or_default() {
            let known = names::parse_segment(&file).is_some_and(|(partition, sequence)| {
                let partition = image.partitions.get(&PartitionId { topic, partition });
                partition.is_some_and(|p| p.segments.contains_key(&sequence))
            });
            if !known {
                pool.give(disk, &format!("{path}/{file}"), false);
            }
        }
    }
    Ok(())
}

/// Gives away every file of a topic, and removes its directory.
pub(super) fn empty_topic(disk: &dyn Disk, topic: TopicId, pool: &mut Pool, in_use: impl Fn(&str) -> bool) {
    let path = names::topic(topic);
    for file in disk.list(&path).unwrap_or_default() {
        let file = format!("{path}/{file}");
        pool.give(disk, &file, in_use(&file));
    }
    if disk.remove_dir(&path).is_ok() {
        let _ = store::sync_dir(disk, names::SEGMENTS);
    }
}
