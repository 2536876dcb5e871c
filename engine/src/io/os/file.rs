//! A file of the operating system: positioned transfers, durable writes, reserved space.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::descriptors::{Descriptor, Descriptors, Open, Place};
use super::{AlignedMemory, check, check_size, kernel_offset};
use crate::ids::DurablePrimitive;
use crate::io::signal::FileSizeShield;
use crate::io::{File, OpKind};
use crate::limits::SECTOR;

/// The most bytes that one call moves through a bounce buffer.
const BOUNCE_MAX: usize = 1 << 20;

/// How the files of one store make writes durable. Shared, because it is known only after the manifest is read, and
/// because one refusal by the kernel holds for all files.
pub(crate) struct DurableMode {
    sync_after_write: AtomicBool,
}

impl DurableMode {
    pub(crate) fn new() -> DurableMode {
        DurableMode { sync_after_write: AtomicBool::new(false) }
    }

    pub(crate) fn set(&self, primitive: DurablePrimitive) {
        self.sync_after_write.store(primitive == DurablePrimitive::WriteThenSync, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> DurablePrimitive {
        if self.sync_after_write.load(Ordering::Relaxed) {
            DurablePrimitive::WriteThenSync
        } else {
            DurablePrimitive::DurableWrite
        }
    }
}

/// An open file.
pub(crate) struct OsFile {
    source: Source,
    /// Past the page cache: memory, position and size of a transfer have to be aligned.
    direct: bool,
    durable: Arc<DurableMode>,
}

/// Where its descriptor comes from.
enum Source {
    /// Open for as long as the file is.
    Own(Arc<Open>),
    /// May be closed between two uses.
    OneOfMany(Arc<Place>, Arc<Descriptors>),
}

fn aligned(number: u64) -> bool {
    number.is_multiple_of(SECTOR)
}

fn memory_aligned(bytes: &[u8]) -> bool {
    aligned(bytes.as_ptr().addr() as u64)
}

/// Makes all completed writes durable.
fn flush(held: &Descriptor) -> io::Result<()> {
    // SAFETY: no memory is handed over.
    check(unsafe { libc::fdatasync(held.raw()) }).map(|_| ())
}

impl OsFile {
    pub(super) fn new(fd: OwnedFd, direct: bool, durable: Arc<DurableMode>) -> OsFile {
        OsFile { source: Source::Own(Open::new(fd)), direct, durable }
    }

    pub(super) fn one_of_many(
        place: Arc<Place>,
        descriptors: Arc<Descriptors>,
        direct: bool,
        durable: Arc<DurableMode>,
    ) -> OsFile {
        OsFile { source: Source::OneOfMany(place, descriptors), direct, durable }
    }

    /// The descriptor, for something of this kind.
    fn hold(&self, kind: OpKind) -> io::Result<Descriptor> {
        let open = match &self.source {
            Source::Own(open) => Arc::clone(open),
            Source::OneOfMany(place, descriptors) => descriptors.of(place)?,
        };
        Ok(Descriptor::new(open, kind))
    }

    fn read_plain(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let (position, held) = (kernel_offset(position)?, self.hold(OpKind::Read)?);
        // SAFETY: pointer and length are those of a live slice that is borrowed alone.
        check_size(unsafe { libc::pread64(held.raw(), into.as_mut_ptr().cast(), into.len(), position) })
    }

    /// Reads the aligned surroundings of a range into aligned memory, and copies the range out.
    fn read_bounced(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let lead = (position % SECTOR) as usize;
        let wanted = into.len().min(BOUNCE_MAX);
        let mut memory = AlignedMemory::new((lead + wanted).next_multiple_of(SECTOR as usize))?;
        let got = self.read_plain(position - lead as u64, memory.bytes_mut())?;
        let taken = got.saturating_sub(lead).min(wanted);
        into[..taken].copy_from_slice(&memory.bytes()[lead..lead + taken]);
        Ok(taken)
    }

    fn write_plain(&self, held: &Descriptor, position: u64, from: &[u8]) -> io::Result<usize> {
        let position = kernel_offset(position)?;
        // SAFETY: pointer and length are those of a live slice; the kernel only reads it.
        check_size(unsafe { libc::pwrite64(held.raw(), from.as_ptr().cast(), from.len(), position) })
    }

    fn write_durable(&self, held: &Descriptor, position: u64, from: &[u8]) -> io::Result<usize> {
        if self.durable.get() == DurablePrimitive::DurableWrite {
            let piece = libc::iovec { iov_base: from.as_ptr().cast_mut().cast(), iov_len: from.len() };
            let offset = kernel_offset(position)?;
            // SAFETY: the vector has one element, that of a live slice; the kernel only reads it.
            let answer = unsafe { libc::pwritev2(held.raw(), &raw const piece, 1, offset, libc::RWF_DSYNC) };
            match check_size(answer) {
                Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    self.durable.set(DurablePrimitive::WriteThenSync);
                }
                result => return result,
            }
        }
        let size = self.write_plain(held, position, from)?;
        match flush(held) {
            Ok(()) => Ok(size),
            // An interrupted flush may have taken the report of a lost write with it; it must not look like an
            // interrupted write, which is resumed.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINTR | libc::EAGAIN)) => {
                Err(io::Error::from_raw_os_error(libc::EIO))
            }
            Err(e) => Err(e),
        }
    }

    /// Writes zeros between the file's end and `size`: what is left where space cannot be reserved otherwise.
    fn extend_with_zeros(&self, size: u64) -> io::Result<()> {
        let memory = AlignedMemory::new(BOUNCE_MAX)?;
        let held = self.hold(OpKind::Write { durable: false })?;
        // A file that ends inside a sector is first extended to its end, so that every write stays aligned.
        let mut position = self.size()?.next_multiple_of(SECTOR);
        let end = size.next_multiple_of(SECTOR);
        while position < end {
            let piece = usize::try_from(end - position).map_or(BOUNCE_MAX, |rest| rest.min(BOUNCE_MAX));
            match self.write_plain(&held, position, &memory.bytes()[..piece]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => position += n as u64 / SECTOR * SECTOR,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        if self.size()? < size { self.set_size(size) } else { Ok(()) }
    }

    fn reserve_space(&self, size: u64) -> io::Result<()> {
        let _shield = FileSizeShield::new();
        let held = self.hold(OpKind::Read)?;
        loop {
            // SAFETY: no memory is handed over.
            match check(unsafe { libc::fallocate64(held.raw(), 0, 0, kernel_offset(size)?) }) {
                Ok(_) => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOSYS)) => {
                    return self.extend_with_zeros(size);
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl File for OsFile {
    fn read_at(&self, position: u64, into: &mut [u8]) -> io::Result<usize> {
        let fits = aligned(position) && aligned(into.len() as u64) && memory_aligned(into);
        if self.direct && !fits { self.read_bounced(position, into) } else { self.read_plain(position, into) }
    }

    fn write_at(&self, position: u64, from: &[u8], durable: bool) -> io::Result<usize> {
        if !aligned(position) || !aligned(from.len() as u64) {
            // Refused on every file system alike: padding it here would rewrite a sector that may hold acknowledged
            // bytes.
            let what = format!("a write of {} bytes at {position} is not in whole sectors of {SECTOR}", from.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        let _shield = FileSizeShield::new();
        let bounce = if self.direct && !memory_aligned(from) {
            let mut memory = AlignedMemory::new(from.len().clamp(SECTOR as usize, BOUNCE_MAX))?;
            let size = from.len().min(BOUNCE_MAX);
            memory.bytes_mut()[..size].copy_from_slice(&from[..size]);
            Some((memory, size))
        } else {
            None
        };
        let from = bounce.as_ref().map_or(from, |(memory, size)| &memory.bytes()[..*size]);
        let held = self.hold(OpKind::Write { durable })?;
        if durable { self.write_durable(&held, position, from) } else { self.write_plain(&held, position, from) }
    }

    fn sync(&self) -> io::Result<()> {
        let held = self.hold(OpKind::Sync)?;
        flush(&held)?;
        held.flushed();
        Ok(())
    }

    fn reserve(&self, size: u64) -> io::Result<()> {
        if size == 0 {
            return Ok(());
        }
        let before = self.size()?;
        self.reserve_space(size).inspect_err(|_| {
            // What was already taken goes back: a full disk must not stay full of half a reservation.
            let _ = self.set_size(before);
        })
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let _shield = FileSizeShield::new();
        let held = self.hold(OpKind::Read)?;
        // SAFETY: no memory is handed over.
        check(unsafe { libc::ftruncate64(held.raw(), kernel_offset(size)?) }).map(|_| ())
    }

    fn size(&self) -> io::Result<u64> {
        let held = self.hold(OpKind::Read)?;
        // SAFETY: all-zero is a valid value of this plain structure.
        let mut facts: libc::stat64 = unsafe { std::mem::zeroed() };
        // SAFETY: `facts` is a live value that the call fills.
        check(unsafe { libc::fstat64(held.raw(), &raw mut facts) })?;
        Ok(facts.st_size.cast_unsigned())
    }

    fn descriptor(&self, kind: OpKind) -> io::Result<Descriptor> {
        self.hold(kind)
    }
}
