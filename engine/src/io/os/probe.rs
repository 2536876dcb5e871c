//! What the device under a store wants, found by asking and by trying.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::file::{DurableMode, OsFile};
use super::{AlignedMemory, OsDisk, check};
use crate::error::{Error, ErrorKind, Result};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, File, write_full};
use crate::limits::SECTOR;

/// How transfers reach the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceFacts {
    /// What positions, sizes and addresses of transfers are multiples of. Bytes.
    pub alignment: u64,
    /// What the device writes as one piece: a torn write may take all of it along. Bytes.
    pub unit: u64,
    /// Whether transfers go past the page cache.
    pub direct_io: bool,
    /// How that was decided.
    pub reason: String,
}

/// How durable writes are made, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DurableChoice {
    pub primitive: DurablePrimitive,
    pub reason: String,
}

/// Where no unnamed file can be made. Only the holder of the store's lock gets as far as using the name.
const TEMPORARY: &str = "probe.tmp";
const SECTOR_SIZE: usize = SECTOR as usize;
/// Writes per candidate, and the time after which fewer have to do.
const TRIES: usize = 9;
const TIME_LIMIT: Duration = Duration::from_millis(300);

/// A file without a name, gone when it is closed.
fn temporary(disk: &OsDisk) -> io::Result<OwnedFd> {
    match disk.open_fd("", libc::O_RDWR | libc::O_TMPFILE) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOSYS | libc::EINVAL)) => {
            match disk.remove(TEMPORARY) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
            let fd = disk.create_fd(TEMPORARY, libc::O_RDWR)?;
            disk.remove(TEMPORARY)?;
            Ok(fd)
        }
        result => result,
    }
}

/// Makes transfers of an open file go past the page cache.
pub(super) fn set_direct(fd: RawFd) -> io::Result<()> {
    // SAFETY: no memory is handed over.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_DIRECT) }).map(|_| ())
}

/// What the kernel says of a file and its device.
#[derive(Clone, Copy, Debug)]
struct Attributes {
    /// Alignment of direct transfers, in memory and in the file: `Some((0, 0))` where there are none, `None` where the
    /// kernel does not say.
    direct: Option<(u64, u64)>,
    /// The size that the device writes as one piece, if it is known.
    physical: Option<u64>,
    /// The file lives in memory.
    in_memory: bool,
}

/// How transfers may be tried, or that they may not, and why.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Try(String),
    Buffered(String),
}

impl Attributes {
    /// What is written as one piece: the file system's or the device's, whichever is larger.
    fn unit(&self) -> u64 {
        self.direct.map_or(0, |(_, file)| file).max(self.physical.unwrap_or(0))
    }

    fn verdict(&self) -> Verdict {
        let buffered = |reason: String| Verdict::Buffered(format!("buffered: {reason}"));
        if self.in_memory {
            return buffered("the file system lives in memory".into());
        }
        match self.direct.map(|(memory, file)| memory.max(file)) {
            Some(0) => buffered("the file system has no direct I/O for its files".into()),
            Some(direct) if direct > SECTOR => {
                buffered(format!("direct I/O would need an alignment of {direct} bytes, above {SECTOR}"))
            }
            Some(direct) => Verdict::Try(format!("the kernel states an alignment of {direct} bytes")),
            None => Verdict::Try("the kernel states no alignment".into()),
        }
    }
}

fn attributes(fd: RawFd) -> io::Result<Attributes> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS | libc::STATX_DIOALIGN);
    // SAFETY: the path is an empty zero-terminated string, and `facts` a live value that the call fills.
    check(unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &raw mut facts) })?;
    let align = match (u64::from(facts.stx_dio_mem_align), u64::from(facts.stx_dio_offset_align)) {
        (0, _) | (_, 0) => (0, 0),
        both => both,
    };
    let direct = (facts.stx_mask & libc::STATX_DIOALIGN != 0).then_some(align);
    let physical = physical_block((facts.stx_dev_major, facts.stx_dev_minor));
    Ok(Attributes { direct, physical, in_memory: in_memory(fd) })
}

/// The size that the device writes as one piece: what a torn write may take with it.
fn physical_block(device: (u32, u32)) -> Option<u64> {
    let base = format!("/sys/dev/block/{}:{}", device.0, device.1);
    // A partition's queue is that of its disk.
    ["queue", "../queue"]
        .iter()
        .find_map(|queue| std::fs::read_to_string(format!("{base}/{queue}/physical_block_size")).ok())
        .and_then(|text| text.trim().parse().ok())
}

/// Whether the file lives in memory: such file systems accept direct transfers and copy all the same.
fn in_memory(fd: RawFd) -> bool {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::statfs64 = unsafe { std::mem::zeroed() };
    // SAFETY: `facts` is a live value that the call fills.
    let asked = check(unsafe { libc::fstatfs64(fd, &raw mut facts) });
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    #[allow(clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    let kind = facts.f_type as u64;
    asked.is_ok() && (kind == libc::TMPFS_MAGIC as u64 || kind == RAMFS_MAGIC)
}

/// As [`device_facts`], by what the kernel says of the directory's first file, and nothing tried.
pub(super) fn facts_to_read(disk: &OsDisk) -> DeviceFacts {
    let names = disk.list("").unwrap_or_default();
    let mut files = names.iter().filter_map(|name| disk.open_fd(name, libc::O_RDONLY | libc::O_NONBLOCK).ok());
    let said = files.find_map(|fd| attributes(fd.as_raw_fd()).ok());
    let unit = said.map_or(0, |said| said.unit());
    let alignment = SECTOR.max(unit);
    let (direct_io, reason) = match said.map(|said| (said.direct, said.verdict())) {
        Some((Some(_), Verdict::Try(said))) => (true, format!("direct: {said}; only read, so not tried")),
        Some((_, Verdict::Buffered(reason))) => (false, reason),
        _ => (false, "buffered: only read, and the kernel states no alignment".into()),
    };
    DeviceFacts { alignment, unit, direct_io, reason }
}

pub(super) fn device_facts(disk: &OsDisk) -> DeviceFacts {
    let asked = temporary(disk).and_then(|fd| attributes(fd.as_raw_fd()).map(|attributes| (fd, attributes)));
    let (fd, said) = match asked {
        Ok(asked) => asked,
        Err(e) => {
            let reason = format!("buffered: no file could be tried in the store ({e})");
            return DeviceFacts { alignment: SECTOR, unit: 0, direct_io: false, reason };
        }
    };
    let unit = said.unit();
    let (direct_io, reason) = match said.verdict() {
        Verdict::Buffered(reason) => (false, reason),
        Verdict::Try(word) => tried(fd, said.direct.is_some(), &word),
    };
    DeviceFacts { alignment: SECTOR.max(unit), unit, direct_io, reason }
}

/// Whether direct transfers work on this file, and how that was found.
fn tried(fd: OwnedFd, stated: bool, word: &str) -> (bool, String) {
    if let Err(e) = set_direct(fd.as_raw_fd()) {
        return (false, format!("buffered: the file system refuses direct I/O ({e})"));
    }
    match try_direct(fd) {
        Ok(()) => (true, format!("direct: {word}; a transfer was tried")),
        // A full disk cannot be tried; the kernel's word has to do.
        Err(e) if stated && matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => {
            (true, format!("direct: {word}; no space to try it"))
        }
        Err(e) => (false, format!("buffered: a direct transfer failed ({e})")),
    }
}

impl DeviceFacts {
    /// Refuses a device whose pieces are larger than the engine's sector. A write of less than a piece has the device
    /// write the rest of it anew, where acknowledged bytes may stand, and a loss of power may take them along.
    pub(crate) fn check(&self) -> Result<()> {
        if self.unit <= SECTOR {
            return Ok(());
        }
        let message = format!(
            "the device writes pieces of {} bytes, and thalweg is made for up to {SECTOR}: a loss of power during a \
             write could damage acknowledged records beside it; use another device, or open the store to read it only",
            self.unit
        );
        Err(Error::new(ErrorKind::Unsupported, message))
    }
}

/// Writes and reads one sector past the page cache.
fn try_direct(fd: OwnedFd) -> io::Result<()> {
    let file = OsFile::new(fd, true, std::sync::Arc::new(DurableMode::new()));
    let mut memory = AlignedMemory::new(2 * SECTOR_SIZE)?;
    let (written, read) = memory.bytes_mut().split_at_mut(SECTOR_SIZE);
    written.fill(0xa5);
    if file.write_at(0, written, false)? != SECTOR_SIZE || file.read_at(0, read)? != SECTOR_SIZE {
        return Err(io::Error::other("it moved fewer bytes than asked"));
    }
    if written == read { Ok(()) } else { Err(io::Error::other("it gave back other bytes than were written")) }
}

pub(super) fn measure_durable(disk: &OsDisk) -> DurableChoice {
    match time_both(disk) {
        Ok((durable_write, _)) if durable_write.is_none() => DurableChoice {
            primitive: DurablePrimitive::WriteThenSync,
            reason: "the kernel or file system has no RWF_DSYNC".into(),
        },
        Ok((durable_write, then_sync)) => choose(durable_write.unwrap_or_default(), then_sync),
        Err(e) => DurableChoice {
            primitive: DurablePrimitive::DurableWrite,
            reason: format!("RWF_DSYNC without measuring: {e}"),
        },
    }
}

/// A flush after each write has to be clearly better: it is the unusual case, and timings are noisy.
fn choose(durable_write: Duration, then_sync: Duration) -> DurableChoice {
    let (a, b) = (durable_write.as_micros(), then_sync.as_micros());
    let (primitive, chosen) = if then_sync * 3 < durable_write * 2 {
        (DurablePrimitive::WriteThenSync, "write and fdatasync")
    } else {
        (DurablePrimitive::DurableWrite, "RWF_DSYNC")
    };
    let reason = format!(
        "{chosen}: a 4 KiB write took {a} µs with RWF_DSYNC, {b} µs with fdatasync (lower quartiles; fdatasync is chosen \
         if it takes less than two thirds)"
    );
    DurableChoice { primitive, reason }
}

/// Lower quartiles, as whatever else runs only adds, of durable rewrites of sectors that were written before: with
/// RWF_DSYNC (`None` where it does not exist),
/// and with fdatasync.
fn time_both(disk: &OsDisk) -> io::Result<(Option<Duration>, Duration)> {
    let mode = std::sync::Arc::new(DurableMode::new());
    let fd = temporary(disk)?;
    let direct = disk.facts().direct_io && set_direct(fd.as_raw_fd()).is_ok();
    let file = OsFile::new(fd, direct, std::sync::Arc::clone(&mode));
    let mut memory = AlignedMemory::new(SECTOR_SIZE * TRIES)?;
    memory.bytes_mut().fill(0x5a);
    write_full(&file, 0, memory.bytes(), false)?;
    file.sync()?;

    let mut times = [Vec::with_capacity(TRIES), Vec::with_capacity(TRIES)];
    let begin = Instant::now();
    for round in 0..TRIES {
        if round >= 3 && begin.elapsed() > TIME_LIMIT {
            break;
        }
        for (times, primitive) in
            times.iter_mut().zip([DurablePrimitive::DurableWrite, DurablePrimitive::WriteThenSync])
        {
            mode.set(primitive);
            let start = Instant::now();
            write_full(&file, round as u64 * SECTOR, &memory.bytes()[..SECTOR_SIZE], true)?;
            times.push(start.elapsed());
            if mode.get() != primitive {
                return Ok((None, start.elapsed()));
            }
        }
    }
    let [durable_write, then_sync] = times.map(|mut times| {
        times.sort();
        times[times.len() / 4]
    });
    Ok((Some(durable_write), then_sync))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(direct: Option<(u64, u64)>, physical: Option<u64>, in_memory: bool) -> Attributes {
        Attributes { direct, physical, in_memory }
    }

    fn facts(said: Attributes) -> DeviceFacts {
        DeviceFacts { alignment: SECTOR.max(said.unit()), unit: said.unit(), direct_io: false, reason: String::new() }
    }

    #[test]
    fn devices_of_any_piece_are_told_apart() {
        for small in [Some((512, 512)), Some((4, 512)), Some((4096, 4096)), Some((512, 4096))] {
            for physical in [None, Some(512), Some(4096)] {
                let said = said(small, physical, false);
                assert!(matches!(said.verdict(), Verdict::Try(_)), "{said:?}");
                assert!(facts(said).check().is_ok() && facts(said).alignment == 4096, "{said:?}");
            }
        }
        assert!(matches!(said(None, None, false).verdict(), Verdict::Try(_)), "an old kernel: it is tried");
        assert!(matches!(said(Some((0, 0)), Some(512), false).verdict(), Verdict::Buffered(_)));
        assert!(matches!(said(Some((512, 512)), None, true).verdict(), Verdict::Buffered(_)));
        // Memory alone may be wanted at larger addresses: buffered writes keep every promise.
        let memory = said(Some((65_536, 512)), Some(512), false);
        assert!(matches!(memory.verdict(), Verdict::Buffered(_)) && facts(memory).check().is_ok());
    }

    #[test]
    fn a_device_of_larger_pieces_is_refused() {
        for said in [
            said(Some((512, 512)), Some(16_384), false),
            said(Some((512, 16_384)), None, false),
            said(None, Some(65_536), false),
        ] {
            let error = facts(said).check().expect_err("its pieces are larger than a sector");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(&said.unit().to_string()) && facts(said).alignment == said.unit());
        }
    }
}
