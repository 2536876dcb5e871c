//! Where stores and files of measurements are put.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// Cargo's target directory: on the disk that is measured, unless told otherwise.
pub(crate) fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from)
}

/// A directory in `dir`, which goes when it is dropped.
pub(crate) fn scratch_in(dir: &Path) -> io::Result<TempDir> {
    std::fs::create_dir_all(dir)?;
    tempfile::Builder::new().prefix("bench-").tempdir_in(dir)
}

/// A directory in cargo's target directory, which goes when it is dropped.
pub fn scratch() -> TempDir {
    scratch_in(&target_dir()).expect("cargo's target directory is writable")
}
