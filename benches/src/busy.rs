//! Threads that want every core.

use std::os::unix::thread::JoinHandleExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::usage::time_of;

/// Keeps every core busy until it is dropped.
pub struct Busy {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Busy {
    /// One thread for each core.
    pub fn all_cores() -> Busy {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let spin = |stop: Arc<AtomicBool>| {
            move || {
                while !stop.load(Ordering::Relaxed) {
                    for number in 0..1000_u64 {
                        std::hint::black_box(number);
                    }
                }
            }
        };
        let threads = (0..cores).map(|_| std::thread::spawn(spin(Arc::clone(&stop)))).collect();
        Busy { stop, threads }
    }

    /// Time that they have spent on a processor, which is not what is measured.
    pub(crate) fn cpu(&self) -> Duration {
        let one = |thread: &JoinHandle<()>| {
            let mut clock = 0;
            // SAFETY: the thread is not joined before `self` is dropped; the clock's number lives through the call.
            match unsafe { libc::pthread_getcpuclockid(thread.as_pthread_t(), &raw mut clock) } {
                0 => time_of(clock),
                _ => Duration::ZERO,
            }
        };
        self.threads.iter().map(one).sum()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It only counts, and cannot panic.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn what_they_spin_is_counted() {
        let busy = Busy::all_cores();
        let (begun, before) = (Instant::now(), busy.cpu());
        while busy.cpu() < before + Duration::from_millis(20) {
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody spins");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
