//! Making a ring: as much as the kernel grants, no more rights than needed, and tried before it is trusted.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::register::Restriction;
use io_uring::{IoUring, Probe, opcode};

use super::registered::Registered;
use crate::buffer::Block;
use crate::io::fork::ClosedOnFork;
use crate::sync::Arc as Shared;

/// The smallest ring that is still worth having.
const ENTRIES_MIN: u32 = 16;
/// A ring that was just ended gives its locked memory back a little later.
const MEMORY_PAUSE: Duration = Duration::from_millis(30);

/// Why there is no ring: what was tried, what the kernel said, and what that means where it is known.
#[derive(Debug)]
pub(in crate::runtime) struct SetupError {
    what: &'static str,
    error: io::Error,
}

impl SetupError {
    pub(in crate::runtime) fn error(&self) -> &io::Error {
        &self.error
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, error } = self;
        let meaning = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => " (forbidden by a sandbox such as a container's, or by sysctl)",
            Some(libc::ENOSYS) => " (the kernel has no io_uring, or a sandbox hides it)",
            Some(libc::ENOMEM) => " (the limit on locked memory, RLIMIT_MEMLOCK, may be too low)",
            Some(libc::EMFILE | libc::ENFILE) => " (no descriptor is free)",
            _ => "",
        };
        write!(f, "{what} failed: {error}{meaning}")
    }
}

/// Features that make completions cheaper, the newest first.
#[derive(Clone, Copy)]
struct Features {
    single_issuer: bool,
    defer_taskrun: bool,
    coop_taskrun: bool,
}

const FEATURES: [Features; 4] = [
    // Linux 6.1, 6.0, 5.19, and before.
    Features { single_issuer: true, defer_taskrun: true, coop_taskrun: true },
    Features { single_issuer: true, defer_taskrun: false, coop_taskrun: true },
    Features { single_issuer: false, defer_taskrun: false, coop_taskrun: true },
    Features { single_issuer: false, defer_taskrun: false, coop_taskrun: false },
];

/// A ring of up to `depth` entries and one more, enabled, restricted and tried, and what of `memory` it has registered.
pub(super) fn ring(
    depth: usize,
    held: Option<RawFd>,
    memory: Vec<Shared<Block>>,
) -> Result<(ClosedOnFork, IoUring, Registered), SetupError> {
    let mut entries = u32::try_from(depth + 1).expect("a queue's length fits").next_power_of_two().max(ENTRIES_MIN);
    let mut paused = false;
    loop {
        match build(entries) {
            Ok((registration, mut ring)) => match prepare(&mut ring, held, memory) {
                Ok(registered) => return Ok((registration, ring, registered)),
                Err(error) => {
                    registration.close(ring);
                    return Err(error);
                }
            },
            Err(e) if e.raw_os_error() == Some(libc::ENOMEM) && !paused => {
                std::thread::sleep(MEMORY_PAUSE);
                paused = true;
            }
            Err(e) if e.raw_os_error() == Some(libc::ENOMEM) && entries > ENTRIES_MIN => entries /= 2,
            Err(error) => return Err(SetupError { what: "io_uring_setup", error }),
        }
    }
}

fn build(entries: u32) -> io::Result<(ClosedOnFork, IoUring)> {
    let mut result = Err(io::ErrorKind::Unsupported.into());
    for features in FEATURES {
        result = ClosedOnFork::make(|| {
            let mut builder = IoUring::builder();
            builder.dontfork().setup_r_disabled();
            if features.single_issuer {
                builder.setup_single_issuer();
            }
            if features.defer_taskrun {
                builder.setup_defer_taskrun();
            }
            if features.coop_taskrun {
                // The flag says when there is something that an enter would run, so that none is made in vain.
                builder.setup_coop_taskrun().setup_taskrun_flag();
            }
            builder.build(entries)
        });
        match &result {
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
            _ => break,
        }
    }
    result
}

/// Checks, registers, restricts, enables and tries a new ring.
fn prepare(ring: &mut IoUring, held: Option<RawFd>, memory: Vec<Shared<Block>>) -> Result<Registered, SetupError> {
    let failed = |what| move |error| SetupError { what, error };
    let missing = |what| SetupError { what, error: io::Error::from_raw_os_error(libc::EOPNOTSUPP) };
    if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
        return Err(missing("asking the kernel for waits with a time limit (Linux 5.11)"));
    }
    let submitter = ring.submitter();
    let mut probe = Probe::new();
    submitter.register_probe(&mut probe).map_err(failed("asking the kernel for its operations"))?;
    let needed =
        [opcode::Nop::CODE, opcode::Read::CODE, opcode::Write::CODE, opcode::WriteFixed::CODE, opcode::Fsync::CODE];
    if !needed.iter().all(|code| probe.is_supported(*code)) {
        return Err(missing("asking the kernel for read, write and fsync"));
    }
    if let Some(held) = held {
        submitter.register_files(&[held]).map_err(failed("registering the store's lock"))?;
    }
    let registered = Registered::register(ring, memory);
    // Whoever gets at the ring, by whatever accident, can do no more with it than the engine does. Kernels and
    // sandboxes without restrictions are no worse off than before.
    let mut allowed = needed.map(Restriction::sqe_op);
    let _ = submitter.register_restrictions(&mut allowed);
    submitter.register_enable_rings().map_err(failed("enabling the ring"))?;
    round_trip(ring).map_err(failed("a first operation through the ring"))?;
    Ok(registered)
}

/// One operation that does nothing, there and back.
fn round_trip(ring: &mut IoUring) -> io::Result<()> {
    const MARK: u64 = 0x7468_616c_7765_6721;
    // SAFETY: the operation has no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(MARK)) }
        .expect("the queue of a new ring is empty");
    loop {
        match ring.submit_and_wait(1) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
            Ok(_) => break,
        }
    }
    match ring.completion().next() {
        Some(entry) if entry.user_data() == MARK && entry.result() >= 0 => Ok(()),
        Some(entry) if entry.result() < 0 => Err(io::Error::from_raw_os_error(-entry.result())),
        _ => Err(io::Error::other("it did not come back")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring takes the engine's operations and nothing else.
    #[test]
    fn a_ring_can_do_no_more_than_it_has_to() {
        let (registration, mut ring, _) = ring(8, None, Vec::new()).expect("io_uring works here");
        // A descriptor that does not exist, so that nothing is lost if the ring did it.
        let entry = opcode::Close::new(io_uring::types::Fd(1 << 20)).build();
        // SAFETY: the operation has no memory.
        unsafe { ring.submission().push(&entry) }.expect("the queue is empty");
        let _ = ring.submit_and_wait(1);
        let result = ring.completion().next().expect("it was answered").result();
        assert_eq!(result, -libc::EACCES);
        registration.close(ring);
    }
}
