//! A place of the manifest that could not be read, and whose content stands a second time.

use core::fmt;
use core::ops::Range;

/// Whole sectors of one of the manifest's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DamagedCopy {
    pub file: String,
    /// Bytes.
    pub range: Range<u64>,
}

impl DamagedCopy {
    pub(crate) fn new(file: &str, range: Range<u64>) -> DamagedCopy {
        DamagedCopy { file: file.to_owned(), range }
    }
}

impl fmt::Display for DamagedCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, bytes {}..{}", self.file, self.range.start, self.range.end)
    }
}
