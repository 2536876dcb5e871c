//! A store directory of the operating system.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::beneath::{self, Root};
use super::check;
use super::descriptors::Descriptors;
use super::file::{DurableMode, OsFile};
use super::probe::{self, DeviceFacts, DurableChoice};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, File, OpenMode};

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Group or others may write: anyone of them could put files under the engine's hands.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// A directory, held open: the store stays the same one even if its path is renamed.
pub(crate) struct OsDisk {
    path: PathBuf,
    durable: Arc<DurableMode>,
    facts: OnceLock<DeviceFacts>,
    descriptors: Arc<Descriptors>,
    /// Nothing is made in it.
    only_read: bool,
}

impl OsDisk {
    /// Opens the store directory. With `create`, makes it where it is missing (its parent has to exist). One that the
    /// group or others may write is refused unless `trust_shared`.
    pub(crate) fn open(path: &Path, create: bool, trust_shared: bool) -> Result<OsDisk> {
        OsDisk::open_as(path, create, trust_shared, false)
    }

    /// Opens the store directory to read it: nothing is made in it, not even to try the device. Otherwise as
    /// [`open`](OsDisk::open).
    pub(crate) fn open_to_read(path: &Path, trust_shared: bool) -> Result<OsDisk> {
        OsDisk::open_as(path, false, trust_shared, true)
    }

    fn open_as(path: &Path, create: bool, trust_shared: bool, only_read: bool) -> Result<OsDisk> {
        if path.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the path of the store is empty"));
        }
        let shown = path.display();
        let root = match Root::open(path) {
            Err(e) if create && e.kind() == io::ErrorKind::NotFound => {
                make_store(path).map_err(|e| Error::os(format_args!("cannot create the store {shown}"), &e))?;
                Root::open(path)
            }
            other => other,
        }
        .map_err(|e| Error::os(format_args!("cannot open the store {shown}"), &e))?;
        let mode =
            mode_of(root.raw_fd()).map_err(|e| Error::os(format_args!("cannot look at the store {shown}"), &e))?;
        if mode & WRITABLE_BY_OTHERS != 0 && !trust_shared {
            let message = format!(
                "the store {shown} has mode {:04o}: its group or everyone may write to it; run `chmod go-w` on it \
                 (a program may also set the option trust_shared_directory)",
                mode & 0o7777
            );
            return Err(Error::new(ErrorKind::PermissionDenied, message));
        }
        let descriptors = Arc::new(Descriptors::new(Arc::new(root)));
        let facts = OnceLock::new();
        Ok(OsDisk { path: path.to_owned(), durable: Arc::new(DurableMode::new()), facts, descriptors, only_read })
    }

    /// The path that it was opened by, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What the device under the store wants. Found out once, when first asked.
    pub(crate) fn facts(&self) -> &DeviceFacts {
        self.facts.get_or_init(|| match self.only_read {
            true => probe::facts_to_read(self),
            false => probe::device_facts(self),
        })
    }

    /// Measures how durable writes are best made here. Takes a fraction of a second.
    pub(crate) fn measure_durable(&self) -> DurableChoice {
        probe::measure_durable(self)
    }

    /// Decides how durable writes are made from now on.
    pub(crate) fn set_durable(&self, primitive: DurablePrimitive) {
        self.durable.set(primitive);
    }

    /// How durable writes are made.
    pub(crate) fn durable(&self) -> DurablePrimitive {
        self.durable.get()
    }

    /// Opens for another part of `io`, which wants a plain descriptor.
    pub(in crate::io) fn open_fd(&self, path: &str, flags: i32) -> io::Result<OwnedFd> {
        self.descriptors.open(path, flags, FILE_MODE)
    }

    /// As [`OsDisk::open_fd`] for a file that must not exist, with the modes that the engine's files have.
    pub(in crate::io) fn create_fd(&self, path: &str, flags: i32) -> io::Result<OwnedFd> {
        let fd = self.open_fd(path, flags | libc::O_CREAT | libc::O_EXCL)?;
        // The umask may have taken bits that the owner needs.
        // SAFETY: no memory is handed over.
        check(unsafe { libc::fchmod(fd.as_raw_fd(), FILE_MODE) })?;
        Ok(fd)
    }

    /// The directory that holds `path`, opened, and the last part of the path.
    fn parent_of(&self, path: &str) -> io::Result<(OwnedFd, CString)> {
        let (above, last) = beneath::split(path)?;
        Ok((self.descriptors.open(above, libc::O_PATH | libc::O_DIRECTORY, 0)?, last))
    }

    /// How many segment files stay open at most.
    pub(crate) fn open_files(&self) -> u32 {
        self.descriptors.most()
    }

    /// Changes that number.
    pub(crate) fn set_open_files(&self, most: u32) {
        self.descriptors.set_most(most);
    }

    /// Closes the directory, and the files that are one of many, also those that somebody still has. They cannot be
    /// opened again.
    pub(crate) fn close(&self) {
        self.descriptors.close();
    }

    /// Opens a file, and says by which flags it could be opened again and whether it goes past the page cache.
    fn open_raw(&self, path: &str, mode: OpenMode) -> io::Result<(OwnedFd, i32, bool)> {
        let (fd, flags) = match mode {
            OpenMode::Read => (self.open_fd(path, libc::O_RDONLY)?, libc::O_RDONLY),
            OpenMode::Write => (self.open_fd(path, libc::O_RDWR)?, libc::O_RDWR),
            OpenMode::CreateNew => (self.create_fd(path, libc::O_RDWR)?, libc::O_RDWR),
        };
        // Set afterwards, not when opening: some file systems create the file and only then refuse the flag.
        let direct = self.facts().direct_io && probe::set_direct(fd.as_raw_fd()).is_ok();
        Ok((fd, flags, direct))
    }

    #[cfg(test)]
    pub(super) fn walk_by_parts(&self) {
        self.descriptors.root().expect("it is open").walk_by_parts();
    }
}

fn mode_of(fd: RawFd) -> io::Result<u32> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a live value that the call fills.
    check(unsafe { libc::fstat64(fd, &raw mut facts) })?;
    Ok(facts.st_mode)
}

/// Makes the store's own directory, and makes its name durable.
fn make_store(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    match std::fs::DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        // Another opener was faster; whether it got as far as the parent is not known.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        made => {
            made?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(DIRECTORY_MODE))?;
        }
    }
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    std::fs::File::open(above)?.sync_all()
}

/// The entries of an open directory.
fn entries(directory: OwnedFd) -> io::Result<Vec<String>> {
    let fd = directory.into_raw_fd();
    // SAFETY: `fd` is ours; on success the stream owns it.
    let stream = unsafe { libc::fdopendir(fd) };
    if stream.is_null() {
        let error = io::Error::last_os_error();
        // SAFETY: the call failed, so that the descriptor is still ours.
        unsafe { libc::close(fd) };
        return Err(error);
    }
    let mut names = Vec::new();
    let result = loop {
        // SAFETY: `errno` is this thread's own.
        unsafe { *libc::__errno_location() = 0 };
        // SAFETY: the stream is open and used by this thread alone.
        let entry = unsafe { libc::readdir64(stream) };
        if entry.is_null() {
            break match io::Error::last_os_error() {
                e if e.raw_os_error() == Some(0) => Ok(()),
                e => Err(e),
            };
        }
        // SAFETY: the entry is valid until the next call on the stream, and its name is zero-terminated.
        let name = unsafe { CStr::from_ptr((*entry).d_name.as_ptr()) };
        // A name that is not text is not one of the engine's.
        if let Ok(name) = name.to_str()
            && name != "."
            && name != ".."
        {
            names.push(name.to_owned());
        }
    };
    // SAFETY: the stream is open, and not used again.
    unsafe { libc::closedir(stream) };
    names.sort();
    result.map(|()| names)
}

/// Sets a new directory's mode, whatever the umask left of it.
fn open_to_owner(parent: RawFd, name: &CString) -> io::Result<()> {
    // SAFETY: `name` is a zero-terminated string that outlives the call.
    let set = |flags| check(unsafe { libc::fchmodat(parent, name.as_ptr(), DIRECTORY_MODE, flags) });
    match set(libc::AT_SYMLINK_NOFOLLOW) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)) => set(0),
        result => result,
    }
    .map(|_| ())
}

impl Disk for OsDisk {
    fn open(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let (fd, _, direct) = self.open_raw(path, mode)?;
        Ok(Arc::new(OsFile::new(fd, direct, Arc::clone(&self.durable))))
    }

    fn open_one_of_many(&self, path: &str, mode: OpenMode) -> io::Result<Arc<dyn File>> {
        let (fd, flags, direct) = self.open_raw(path, mode)?;
        let place = self.descriptors.adopt(path, flags, direct, fd)?;
        Ok(Arc::new(OsFile::one_of_many(place, Arc::clone(&self.descriptors), direct, Arc::clone(&self.durable))))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        // SAFETY: `name` is a zero-terminated string that outlives the call.
        check(unsafe { libc::mkdirat(parent.as_raw_fd(), name.as_ptr(), DIRECTORY_MODE) })?;
        open_to_owner(parent.as_raw_fd(), &name)
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        entries(self.open_fd(path, libc::O_RDONLY | libc::O_DIRECTORY)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from_parent, from) = self.parent_of(from)?;
        let (to_parent, to) = self.parent_of(to)?;
        // SAFETY: both names are zero-terminated strings that outlive the call.
        check(unsafe { libc::renameat(from_parent.as_raw_fd(), from.as_ptr(), to_parent.as_raw_fd(), to.as_ptr()) })
            .map(|_| ())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        // SAFETY: `name` is a zero-terminated string that outlives the call.
        check(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), 0) }).map(|_| ())
    }

    fn remove_dir(&self, path: &str) -> io::Result<()> {
        let (parent, name) = self.parent_of(path)?;
        // SAFETY: `name` is a zero-terminated string that outlives the call.
        check(unsafe { libc::unlinkat(parent.as_raw_fd(), name.as_ptr(), libc::AT_REMOVEDIR) }).map(|_| ())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let directory = self.open_fd(path, libc::O_RDONLY | libc::O_DIRECTORY)?;
        // SAFETY: no memory is handed over.
        check(unsafe { libc::fsync(directory.as_raw_fd()) }).map(|_| ())
    }

    fn free_space(&self) -> io::Result<u64> {
        let root = self.descriptors.root()?;
        // SAFETY: all-zero is a valid value of this plain structure.
        let mut facts: libc::statvfs64 = unsafe { std::mem::zeroed() };
        // SAFETY: `facts` is a live value that the call fills.
        check(unsafe { libc::fstatvfs64(root.raw_fd(), &raw mut facts) })?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}
