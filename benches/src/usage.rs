//! What processes have used, by the kernel's account.

use std::fs;
use std::time::Duration;

/// What some processes have used together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Time on a processor.
    pub(crate) cpu: Duration,
    /// Bytes that they had written to devices. What goes through the page cache counts when it is made dirty.
    pub(crate) written: u64,
}

impl Usage {
    /// So far.
    pub(crate) fn of(processes: &[u32]) -> Usage {
        let mut usage = Usage::default();
        for process in processes {
            usage.cpu += cpu(*process);
            let text = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
            usage.written += field(&text, "write_bytes:").unwrap_or(0);
        }
        usage
    }

    /// Since then.
    pub(crate) fn since(self, before: Usage) -> Usage {
        Usage { cpu: self.cpu.saturating_sub(before.cpu), written: self.written.saturating_sub(before.written) }
    }
}

fn cpu(process: u32) -> Duration {
    let mut clock = 0;
    // SAFETY: the clock's number lives through the call.
    if unsafe { libc::clock_getcpuclockid(process as libc::pid_t, &raw mut clock) } != 0 {
        return Duration::ZERO;
    }
    time_of(clock)
}

/// Time that the calling thread has spent on a processor.
pub fn thread_time() -> Duration {
    time_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn time_of(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time lives through the call.
    match unsafe { libc::clock_gettime(clock, &raw mut time) } {
        0 => Duration::new(time.tv_sec as u64, time.tv_nsec as u32),
        _ => Duration::ZERO,
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// Resident memory of some processes together. Bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Resident {
    pub(crate) now: u64,
    pub(crate) peak: u64,
}

impl Resident {
    pub(crate) fn of(processes: &[u32]) -> Resident {
        let mut resident = Resident::default();
        for process in processes {
            let text = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
            resident.now += field(&text, "VmRSS:").unwrap_or(0) << 10;
            resident.peak += field(&text, "VmHWM:").unwrap_or(0) << 10;
        }
        resident
    }
}

/// Bytes that this process has had written to devices.
pub fn device_bytes() -> u64 {
    Usage::of(&[std::process::id()]).written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_is_counted() {
        let me = [std::process::id()];
        let before = Usage::of(&me);
        let begun = thread_time();
        while thread_time() - begun < Duration::from_millis(20) {
            std::hint::black_box(0);
        }
        assert!(Usage::of(&me).since(before).cpu >= Duration::from_millis(20));
        let resident = Resident::of(&me);
        assert!(resident.now > 0 && resident.peak >= resident.now, "{resident:?}");
        assert_eq!(Usage::of(&[]).written, 0);
    }
}
