//! What bounds an engine on this device: bare io_uring loops.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Instant;

use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};

/// How a bare file's extents were made before it is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prepared {
    /// Every byte written once: the steady state of recycled files.
    Written,
    /// Reserved with fallocate: a fresh directory.
    Reserved,
}

/// Files, and nothing between them and the kernel.
pub struct BareFiles {
    files: Vec<File>,
    size: u64,
}

/// A ring and its buffers.
pub struct Buffers {
    ring: IoUring,
    memory: Vec<Memory>,
    registered: bool,
    /// Whether the files are registered too.
    by_number: bool,
    free: Vec<usize>,
    /// Transfers so far: the next one goes on where the last one ended.
    issued: usize,
    begun: Vec<Instant>,
}

struct Memory {
    at: *mut u8,
    size: usize,
}

// SAFETY: it owns what it points to, and nobody else knows of it but the kernel while a transfer is under way.
unsafe impl Send for Memory {}

impl Memory {
    fn layout(size: usize) -> std::alloc::Layout {
        std::alloc::Layout::from_size_align(size, 4096).expect("a whole number of pages")
    }

    fn new(size: usize) -> Memory {
        // SAFETY: the layout has a size above zero; the memory is freed by Drop with the same layout.
        let at = unsafe { std::alloc::alloc(Memory::layout(size)) };
        assert!(!at.is_null(), "memory for a bench buffer");
        // SAFETY: the allocation above is `size` bytes long and ours.
        unsafe { at.write_bytes(0x5a, size) };
        Memory { at, size }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout.
        unsafe { std::alloc::dealloc(self.at, Memory::layout(self.size)) };
    }
}

impl Buffers {
    /// `depth` buffers of `block` bytes, registered with their ring or not.
    ///
    /// # Errors
    /// Those of a kernel without io_uring, or with too little memory that may be locked.
    pub fn new(block: usize, depth: usize, registered: bool) -> io::Result<Buffers> {
        let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_coop_taskrun().build(128)?;
        let memory: Vec<Memory> = (0..depth).map(|_| Memory::new(block)).collect();
        if registered {
            let vectors: Vec<libc::iovec> =
                memory.iter().map(|m| libc::iovec { iov_base: m.at.cast(), iov_len: m.size }).collect();
            // SAFETY: the buffers live as long as the ring: both are fields of one value, dropped together.
            unsafe { ring.submitter().register_buffers(&vectors)? };
        }
        let (free, begun) = ((0..depth).collect(), vec![Instant::now(); depth]);
        Ok(Buffers { ring, memory, registered, by_number: false, free, issued: 0, begun })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Read,
    DurableWrite,
}

impl BareFiles {
    /// `count` files of `size` bytes each in `dir`, prepared as asked.
    ///
    /// # Errors
    /// Those of the file system, or of a kernel without io_uring.
    pub fn new(dir: &Path, count: usize, size: u64, prepared: Prepared) -> io::Result<BareFiles> {
        let open = |number: usize| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(true).custom_flags(libc::O_DIRECT);
            let file = options.open(dir.join(format!("bare-{number}")))?;
            // SAFETY: a plain system call on a descriptor that is open.
            if unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, size as i64) } != 0 {
                return Err(io::Error::last_os_error());
            }
            if prepared == Prepared::Written {
                let memory = Memory::new((1 << 20).min(size as usize));
                for position in (0..size).step_by(memory.size) {
                    // SAFETY: the memory is `size` bytes long; the kernel only reads it.
                    let n = unsafe { libc::pwrite(file.as_raw_fd(), memory.at.cast(), memory.size, position as i64) };
                    if n != memory.size as isize {
                        return Err(io::Error::last_os_error());
                    }
                }
                file.sync_all()?;
            }
            Ok(file)
        };
        Ok(BareFiles { files: (0..count).map(open).collect::<io::Result<_>>()?, size })
    }

    /// Registers the files with a ring, once.
    ///
    /// # Errors
    /// Those of the kernel.
    pub fn register(&self, buffers: &mut Buffers) -> io::Result<()> {
        let descriptors: Vec<_> = self.files.iter().map(AsRawFd::as_raw_fd).collect();
        buffers.ring.submitter().register_files(&descriptors)?;
        buffers.by_number = true;
        Ok(())
    }

    /// Makes `count` durable writes, one to each file in turn, on from where these buffers wrote or read last, and
    /// wrapping at the files' size. Returns the ns that each took.
    ///
    /// # Errors
    /// The first write that fails or is short.
    pub fn write(&self, buffers: &mut Buffers, count: usize) -> io::Result<Vec<u64>> {
        self.pump(buffers, count, Kind::DurableWrite)
    }

    /// Makes `count` reads likewise.
    ///
    /// # Errors
    /// The first read that fails or is short.
    pub fn read(&self, buffers: &mut Buffers, count: usize) -> io::Result<Vec<u64>> {
        self.pump(buffers, count, Kind::Read)
    }

    fn entry(&self, buffers: &Buffers, kind: Kind, number: usize, index: usize) -> io_uring::squeue::Entry {
        let memory = &buffers.memory[index];
        let (at, size) = (memory.at, memory.size as u32);
        let file = number % self.files.len();
        let fd = types::Fd(if buffers.by_number { file as i32 } else { self.files[file].as_raw_fd() });
        let turn = (number / self.files.len()) as u64;
        let position = turn * u64::from(size) % (self.size - self.size % u64::from(size));
        let flags = libc::RWF_DSYNC;
        let index = index as u16;
        let entry = match (kind, buffers.registered) {
            (Kind::Read, true) => opcode::ReadFixed::new(fd, at, size, index).offset(position).build(),
            (Kind::Read, false) => opcode::Read::new(fd, at, size).offset(position).build(),
            (_, true) => opcode::WriteFixed::new(fd, at, size, index).offset(position).rw_flags(flags).build(),
            (_, false) => opcode::Write::new(fd, at, size).offset(position).rw_flags(flags).build(),
        };
        if buffers.by_number { entry.flags(Flags::FIXED_FILE) } else { entry }
    }

    fn pump(&self, buffers: &mut Buffers, count: usize, kind: Kind) -> io::Result<Vec<u64>> {
        let mut times = Vec::with_capacity(count);
        let end = buffers.issued + count;
        while times.len() < count {
            while buffers.issued < end {
                let Some(index) = buffers.free.pop() else { break };
                let entry = self.entry(buffers, kind, buffers.issued, index).user_data(index as u64);
                buffers.begun[index] = Instant::now();
                // SAFETY: the buffer is not touched until its completion; it outlives the ring's use of it.
                unsafe { buffers.ring.submission().push(&entry) }.expect("the ring is deeper than the loop");
                buffers.issued += 1;
            }
            buffers.ring.submit_and_wait(1)?;
            for entry in buffers.ring.completion() {
                let index = entry.user_data() as usize;
                if entry.result() != buffers.memory[index].size as i32 {
                    return Err(io::Error::from_raw_os_error(-entry.result().min(-libc::EIO)));
                }
                times.push(buffers.begun[index].elapsed().as_nanos() as u64);
                buffers.free.push(index);
            }
        }
        Ok(times)
    }
}
