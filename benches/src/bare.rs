//! What bounds an engine on this machine: bare loops over the device and over memory.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use io_uring::{IoUring, opcode, types};

/// How a bare file's extents were made before it is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Every byte written once: the steady state of recycled files.
    Written,
    /// Reserved with fallocate: a fresh directory.
    Reserved,
}

/// A file and a ring, and nothing between them.
pub struct BareFile {
    file: File,
    size: u64,
    ring: IoUring,
    buffers: Vec<Buffer>,
}

struct Buffer {
    memory: *mut u8,
    size: usize,
}

impl Buffer {
    fn new(size: usize) -> Buffer {
        let layout = std::alloc::Layout::from_size_align(size, 4096).expect("a whole number of pages");
        // SAFETY: the layout has a size above zero; the memory is freed by Drop with the same layout.
        let memory = unsafe { std::alloc::alloc(layout) };
        assert!(!memory.is_null(), "memory for a bench buffer");
        // SAFETY: the allocation above is `size` bytes long and ours.
        unsafe { memory.write_bytes(0x5a, size) };
        Buffer { memory, size }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let layout = std::alloc::Layout::from_size_align(self.size, 4096).expect("a whole number of pages");
        // SAFETY: allocated in `new` with this layout.
        unsafe { std::alloc::dealloc(self.memory, layout) };
    }
}

impl BareFile {
    /// Makes a file of `size` bytes at `path`, prepared as asked, with `depth` buffers of `block` bytes.
    ///
    /// # Errors
    /// Those of the file system, or of a kernel without io_uring.
    pub fn new(
        path: &Path,
        size: u64,
        block: usize,
        depth: usize,
        prepared: Prepared,
        registered: bool,
    ) -> io::Result<BareFile> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)?;
        // SAFETY: a plain system call on a descriptor that is open.
        if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size as i64) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(64)?;
        let buffers: Vec<Buffer> = (0..depth).map(|_| Buffer::new(block)).collect();
        if registered {
            let vectors: Vec<libc::iovec> =
                buffers.iter().map(|b| libc::iovec { iov_base: b.memory.cast(), iov_len: b.size }).collect();
            // SAFETY: the buffers live as long as the ring: both are fields of one value, dropped together.
            unsafe { ring.submitter().register_buffers(&vectors)? };
        }
        let mut bare = BareFile { file, size, ring, buffers };
        if prepared == Prepared::Written {
            bare.write(size, false, registered)?;
            bare.file.sync_all()?;
        }
        Ok(bare)
    }

    /// Writes `total` bytes from the beginning, wrapping at the file's size; each write durable if asked.
    ///
    /// # Errors
    /// The first write that fails or is short.
    pub fn write(&mut self, total: u64, durable: bool, registered: bool) -> io::Result<()> {
        let flags = if durable { libc::RWF_DSYNC } else { 0 };
        self.pump(total, |fd, buffer, index, position| {
            if registered {
                opcode::WriteFixed::new(fd, buffer.memory, buffer.size as u32, index as u16)
                    .offset(position)
                    .rw_flags(flags)
                    .build()
            } else {
                opcode::Write::new(fd, buffer.memory, buffer.size as u32).offset(position).rw_flags(flags).build()
            }
        })
    }

    /// Reads `total` bytes from the beginning, wrapping at the file's size.
    ///
    /// # Errors
    /// The first read that fails or is short.
    pub fn read(&mut self, total: u64) -> io::Result<()> {
        self.pump(total, |fd, buffer, _, position| {
            opcode::Read::new(fd, buffer.memory, buffer.size as u32).offset(position).build()
        })
    }

    fn pump(
        &mut self,
        total: u64,
        entry: impl Fn(types::Fd, &Buffer, usize, u64) -> io_uring::squeue::Entry,
    ) -> io::Result<()> {
        let fd = types::Fd(self.file.as_raw_fd());
        let block = self.buffers[0].size as u64;
        let (mut issued, mut done) = (0, 0);
        let mut free: Vec<usize> = (0..self.buffers.len()).collect();
        while done < total {
            while issued < total {
                let Some(index) = free.pop() else { break };
                let position = issued % (self.size - self.size % block);
                let sqe = entry(fd, &self.buffers[index], index, position).user_data(index as u64);
                // SAFETY: the buffer is not touched until its completion; it outlives the ring's use of it.
                unsafe { self.ring.submission().push(&sqe).expect("the ring is deeper than the loop") };
                issued += block;
            }
            self.ring.submit_and_wait(1)?;
            for cqe in self.ring.completion() {
                if cqe.result() as i64 != block as i64 {
                    return Err(io::Error::from_raw_os_error(-cqe.result().min(-libc::EIO)));
                }
                free.push(cqe.user_data() as usize);
                done += block;
            }
        }
        Ok(())
    }
}

/// Copies `count` records of `record` bytes into `into` (wrapping) with one CRC-32 each.
pub fn memcpy_crc(record: &[u8], into: &mut [u8], count: u64) -> u32 {
    let mut at = 0;
    let mut sum = 0;
    for _ in 0..count {
        if at + record.len() > into.len() {
            at = 0;
        }
        let target = &mut into[at..at + record.len()];
        target.copy_from_slice(record);
        sum ^= crc32fast::hash(target);
        at += record.len();
    }
    sum
}

/// Walks `bytes` in records of `size`: touches the first and the last byte of each.
pub fn walk(bytes: &[u8], size: usize) -> u64 {
    bytes.chunks_exact(size).map(|r| u64::from(r[0]) + u64::from(r[size - 1])).sum()
}
