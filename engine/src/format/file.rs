//! What every file of the store has in common: magic and version first, a checksum at the end of each sealed area.

use core::fmt;

use super::FORMAT_VERSION;
use crate::checksum::crc;
use crate::error::{Error, ErrorKind};

/// Bytes of the head: magic, version, and the check of both.
pub(crate) const HEAD_SIZE: usize = 16;

/// Why bytes of a file's fixed areas cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileError {
    /// Not this kind of file, torn, or damaged.
    Damaged(&'static str),
    /// Whole, but of a version or with a feature that this build does not know.
    Unsupported(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileError::Damaged(what) => f.write_str(what),
            FileError::Unsupported(what) => f.write_str(what),
        }
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Error {
        match error {
            FileError::Damaged(what) => Error::new(ErrorKind::Corrupt, what),
            FileError::Unsupported(what) => Error::new(ErrorKind::Unsupported, what),
        }
    }
}

/// Writes magic, version and their check.
pub(crate) fn write_head(bytes: &mut [u8], magic: &[u8; 8]) {
    write_head_of_version(bytes, magic, FORMAT_VERSION);
}

fn write_head_of_version(bytes: &mut [u8], magic: &[u8; 8], version: u32) {
    bytes[..8].copy_from_slice(magic);
    bytes[8..12].copy_from_slice(&version.to_le_bytes());
    let check = crc(0, &bytes[..12]);
    bytes[12..16].copy_from_slice(&check.to_le_bytes());
}

/// Checks magic and version, before anything whose layout may differ between versions is looked at.
pub(crate) fn check_head(bytes: &[u8], magic: &[u8; 8]) -> Result<(), FileError> {
    let Some(head) = bytes.get(..HEAD_SIZE) else {
        return Err(FileError::Damaged("the file is too short for its header"));
    };
    if &head[..8] != magic {
        return Err(FileError::Damaged("the magic number is not that of this kind of file"));
    }
    if u32_at(head, 12) != crc(0, &head[..12]) {
        return Err(FileError::Damaged("the check of the version number does not match"));
    }
    match u32_at(head, 8) {
        FORMAT_VERSION => Ok(()),
        version => Err(FileError::Unsupported(format!(
            "the file has format version {version}; this build reads version {FORMAT_VERSION}"
        ))),
    }
}

/// Writes the checksum of an area into its last four bytes.
pub(crate) fn seal_area(area: &mut [u8]) {
    let end = area.len() - 4;
    let sum = crc(0, &area[..end]);
    area[end..].copy_from_slice(&sum.to_le_bytes());
}

/// Whether the last four bytes of an area are the checksum of the rest.
pub(crate) fn area_is_whole(area: &[u8]) -> bool {
    area.len() > 4 && {
        let end = area.len() - 4;
        u32_at(area, end) == crc(0, &area[..end])
    }
}

/// The little-endian number at `at`, which must lie inside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Turns a sealed area into one that a later version might have written, or repairs the checks of a changed one.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn set_version(area: &mut [u8], version: u32) {
    let Some(magic) = area.first_chunk::<8>().copied() else { return };
    if area.len() >= HEAD_SIZE + 4 {
        write_head_of_version(area, &magic, version);
        seal_area(area);
    }
}
