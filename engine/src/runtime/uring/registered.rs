//! Memory that is registered with the ring: the kernel looks its pages up once, and not for every transfer.

use std::io;
use std::time::Duration;

use io_uring::IoUring;

use crate::buffer::Block;
use crate::sync::Arc as Shared;

/// A ring that was just ended gives its locked memory back a little later.
const MEMORY_PAUSE: Duration = Duration::from_millis(30);

/// What is registered. Lives as long as the ring: the kernel may use the memory until then.
#[derive(Default)]
pub(in crate::runtime) struct Registered {
    blocks: Vec<Shared<Block>>,
    refusal: Option<io::Error>,
}

impl Registered {
    /// Registers `blocks` with a ring. Where that is refused, most often for want of memory that may be locked,
    /// everything works without.
    pub(super) fn register(ring: &IoUring, blocks: Vec<Shared<Block>>) -> Registered {
        if blocks.is_empty() {
            return Registered::default();
        }
        let memory: Vec<libc::iovec> = blocks.iter().map(|block| memory_of(block)).collect();
        // SAFETY: the blocks live as long as the ring, in what is returned here.
        let register = || unsafe { ring.submitter().register_buffers(&memory) };
        let answer = match register() {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) => {
                std::thread::sleep(MEMORY_PAUSE);
                register()
            }
            answer => answer,
        };
        match answer {
            Ok(()) => Registered { blocks, refusal: None },
            Err(refusal) => Registered { blocks: Vec::new(), refusal: Some(refusal) },
        }
    }

    /// The number under which the kernel knows a block.
    pub(super) fn index_of(&self, block: &Shared<Block>) -> Option<u16> {
        let index = self.blocks.iter().position(|registered| Shared::ptr_eq(registered, block))?;
        u16::try_from(index).ok()
    }

    /// What is registered. Bytes.
    pub(in crate::runtime) fn size(&self) -> u64 {
        self.blocks.iter().map(|block| block.capacity() as u64).sum()
    }

    /// Why nothing is.
    pub(in crate::runtime) fn refusal(&self) -> Option<String> {
        let error = self.refusal.as_ref()?;
        let meaning = match error.raw_os_error() {
            Some(libc::ENOMEM) => " (the limit on locked memory, RLIMIT_MEMLOCK, may be too low)",
            Some(libc::EPERM | libc::EACCES) => " (forbidden by a sandbox)",
            _ => "",
        };
        Some(format!("registering memory with io_uring failed: {error}{meaning}"))
    }
}

fn memory_of(block: &Block) -> libc::iovec {
    // SAFETY: only the address is taken; nothing is read or written through it here.
    let bytes = unsafe { block.bytes(0, block.capacity()) };
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
