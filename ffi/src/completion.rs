//! Completion queues.

use std::os::fd::AsRawFd;
use std::time::Instant;

use thalweg::{Completed, CompletionQueue, ErrorKind};

use crate::arguments::check;
use crate::call::{call, call_on, close, timeout};
use crate::error::thalweg_error;
use crate::failure::{Answer, Failure};
use crate::handle::Table;
use crate::reasons::Reasons;
use crate::status::{self, INVALID_ARGUMENT, OK, TIMED_OUT, WOULD_BLOCK, thalweg_status};

/// Where appends report that they are acknowledged, of any number of topics and engines. Close it with
/// thalweg_completion_queue_close.
pub struct thalweg_completion_queue {
    _opaque: (),
}

/// One append that is over.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct thalweg_completion {
    /// What the caller passed to the submit.
    pub token: u64,
    /// The offset of the first record, if status is OK; else 0.
    pub base_offset: u64,
    /// The partition's index, if status is OK; else 0.
    pub partition: u32,
    /// The number of records, if status is OK; else 0.
    pub count: u32,
    /// THALWEG_OK: the batch is acknowledged. WOULD_BLOCK: nothing was appended, and another try may succeed now
    /// (THALWEG_APPEND_NOTIFY). Else why it is not acknowledged: IO, NO_SPACE or PARTITION_FAILED by the device, TRUNCATED,
    /// DELETED or CLOSED by a call of yours, FORKED. After those of the device the records may be there all the same: the
    /// next open decides, so that whoever appends them again may have them twice.
    pub status: thalweg_status,
    /// The operating system's error number where it reported this, else 0.
    pub os_error: i32,
    /// What thalweg_completion_queue_failure knows it by, if the append has failed; else 0.
    pub failure: u64,
}

pub(crate) struct QueueObject {
    pub(crate) queue: CompletionQueue,
    reasons: Reasons,
}

pub(crate) static QUEUES: Table<QueueObject> = Table::new(3, "a completion queue");

impl QueueObject {
    fn completion(&self, completed: Completed) -> thalweg_completion {
        let token = completed.token;
        match completed.result {
            Ok(appended) => thalweg_completion {
                token,
                base_offset: appended.base_offset,
                partition: appended.partition,
                count: appended.count,
                status: OK,
                os_error: 0,
                failure: 0,
            },
            Err(refused) => thalweg_completion {
                token,
                base_offset: 0,
                partition: 0,
                count: 0,
                status: status::of(refused.kind()),
                os_error: refused.os_code().unwrap_or(0),
                failure: if refused.kind() == ErrorKind::WouldBlock { 0 } else { self.reasons.keep(refused) },
            },
        }
    }

    /// Takes completions that are there; how many.
    ///
    /// # Safety
    /// `completions` is valid for writes of `capacity` entries.
    unsafe fn take(&self, completions: *mut thalweg_completion, capacity: usize) -> usize {
        let mut done = Vec::new();
        let count = self.queue.poll_up_to(capacity, &mut done);
        for (at, completed) in done.into_iter().enumerate() {
            // SAFETY: within the capacity.
            unsafe { completions.add(at).write(self.completion(completed)) };
        }
        count
    }
}

fn check_room(completions: *mut thalweg_completion, capacity: usize, count: *mut usize) -> Answer {
    check(completions, "completions")?;
    check(count, "count")?;
    if capacity == 0 {
        return Err(Failure::new(INVALID_ARGUMENT, "capacity is 0; at least one completion has to have room"));
    }
    Ok(())
}

/// Opens a queue. capacity: how many appends may be under way or not taken yet: 1 to 16,777,216; 0 is 65,536. queue: gets
/// the handle, which is yours to close with thalweg_completion_queue_close.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; IO if the process has no descriptor left. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_open(
    capacity: usize,
    queue: *mut *mut thalweg_completion_queue,
    error: *mut thalweg_error,
) -> thalweg_status {
    let run = || {
        check(queue, "queue")?;
        let capacity = if capacity == 0 { CompletionQueue::CAPACITY_DEFAULT } else { capacity };
        let handle = QUEUES
            .open(QueueObject { queue: CompletionQueue::with_capacity(capacity)?, reasons: Reasons::default() })?;
        // SAFETY: not NULL, and the caller's.
        unsafe { queue.write(handle) };
        Ok(())
    };
    // SAFETY: the caller's error is what it says.
    unsafe { call(error, run) }
}

/// Closes a queue. Appends that are under way stay as durable as they would have been; nobody is told. Threads that wait in
/// it go on waiting for them. NULL is allowed.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT, CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_close(
    queue: *mut thalweg_completion_queue,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's error is what it says.
    unsafe { close(&QUEUES, queue, error, |_| Ok(())) }
}

/// Takes completions that are there, each once, in no particular order. completions gets up to capacity of them (1 or
/// more), count how many.
///
/// Does not block. Any thread. Errors: WOULD_BLOCK if there are none; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_poll(
    queue: *mut thalweg_completion_queue,
    completions: *mut thalweg_completion,
    capacity: usize,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&QUEUES, queue, error, |object| {
            check_room(completions, capacity, count)?;
            match object.take(completions, capacity) {
                0 => Err(Failure::bare(WOULD_BLOCK)),
                taken => {
                    count.write(taken);
                    Ok(())
                }
            }
        })
    }
}

/// As thalweg_completion_queue_poll, but waits for the first completion. count gets 0 if nothing is under way, so that a
/// loop over it ends.
///
/// timeout_ms: negative is without end.
///
/// Blocks. Any thread. Errors: TIMED_OUT; INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_wait(
    queue: *mut thalweg_completion_queue,
    completions: *mut thalweg_completion,
    capacity: usize,
    timeout_ms: i64,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&QUEUES, queue, error, |object| {
            check_room(completions, capacity, count)?;
            let queue = &object.queue;
            let deadline = timeout(timeout_ms).and_then(|timeout| Instant::now().checked_add(timeout));
            let taken = loop {
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                let there = queue.wait(left)?;
                // Another thread may have taken what woke this one.
                let taken = object.take(completions, capacity);
                if taken > 0 || queue.under_way() == 0 {
                    break taken;
                }
                if !there {
                    return Err(Failure::bare(TIMED_OUT));
                }
            };
            count.write(taken);
            Ok(())
        })
    }
}

/// Why an append failed: for a completion, what a call that fails tells in its error. The last 1,024 failures of a queue
/// are kept, whoever has taken their completions.
///
/// completion: as it was taken from this queue. why: made ready with thalweg_error_init; gets the status, the operating
/// system's error number, the offsets that are damaged, and a sentence.
///
/// Does not block. Any thread. Errors: NOT_FOUND if the append has not failed, or the failure is not kept any more;
/// INVALID_ARGUMENT, also for a why that is not ready; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_failure(
    queue: *mut thalweg_completion_queue,
    completion: *const thalweg_completion,
    why: *mut thalweg_error,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&QUEUES, queue, error, |object| {
            check(completion, "completion")?;
            object.reasons.tell((*completion).failure, why)
        })
    }
}

/// A descriptor (fd) that is readable exactly while completions are there, for poll, epoll and their like. Do not read from
/// it and do not close it; it lives as long as the queue.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_eventfd(
    queue: *mut thalweg_completion_queue,
    fd: *mut i32,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&QUEUES, queue, error, |object| {
            check(fd, "fd")?;
            fd.write(object.queue.eventfd().as_raw_fd());
            Ok(())
        })
    }
}

/// Appends that will report to a queue and have not, also those that wait for room. count: gets how many.
///
/// Does not block. Any thread. Errors: INVALID_ARGUMENT; CLOSED, FORKED. Since 0.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn thalweg_completion_queue_under_way(
    queue: *mut thalweg_completion_queue,
    count: *mut usize,
    error: *mut thalweg_error,
) -> thalweg_status {
    // SAFETY: the caller's pointers are what they say.
    unsafe {
        call_on(&QUEUES, queue, error, |object| {
            check(count, "count")?;
            count.write(object.queue.under_way());
            Ok(())
        })
    }
}
