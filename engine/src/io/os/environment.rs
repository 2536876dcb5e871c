//! Clocks and chance of the operating system.

use std::fs::File;
use std::io::Read;

use crate::io::Environment;

/// The real clocks and the kernel's random numbers.
pub(crate) struct OsEnvironment;

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a live value that the call fills.
    let answer = unsafe { libc::clock_gettime(id, &raw mut time) };
    assert_eq!(answer, 0, "every Linux has this clock");
    time
}

fn random_once() -> u64 {
    let mut bytes = [0u8; 8];
    loop {
        // SAFETY: the pointer and length are those of a live array.
        let answer = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
        if usize::try_from(answer) == Ok(bytes.len()) {
            return u64::from_ne_bytes(bytes);
        }
        if std::io::Error::last_os_error().raw_os_error() != Some(libc::EINTR) {
            break;
        }
    }
    // A sandbox may forbid the call and still have the device.
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .expect("the kernel gives random bytes, by call or by device");
    u64::from_ne_bytes(bytes)
}

impl Environment for OsEnvironment {
    fn now_ms(&self) -> i64 {
        // The coarse clock is a load from shared memory, and its step of a few ms is below what a record's time means.
        let time = clock(libc::CLOCK_REALTIME_COARSE);
        time.tv_sec * 1000 + time.tv_nsec / 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        let time = clock(libc::CLOCK_MONOTONIC);
        time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
    }

    fn random(&self) -> u64 {
        loop {
            match random_once() {
                0 => {}
                number => return number,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_advance_and_chance_differs() {
        let env = OsEnvironment;
        assert!(env.now_ms() > 1_600_000_000_000, "the wall clock counts ms since 1970");
        let first = env.monotonic_ns();
        assert!(env.monotonic_ns() >= first);
        assert_ne!(env.random(), env.random());
    }
}
