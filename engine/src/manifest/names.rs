//! Where things are inside a store's directory.

use crate::ids::PartitionId;

/// The file with the two root slots.
pub(crate) const ROOT: &str = "MANIFEST";
/// The root file while the store is being created.
pub(crate) const ROOT_UNFINISHED: &str = "MANIFEST.new";
/// The store's own directory.
pub(crate) const HOME: &str = "";
/// The directory of journal files.
pub(crate) const JOURNAL: &str = "journal";
/// The directory of the topics' directories.
pub(crate) const SEGMENTS: &str = "segments";
/// The directory of segment files that wait for their next use.
pub(crate) const POOL: &str = "pool";

const LOG_PREFIX: &str = "manifest-";
const LOG_SUFFIX: &str = ".log";
const JOURNAL_SUFFIX: &str = ".journal";
const SEGMENT_SUFFIX: &str = ".segment";

/// An edit log of the manifest.
pub(crate) fn log(number: u32) -> String {
    format!("{LOG_PREFIX}{number:08x}{LOG_SUFFIX}")
}

/// The number of an edit log, if the name is one.
pub(crate) fn parse_log(name: &str) -> Option<u32> {
    hex(name.strip_prefix(LOG_PREFIX)?.strip_suffix(LOG_SUFFIX)?, 8)
}

/// A journal file, or a kept one.
pub(crate) fn journal(number: u32) -> String {
    format!("{JOURNAL}/{number:08x}{JOURNAL_SUFFIX}")
}

/// A journal file that is still being filled with zeros.
pub(crate) fn journal_unfinished(number: u32) -> String {
    format!("{JOURNAL}/{number:08x}.new")
}

/// The number of a journal file, if the name is one.
pub(crate) fn parse_journal(name: &str) -> Option<u32> {
    hex(name.strip_suffix(JOURNAL_SUFFIX)?, 8)
}

/// The directory of a topic's segments.
pub(crate) fn topic(topic: crate::ids::TopicId) -> String {
    format!("{SEGMENTS}/{:08x}", topic.0)
}

/// The topic of a directory, if the name is one.
pub(crate) fn parse_topic(name: &str) -> Option<crate::ids::TopicId> {
    hex(name, 8).map(crate::ids::TopicId)
}

/// A segment's file.
pub(crate) fn segment(partition: PartitionId, sequence: u32) -> String {
    format!("{}/{:05x}-{sequence:08x}{SEGMENT_SUFFIX}", topic(partition.topic), partition.partition)
}

/// Partition and sequence of a segment's file, if the name is one.
pub(crate) fn parse_segment(name: &str) -> Option<(u32, u32)> {
    let (partition, sequence) = name.strip_suffix(SEGMENT_SUFFIX)?.split_once('-')?;
    Some((hex(partition, 5)?, hex(sequence, 8)?))
}

/// A file in the pool.
pub(crate) fn pooled(number: u32) -> String {
    format!("{POOL}/{number:08x}{SEGMENT_SUFFIX}")
}

/// The number of a file in the pool, if the name is one.
pub(crate) fn parse_pooled(name: &str) -> Option<u32> {
    hex(name.strip_suffix(SEGMENT_SUFFIX)?, 8)
}

/// Lower-case hexadecimal of exactly so many digits: one number has one name.
fn hex(digits: &str, count: usize) -> Option<u32> {
    let exact = digits.len() == count && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    exact.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TopicId;

    #[test]
    fn names_round_trip_and_nothing_else_passes() {
        assert_eq!(parse_log(&log(0xab)), Some(0xab));
        assert_eq!(parse_journal(journal(7).strip_prefix("journal/").expect("the directory")), Some(7));
        assert_eq!(parse_pooled(pooled(u32::MAX).strip_prefix("pool/").expect("the directory")), Some(u32::MAX));
        let partition = PartitionId { topic: TopicId(3), partition: 65_535 };
        assert_eq!(segment(partition, 2), "segments/00000003/0ffff-00000002.segment");
        assert_eq!(parse_segment("0ffff-00000002.segment"), Some((65_535, 2)));
        assert_eq!(parse_topic("00000003"), Some(TopicId(3)));
        for strange in ["", "manifest-1.log", "manifest-0000000G.log", "manifest-+0000001.log", "MANIFEST"] {
            assert_eq!(parse_log(strange), None, "{strange}");
        }
        assert_eq!(parse_segment("00000-0000000A.segment"), None);
    }
}
