//! What the device under a store wants, found by asking and by trying.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::file::{DurableMode, OsFile};
use super::{AlignedMemory, OsDisk, check};
use crate::ids::DurablePrimitive;
use crate::io::{Disk, File, write_full};
use crate::limits::SECTOR;

/// How transfers reach the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceFacts {
    /// What positions, sizes and addresses of transfers are multiples of. Bytes.
    pub alignment: u64,
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

struct Attributes {
    /// Alignment of direct transfers: `Some(0)` where there are none, `None` where the kernel does not say.
    direct: Option<u64>,
    device: (u32, u32),
}

fn attributes(fd: RawFd) -> io::Result<Attributes> {
    // SAFETY: all-zero is a valid value of this plain structure.
    let mut facts: libc::statx = unsafe { std::mem::zeroed() };
    let (flags, mask) = (libc::AT_EMPTY_PATH, libc::STATX_BASIC_STATS | libc::STATX_DIOALIGN);
    // SAFETY: the path is an empty zero-terminated string, and `facts` a live value that the call fills.
    check(unsafe { libc::statx(fd, c"".as_ptr(), flags, mask, &raw mut facts) })?;
    let align = match (u64::from(facts.stx_dio_mem_align), u64::from(facts.stx_dio_offset_align)) {
        (0, _) | (_, 0) => 0,
        (memory, offset) => memory.max(offset),
    };
    let direct = (facts.stx_mask & libc::STATX_DIOALIGN != 0).then_some(align);
    Ok(Attributes { direct, device: (facts.stx_dev_major, facts.stx_dev_minor) })
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
    let file = names.iter().filter_map(|name| disk.open_fd(name, libc::O_RDONLY | libc::O_NONBLOCK).ok());
    let asked = file.filter_map(|fd| attributes(fd.as_raw_fd()).ok().map(|attributes| (fd, attributes))).next();
    let (direct, physical) = asked.as_ref().map_or((None, 0), |(fd, attributes)| {
        let direct = attributes.direct.filter(|_| !in_memory(fd.as_raw_fd()));
        (direct, physical_block(attributes.device).unwrap_or(0))
    });
    let alignment = SECTOR.max(physical);
    match direct {
        Some(direct @ 1..=SECTOR) => {
            let reason = format!("direct: the kernel states an alignment of {direct} bytes; only read, so not tried");
            DeviceFacts { alignment, direct_io: true, reason }
        }
        _ => {
            let reason =
                String::from("buffered: only read, and the kernel states no alignment that direct I/O can have");
            DeviceFacts { alignment, direct_io: false, reason }
        }
    }
}

pub(super) fn device_facts(disk: &OsDisk) -> DeviceFacts {
    let buffered = |alignment: u64, reason: String| DeviceFacts { alignment, direct_io: false, reason };
    let asked = temporary(disk).and_then(|fd| attributes(fd.as_raw_fd()).map(|attributes| (fd, attributes)));
    let (fd, attributes) = match asked {
        Ok(asked) => asked,
        Err(e) => return buffered(SECTOR, format!("buffered: no file could be tried in the store ({e})")),
    };
    let physical = physical_block(attributes.device).unwrap_or(0);
    let alignment = SECTOR.max(physical);
    if in_memory(fd.as_raw_fd()) {
        return buffered(alignment, "buffered: the file system lives in memory".into());
    }
    match attributes.direct {
        Some(0) => return buffered(alignment, "buffered: the file system has no direct I/O for its files".into()),
        Some(direct) if direct > SECTOR => {
            let reason = format!("buffered: direct I/O would need an alignment of {direct} bytes, above {SECTOR}");
            return buffered(alignment, reason);
        }
        _ => {}
    }
    if let Err(e) = set_direct(fd.as_raw_fd()) {
        return buffered(alignment, format!("buffered: the file system refuses direct I/O ({e})"));
    }
    let said = match attributes.direct {
        Some(direct) => format!("the kernel states an alignment of {direct} bytes"),
        None => "the kernel states no alignment".into(),
    };
    match try_direct(fd) {
        Ok(()) => DeviceFacts { alignment, direct_io: true, reason: format!("direct: {said}; a transfer was tried") },
        // A full disk cannot be tried; the kernel's word has to do.
        Err(e) if attributes.direct.is_some() && matches!(e.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT)) => {
            DeviceFacts { alignment, direct_io: true, reason: format!("direct: {said}; no space to try it") }
        }
        Err(e) => buffered(alignment, format!("buffered: a direct transfer failed ({e})")),
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
    let reason = format!("{chosen}: a 4 KiB write took {a} µs with RWF_DSYNC, {b} µs with fdatasync (lower quartiles)");
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
